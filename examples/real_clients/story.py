"""What the scripted model does in every client: a plan, a wrong submission, the mend, the landing."""

from collections.abc import Generator, Iterator

from conversation import CallTool, Received, StoryError, WriteFile

PROMPT = "Add mean() to this project. Use the gatewright tools: start a change and take it to the target branch."

PLAN_PATH = "docs/changes/{change}.md"
PLAN = """# Add mean()

## Goal

Give the arithmetic mean of some numbers, next to their total.

## Requirements

- R1: `mean([1, 2])` is 1.5.
- R2: `mean([])` is refused with a ValueError.
"""

CODE_PATH = "mean.py"
TESTS_PATH = "tests/test_mean.py"
TESTS = """import pytest
from mean import mean


def test_the_mean_keeps_its_fraction() -> None:
    assert mean([1, 2]) == 1.5


def test_no_numbers_have_no_mean() -> None:
    with pytest.raises(ValueError):
        mean([])
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

WRONG_SUMMARY = "mean() rounds down and imports what it does not use"
MENDED_SUMMARY = "mean() keeps the fraction"

WAIT_S = 30
ROUNDS_MAX = 40

Telling = Generator[CallTool | WriteFile, Received, dict[str, object]]


def take_a_change_through() -> Generator[CallTool | WriteFile, Received, str]:
    """The whole journey. Ends with one sentence; StoryError where the server answers something else."""
    started = yield from _call("start_change", title="Add mean()", intent="Offer mean() beside total().")
    change = str(started["change"])
    plan = yield from _claim(change, "plan")
    yield WriteFile(f"{plan['workspace']}/{PLAN_PATH.format(change=change)}", PLAN)
    yield from _submit(plan, "What mean() must do", expected="passed")
    code = yield from _claim(change, "code")
    yield WriteFile(f"{code['workspace']}/{CODE_PATH}", WRONG_CODE)
    yield WriteFile(f"{code['workspace']}/{TESTS_PATH}", TESTS)
    yield from _submit(code, WRONG_SUMMARY, expected="failed")
    yield WriteFile(f"{code['workspace']}/{CODE_PATH}", RIGHT_CODE)
    yield from _submit(code, MENDED_SUMMARY, expected="passed")
    yield from _await_landing(change)
    return f"{change} has landed."


def _call(tool: str, **arguments: object) -> Telling:
    received = yield CallTool(tool, arguments)
    data = received.data()
    if "code" in data and "message" in data:
        raise StoryError(f"{tool} was refused: {data['code']}: {data['message']}")
    return data


def _claim(change: str, stage: str) -> Telling:
    brief = yield from _call("claim_stage", agent="scripted", change=change, stage=stage, wait_s=WAIT_S)
    if brief.get("kind") != "work":
        raise StoryError(f"no work in stage {stage}: {brief}")
    return brief


def _submit(brief: dict[str, object], summary: str, *, expected: str) -> Telling:
    verdict = yield from _call("submit_artifact", lease=brief["lease"], summary=summary, wait_s=WAIT_S)
    for _ in _rounds("judging", brief["stage"]):
        if verdict.get("state") != "running":
            break
        verdict = yield from _call("wait_for_update", evaluation=verdict["evaluation"], wait_s=WAIT_S)
    if verdict.get("outcome") != expected:
        raise StoryError(f"{summary!r} should have {expected}: {verdict}")
    return verdict


def _await_landing(change: str) -> Generator[CallTool | WriteFile, Received, None]:
    for _ in _rounds("landing", change):
        status = yield from _call("get_status", change=change)
        changes = status["changes"]
        if isinstance(changes, list) and any(one["change"] == change and one["state"] == "landed" for one in changes):
            return
        yield CallTool("wait_for_update", {"change": change, "wait_s": 5})


def _rounds(what: str, of: object) -> Iterator[int]:
    yield from range(ROUNDS_MAX)
    raise StoryError(f"{what} of {of} did not end")
