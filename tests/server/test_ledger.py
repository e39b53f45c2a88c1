"""The gate ledger: each rate is what the top of `operations/ledger.py` says it is."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.schemas.records import Outcome
from gatewright.schemas.views import GateRates
from gatewright.server.operations.ledger import rates_of
from gatewright.server.store import Judgement, Upheld

FAILED, PASSED, ERRORED, PENDING = Outcome.FAILED, Outcome.PASSED, Outcome.ERRORED, Outcome.PENDING

# One attempt: its tree and what the gate said of it.
Said = tuple[str, Outcome]


def judgements(said: Iterable[Said], *, change: str = "c1", gate: str = "test", first: int = 1) -> list[Judgement]:
    """One judgement an attempt, in the order in which they were handed in; a failure has one finding, of its tree."""
    return [
        Judgement(
            number=first + place,
            change=change,
            stage="code",
            attempt=place + 1,
            subject=(tree, "policy", "gate"),
            gate=gate,
            kind="test",
            outcome=outcome,
            fingerprints=frozenset({f"of {tree}"}) if outcome is FAILED else frozenset(),
        )
        for place, (tree, outcome) in enumerate(said)
    ]


def rates(said: Sequence[Said], *upheld: Upheld) -> GateRates:
    (line,) = rates_of(judgements(said), upheld)
    return line


def upheld(attempt: int, *fingerprints: str, change: str = "c1", stage: str = "code") -> Upheld:
    return Upheld(change, stage, attempt, frozenset(fingerprints))


def test_a_gate_catches_what_it_said_no_to() -> None:
    line = rates([("a", FAILED), ("b", FAILED), ("c", PASSED)])

    assert (line.judged, line.caught, line.catch_rate) == (3, 2, 0.667)
    assert (line.false_alarms, line.false_alarm_rate) == (0, 0.0)


def test_a_gate_that_never_caught_anything_has_no_rate_of_what_came_of_it() -> None:
    line = rates([("a", PASSED)])

    assert line.catch_rate == 0.0
    assert line.false_alarm_rate is None
    assert line.recovery_rate is None


def test_a_no_that_became_a_yes_with_nothing_changed_was_a_false_alarm() -> None:
    line = rates([("a", FAILED), ("a", PASSED)])

    assert (line.judged, line.caught, line.false_alarms, line.false_alarm_rate) == (1, 1, 1, 1.0)
    assert (line.retried, line.recovery_rate) == (0, None), "nobody mended anything"


def test_a_yes_that_became_a_no_with_nothing_changed_is_no_false_alarm() -> None:
    line = rates([("a", PASSED), ("a", FAILED)])

    assert (line.judged, line.caught, line.false_alarms) == (1, 1, 0)


def test_findings_that_a_person_upheld_as_no_fault_were_a_false_alarm() -> None:
    said = [("a", FAILED), ("b", FAILED), ("c", PASSED)]

    assert rates(said, upheld(2, "of b", "of another gate")).false_alarms == 1
    assert rates(said, upheld(2, "of a")).false_alarms == 0, "it is about another attempt"
    assert rates(said, upheld(2, "of b", change="c2")).false_alarms == 0
    assert rates(said, upheld(2, "of b", stage="plan")).false_alarms == 0


def test_findings_that_were_upheld_in_part_were_none() -> None:
    (whole,) = judgements([("a", FAILED)])
    two = Judgement(**{**{n: getattr(whole, n) for n in whole.__slots__}, "fingerprints": frozenset({"x", "y"})})

    assert rates_of([two], [upheld(1, "x")])[0].false_alarms == 0
    assert rates_of([two], [upheld(1, "x", "y")])[0].false_alarms == 1


def test_who_mended_it_at_once_recovered() -> None:
    line = rates([("a", FAILED), ("b", FAILED), ("c", PASSED)])

    assert (line.retried, line.recovered, line.recovery_rate) == (2, 1, 0.5)


def test_who_handed_in_nothing_more_has_not_retried() -> None:
    line = rates([("a", FAILED)])

    assert (line.caught, line.retried, line.recovery_rate) == (1, 0, None)


def test_what_followed_in_another_change_is_no_retry() -> None:
    found = [*judgements([("a", FAILED)]), *judgements([("b", PASSED)], change="c2", first=9)]

    (line,) = rates_of(found, ())

    assert (line.judged, line.caught, line.retried) == (2, 1, 0)


def test_a_judgement_under_another_policy_is_another_piece_of_work() -> None:
    first, second = judgements([("a", FAILED), ("a", PASSED)])
    other = Judgement(**{**{n: getattr(second, n) for n in second.__slots__}, "subject": ("a", "newer", "gate")})

    (line,) = rates_of([first, other], ())

    assert (line.judged, line.false_alarms, line.recovered) == (2, 0, 1)


def test_an_error_is_no_judgement_and_a_question_none_yet() -> None:
    line = rates([("a", FAILED), ("b", ERRORED), ("b", PENDING), ("c", PASSED)])

    assert (line.judged, line.caught, line.errored) == (2, 1, 1)
    assert (line.retried, line.recovered) == (1, 1)


def test_each_gate_has_its_line_the_busiest_first() -> None:
    found = [*judgements([("a", PASSED)], gate="lint"), *judgements([("a", PASSED), ("b", FAILED)], first=5)]

    assert [line.gate for line in rates_of(found, ())] == ["test", "lint"]


SAID = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Outcome))), max_size=12)


@given(said=SAID, attempts=st.sets(st.integers(1, 12)), order=st.randoms(use_true_random=False))
def test_whatever_happened_the_counts_hold_together(said: list[Said], attempts: set[int], order: object) -> None:
    disputes = [upheld(attempt, "of a", "of b", "of c") for attempt in attempts]
    found = judgements(said)
    mixed = list(found)
    order.shuffle(mixed)  # type: ignore[attr-defined]  # a Random, which hypothesis does not say

    lines = rates_of(mixed, disputes)

    assert lines == rates_of(found, disputes), "the order in which they are read does not matter"
    for line in lines:
        assert line.judged >= line.caught >= line.false_alarms >= 0
        assert line.caught - line.false_alarms >= line.retried >= line.recovered >= 0
        for rate in (line.catch_rate, line.false_alarm_rate, line.recovery_rate):
            assert rate is None or 0 <= rate <= 1
        assert (line.catch_rate is None) == (line.judged == 0)
        assert (line.false_alarm_rate is None) == (line.caught == 0)
        assert (line.recovery_rate is None) == (line.retried == 0)


@pytest.mark.parametrize("of", ["judgements", "disputes"])
def test_nothing_judged_is_an_empty_ledger(of: str) -> None:
    assert rates_of((), () if of == "judgements" else (upheld(1, "x"),)) == ()
