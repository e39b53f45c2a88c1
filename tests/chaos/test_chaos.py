"""The chaos run is itself a program that can be wrong: it finds what is lost, and a short one finds nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from .audit import audit
from .campaign import Report, run
from .journal import Call, Journal, read_journals
from .truth import Truth, read_truth
from .world import World, make_world

MINUTES = 0.3


def test_a_journal_tells_what_was_answered_refused_and_never_answered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ada-1.jsonl")
    answered = journal.ask("1", "start_change", {"title": "t", "intent": "i", "key": "k"})
    journal.told(answered, {"change": "c1", "title": "t", "next": "claim_stage"})
    journal.refused(journal.ask("1", "claim_stage", {"agent": "ada"}), "draining", "A newer one takes over.")
    journal.ask("2", "claim_stage", {"agent": "ada"})
    journal.close()
    with (tmp_path / "ada-1.jsonl").open("a") as file:
        file.write('{"n": 3, "told": {"kind"')

    first, second, third = read_journals(tmp_path)

    assert first == Call("ada", "ada-1/1", "start_change", "k", {"title": "t"}, {"change": "c1", "title": "t"}, None)
    assert (second.told, second.refused) == (None, "draining")
    assert (third.connection, third.told, third.refused) == ("ada-1/2", None, None)


@pytest.mark.slow
def test_a_short_run_loses_nothing_and_its_audit_notices_what_is_missing() -> None:
    with make_world(keep=False) as world:
        report = run(world, "test", MINUTES)
        truth, calls = read_truth(world), list(read_journals(world.journals))

        assert report.problems == []
        assert report.figures["claims"] != 0
        _check_that_loss_is_noticed(world, truth, calls, report)


def _check_that_loss_is_noticed(world: World, truth: Truth, calls: list[Call], report: Report) -> None:
    """Each of these is what a defect would leave; without them a silent audit would say nothing."""
    started = next(call for call in calls if call.tool == "start_change" and call.told is not None)
    claimed = next(call for call in calls if call.tool == "claim_stage" and call.told and "lease" in call.told)
    submitted = next(call for call in calls if call.tool == "submit_artifact" and call.told is not None)
    assert started.told is not None
    assert submitted.told is not None
    wrong = {
        "which": replace(started, told={**started.told, "change": "c999"}),
        "was given": replace(claimed, agent="mallory"),
        "attempt": replace(submitted, told={**submitted.told, "commit": "0" * 40}),
        "given to": replace(claimed, connection="somebody else's"),
    }
    for word, call in wrong.items():
        assert any(word in sentence for sentence in audit(world, truth, [*calls, call]).all), word

    change = str(started.told["change"])
    without_last = Truth(truth.records, {**truth.events, change: truth.events[change][:-1]}, (), truth.evidence)
    assert any("I9" in sentence for sentence in audit(world, without_last, calls).broken)
    without_evidence = Truth(truth.records, truth.events, (), {})
    assert any("I4" in sentence for sentence in audit(world, without_evidence, calls).broken)
