"""What the scripted model does, in every client: plan and hand over; code wrongly, mend and land; review.

Who plans and who codes are different clients: the one finds in its brief what the other handed over.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum

from conversation import Action, CallTool, Received, Say, StoryError, Telling, WriteFile

WAIT_S = 30
ROUNDS_MAX = 40
DONE = "What was asked for is done:"
THINKS_IT_IS_DONE = "The plan stands in the workspace, so I am done."

PLAN = """# Add mean()

## Goal

Give the arithmetic mean of some numbers, next to their total.

## Requirements

- R1: `mean([1, 2])` is 1.5.
- R2: `mean([])` is refused with a ValueError.
"""
WRONG_CODE = '''"""The arithmetic mean."""

import math


def mean(numbers: list[float]) -> float:
    """The mean of the numbers; ValueError when there are none."""
    if not numbers:
        raise ValueError("no numbers, no mean")
    return sum(numbers) // len(numbers)
'''
RIGHT_CODE = WRONG_CODE.replace("import math\n\n\n", "\n").replace("//", "/")
TESTS = """import pytest
from {module} import mean


def test_the_mean_keeps_its_fraction() -> None:
    assert mean([1, 2]) == 1.5


def test_no_numbers_have_no_mean() -> None:
    with pytest.raises(ValueError):
        mean([])
"""

PLAN_SUMMARY = "What mean() must do"
WRONG_SUMMARY = "mean() rounds down and imports what it does not use"
MENDED_SUMMARY = "mean() keeps the fraction"

Told = Generator[Action, Received, Received]


class Leg(StrEnum):
    """One run of a client, and the stage that it works on."""

    PLAN = "plan"
    CODE = "code"
    REVIEW = "review"


@dataclass(frozen=True)
class Task:
    """A small change to a small project, with files of its own: several are on their way at once."""

    module: str

    @property
    def title(self) -> str:
        return f"Add mean() in {self.module}"

    @property
    def code_path(self) -> str:
        return f"{self.module}.py"

    @property
    def tests_path(self) -> str:
        return f"tests/test_{self.module}.py"

    @property
    def tests(self) -> str:
        return TESTS.format(module=self.module)


@dataclass(frozen=True)
class Errand:
    """What one client is to do for a task; `change` is empty before it has been started."""

    leg: Leg
    task: Task
    agent: str
    change: str = ""
    meets_hook: bool = False
    """The model tries to end on an unsubmitted lease, and something of the client's sends it back."""

    @property
    def prompt(self) -> str:
        """What a person would ask for."""
        what = {
            Leg.PLAN: f"start a change '{self.task.title}' and do its plan; somebody else codes it",
            Leg.CODE: f"take stage code of {self.change} to the target branch",
            Leg.REVIEW: f"review stage code of {self.change}",
        }
        return f"Use the gatewright tools: {what[self.leg]}."

    def tell(self) -> Telling:
        """The story of this errand. Ends with one sentence; StoryError where the server answers something else."""
        match self.leg:
            case Leg.PLAN:
                return _plan(self)
            case Leg.CODE:
                return _code(self)
            case Leg.REVIEW:
                return _review(self)


def plan_path(change: str) -> str:
    """Where the pipeline that `init` writes wants the plan of a change."""
    return f"docs/changes/{change}.md"


def _plan(errand: Errand) -> Telling:
    started = yield CallTool("start_change", {"title": errand.task.title, "intent": "Offer mean() beside total()."})
    change = started.get("change")
    brief = yield from _claim(errand, change, "plan")
    yield WriteFile(f"{brief.get('workspace')}/{plan_path(change)}", PLAN)
    if errand.meets_hook:
        sent_back = yield Say(THINKS_IT_IS_DONE)
        if "submit_artifact" not in sent_back.text:
            raise StoryError(f"nothing about an unsubmitted lease: {sent_back.text[:200]!r}")
    yield from _submit(brief, PLAN_SUMMARY, expected="passed")
    return f"{DONE} the plan of {change} is handed over."


def _code(errand: Errand) -> Telling:
    brief = yield from _claim(errand, errand.change, "code")
    workspace = brief.get("workspace")
    yield WriteFile(f"{workspace}/{errand.task.code_path}", WRONG_CODE)
    yield WriteFile(f"{workspace}/{errand.task.tests_path}", errand.task.tests)
    yield from _submit(brief, WRONG_SUMMARY, expected="failed")
    yield WriteFile(f"{workspace}/{errand.task.code_path}", RIGHT_CODE)
    verdict = yield from _submit(brief, MENDED_SUMMARY)
    if verdict.says("outcome", "pending"):
        return f"{DONE} {errand.change} waits for its review."
    if not verdict.says("outcome", "passed"):
        raise StoryError(f"it should have passed: {verdict.text[:300]}")
    yield from _await_landing(errand.change)
    return f"{DONE} {errand.change} has landed."


def _review(errand: Errand) -> Telling:
    brief = yield from _claim(errand, errand.change, "code")
    if brief.get("kind") != "review":
        raise StoryError(f"no review of {errand.change}: {brief.text[:300]}")
    diff = yield CallTool("read_artifact", {"change": errand.change, "stage": "code", "path": "diff"})
    if "def mean" not in diff.text:
        raise StoryError(f"the diff does not show the code: {diff.text[:300]}")
    inspected = [errand.task.code_path, errand.task.tests_path]
    given = {"lease": brief.get("lease"), "findings": [], "inspected": inspected, "note": "Does what was planned."}
    reviewed = yield CallTool("review_artifact", given)
    if not reviewed.says("verdict", "accepted"):
        raise StoryError(f"the review was not accepted: {reviewed.text[:300]}")
    yield from _await_landing(errand.change)
    return f"{DONE} {errand.change} has landed."


def _claim(errand: Errand, change: str, stage: str) -> Told:
    given = {"agent": errand.agent, "change": change, "stage": stage, "wait_s": WAIT_S}
    brief = yield CallTool("claim_stage", given)
    brief.get("lease")
    return brief


def _submit(brief: Received, summary: str, *, expected: str = "") -> Told:
    given = {"lease": brief.get("lease"), "summary": summary, "wait_s": WAIT_S}
    verdict = yield CallTool("submit_artifact", given)
    for _ in _rounds("judging", summary):
        if verdict.get("state") != "running":
            break
        verdict = yield CallTool("wait_for_update", {"evaluation": verdict.get("evaluation"), "wait_s": WAIT_S})
    if expected and verdict.get("outcome") != expected:
        raise StoryError(f"{summary!r} should have {expected}: {verdict.text[:300]}")
    return verdict


def _await_landing(change: str) -> Generator[Action, Received]:
    for _ in _rounds("landing", change):
        status = yield CallTool("get_status", {"change": change})
        if status.says("state", "landed"):
            return
        yield CallTool("wait_for_update", {"change": change, "wait_s": 5})


def _rounds(what: str, of: str) -> Iterator[int]:
    yield from range(ROUNDS_MAX)
    raise StoryError(f"{what} of {of} did not end")
