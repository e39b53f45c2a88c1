"""What people allowed is not asked again, everything else is (docs/decisions/0009-people-are-asked-once.md)."""

from gatewright.gates.findings import FINDINGS_MAX, Judged, Problem, Question, conclude
from gatewright.gates.kinds.scope import default_gate
from gatewright.gates.runner import _without_allowed, without_upheld
from gatewright.gates.verdict import fingerprints_of
from gatewright.schemas.records import Evidence, Outcome


def asking_about(contents: dict[str, str]) -> Evidence:
    about = tuple(Problem("protected", f"{path} is protected.", path, text=text) for path, text in contents.items())
    return conclude(default_gate(), Judged(len(about), "tree entries", questions=(Question("May it?", about),)))


def judged_after_allowing(before: dict[str, str], after: dict[str, str]) -> Outcome:
    allowed = tuple(finding.fingerprint for finding in asking_about(before).findings)
    return _without_allowed(asking_about(after), allowed).outcome


def test_the_same_contents_are_not_asked_about_again() -> None:
    assert judged_after_allowing({"ruff.toml": "old"}, {"ruff.toml": "old"}) is Outcome.PASSED


def test_other_contents_are_another_question() -> None:
    assert judged_after_allowing({"ruff.toml": "old"}, {"ruff.toml": "new"}) is Outcome.PENDING


def test_what_was_allowed_does_not_cover_what_comes_on_top() -> None:
    assert judged_after_allowing({"ruff.toml": "old"}, {"ruff.toml": "old", "mypy.ini": "new"}) is Outcome.PENDING


def test_who_upholds_a_dispute_has_not_allowed_what_the_same_gate_would_have_asked() -> None:
    """Regression: one sentence about a path outside let the rules of a tool through that were changed beside it."""
    outside = Problem("outside", "deploy.sh is changed, but this stage may write only src/**.", "deploy.sh")
    rules = Problem("protected", "ruff.toml is protected.", "ruff.toml", text="new", severity="question")
    questions = (Question("May it?", (rules,), "-old\n+new"),)
    both = conclude(default_gate(), Judged(2, "tree entries", new=(outside,), questions=questions))
    alone = conclude(default_gate(), Judged(1, "tree entries", new=(outside,)))
    upheld = fingerprints_of([both])

    judged = without_upheld(both, upheld)

    assert judged.outcome is Outcome.PENDING
    assert [finding.path for finding in judged.findings] == ["ruff.toml"]
    assert judged.question == "May it?\n-old\n+new", "a person decides about what is shown, not about a name"
    assert both.question is None
    assert without_upheld(alone, upheld).outcome is Outcome.PASSED


def test_nothing_hides_behind_the_end_of_a_list_that_was_cut() -> None:
    """Otherwise a few hundred harmless questions, once allowed, would let anything behind them through."""
    harmless = {f"a{number:04}/conftest.py": "same" for number in range(FINDINGS_MAX)}

    assert judged_after_allowing({**harmless, "z/conftest.py": "good"}, {**harmless, "z/conftest.py": "evil"}) is (
        Outcome.PENDING
    )
