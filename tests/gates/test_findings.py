"""Findings: the same problem keeps its name, and an outcome needs evidence."""

from dataclasses import replace

import pytest

from gatewright.gates.findings import FINDINGS_MAX, Judged, Problem, Question, conclude, fingerprint, split_by_base
from gatewright.gates.process import Finished
from gatewright.schemas.pipeline import GateSpec
from gatewright.schemas.records import Outcome

GATE = GateSpec(kind="ruff", name="lint")
PROBLEM = Problem("F401", "`os` imported but unused", "a.py", 3, "import os")
ASKED = Question("May it?", (replace(PROBLEM, severity="question"),), "the lines")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (replace(PROBLEM, line=9), True),
        (replace(PROBLEM, text="    import  os "), True),
        (replace(PROBLEM, path="b.py"), True),
        (replace(PROBLEM, message="`os` imported but unused"), True),
        (replace(PROBLEM, path="c.py"), False),
        (replace(PROBLEM, rule="F811"), False),
        (replace(PROBLEM, text="import os, sys"), False),
        (replace(PROBLEM, message="`sys` imported but unused"), False),
    ],
)
def test_a_fingerprint_knows_a_problem_again_where_it_moved(other: Problem, is_same: bool) -> None:
    assert (fingerprint(PROBLEM, {}) == fingerprint(other, {"b.py": "a.py"})) is is_same


def test_numbers_of_lines_within_a_message_do_not_count() -> None:
    first, second = (Problem("F811", f"redefinition of `f` from line {line}", "a.py", 9) for line in (2, 5))

    assert fingerprint(first, {}) == fingerprint(second, {})


def test_problems_are_compared_by_number() -> None:
    new, tolerated = split_by_base([PROBLEM, PROBLEM, PROBLEM], [PROBLEM, PROBLEM], {})

    assert (len(new), len(tolerated)) == (1, 2)


def test_a_problem_goes_along_with_code_that_is_moved_to_another_file() -> None:
    elsewhere = replace(PROBLEM, path="c.py", line=1)

    assert split_by_base([elsewhere], [PROBLEM], {}) == ((), (elsewhere,))
    assert split_by_base([PROBLEM, elsewhere], [PROBLEM], {}) == ((elsewhere,), (PROBLEM,))
    assert split_by_base([elsewhere, elsewhere], [PROBLEM], {}) == ((elsewhere,), (elsewhere,))


def test_a_problem_without_a_line_belongs_to_its_file() -> None:
    elsewhere = replace(PROBLEM, path="c.py", text="")

    assert split_by_base([elsewhere], [replace(PROBLEM, text="")], {}) == ((elsewhere,), ())


@pytest.mark.parametrize(
    ("judged", "outcome"),
    [
        (Judged(3, "files"), Outcome.PASSED),
        (Judged(0, "files"), Outcome.ERRORED),
        (Judged(0, "files", tolerated=(PROBLEM,)), Outcome.ERRORED),
        (Judged(0, "files", questions=(ASKED,)), Outcome.ERRORED),
        (Judged(3, "files", tolerated=(PROBLEM,)), Outcome.PASSED),
        (Judged(3, "files", questions=(ASKED,)), Outcome.PENDING),
        (Judged(3, "files", new=(PROBLEM,), questions=(ASKED,)), Outcome.FAILED),
        (Judged(0, "files", new=(PROBLEM,)), Outcome.FAILED),
    ],
)
def test_failure_outranks_a_question_and_nothing_counted_is_no_pass(judged: Judged, outcome: Outcome) -> None:
    assert conclude(GATE, judged).outcome is outcome


def test_ids_are_distinct_within_one_evidence_and_the_same_in_the_next() -> None:
    judged = Judged(3, "files", new=(PROBLEM,) * 3, tolerated=(PROBLEM,) * 2)

    first, second = conclude(GATE, judged), conclude(GATE, judged)
    ids = [finding.id for finding in (*first.findings, *first.tolerated)]

    assert len(set(ids)) == 5
    assert ids == [finding.id for finding in (*second.findings, *second.tolerated)]
    assert {finding.fingerprint for finding in first.findings} == {fingerprint(PROBLEM, {})}


def test_what_a_tool_says_is_cleaned_and_bounded() -> None:
    loud = Problem("R", "\x1b[31mred\u202e" + "x" * 10_000, "a.py", 1, satisfy="\x1b[1mdo\x07")

    evidence = conclude(GATE, Judged(1, "files", new=(loud,) * (FINDINGS_MAX + 1)))

    assert len(evidence.findings) == FINDINGS_MAX
    assert evidence.findings[0].message.startswith("redxxx")
    assert len(evidence.findings[0].message) < 1_000
    assert evidence.findings[0].satisfy == "do"
    assert str(FINDINGS_MAX + 1) in evidence.summary


def test_the_weakest_isolation_of_the_runs_is_told() -> None:
    ended = Finished(0, None, False, "", 0, "", 0.0, started=True, problem=None, isolation="process")
    runs = (ended, replace(ended, isolation="none"))

    assert conclude(GATE, Judged(1, "files", runs=runs)).isolation == "none"
