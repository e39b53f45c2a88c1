"""The table of stage states: the truth about what may follow what.

`evolve` looks every change of state up here and asserts that it stands; `docs/protocol.md` draws its diagram from it.
A step that is missing under a state cannot happen there. Source: docs/protocol.md
"""

from collections.abc import Mapping
from enum import StrEnum

from ...schemas.records import StageState


class Step(StrEnum):
    """What can happen to a stage, in the words of the protocol."""

    NEEDS_PASSED = "needs passed"
    QUESTION_BACK = "needs passed, a question was kept"
    CLAIM = "claim"
    TAKE_OVER = "claim after expiry"
    RENEW = "renew"
    RELEASE = "release"
    SUBMIT = "submit"
    RUN = "the server runs it"
    MADE = "the server made it"
    WITHDRAW = "withdraw"
    FLOOR_PASSED = "floor passed, people or reviewers remain"
    ANSWERED = "a question answered"
    REVIEWED = "a review or an approval given"
    PASS = "everything passed"
    FAIL = "failed, holder keeps it"
    FAIL_UNHELD = "failed, nobody holds it"
    FAIL_RUN = "failed, the server ran it"
    ERROR = "errored, tried again"
    ESCALATE = "people must decide"
    RETRY_GATES = "person: retry gates"
    GRANT = "person: grant attempts"
    DECIDE = "person: answer"
    REOPEN = "reopen"
    RERUN = "to be run by the server again"
    CLOSE = "an upstream stage reopened"


_S = StageState

TRANSITIONS: Mapping[StageState, Mapping[Step, StageState]] = {
    # A `run:` stage is never open: what opens another stage starts it, and what fails it is told to people, or to a
    # stage before it, in the same decision.
    _S.WAITING: {
        Step.NEEDS_PASSED: _S.OPEN,
        Step.QUESTION_BACK: _S.ESCALATED,
        Step.RUN: _S.EVALUATING,
        Step.ESCALATE: _S.ESCALATED,
    },
    _S.OPEN: {
        Step.CLAIM: _S.CLAIMED,
        Step.SUBMIT: _S.EVALUATING,
        Step.ESCALATE: _S.ESCALATED,
        Step.CLOSE: _S.WAITING,
    },
    _S.CLAIMED: {
        Step.RENEW: _S.CLAIMED,
        Step.TAKE_OVER: _S.CLAIMED,
        Step.SUBMIT: _S.EVALUATING,
        Step.RELEASE: _S.OPEN,
        Step.ESCALATE: _S.ESCALATED,
        Step.CLOSE: _S.WAITING,
    },
    _S.EVALUATING: {
        Step.MADE: _S.EVALUATING,
        Step.WITHDRAW: _S.CLAIMED,
        Step.RELEASE: _S.EVALUATING,
        Step.FLOOR_PASSED: _S.IN_REVIEW,
        Step.PASS: _S.PASSED,
        Step.FAIL: _S.CLAIMED,
        Step.FAIL_UNHELD: _S.OPEN,
        Step.FAIL_RUN: _S.WAITING,
        Step.ERROR: _S.EVALUATING,
        Step.ESCALATE: _S.ESCALATED,
        Step.CLOSE: _S.WAITING,
    },
    _S.IN_REVIEW: {
        Step.WITHDRAW: _S.CLAIMED,
        Step.RELEASE: _S.IN_REVIEW,
        Step.ANSWERED: _S.IN_REVIEW,
        Step.REVIEWED: _S.IN_REVIEW,
        Step.PASS: _S.PASSED,
        Step.FAIL: _S.CLAIMED,
        Step.FAIL_UNHELD: _S.OPEN,
        Step.FAIL_RUN: _S.WAITING,
        Step.CLOSE: _S.WAITING,
    },
    _S.PASSED: {
        Step.REOPEN: _S.OPEN,
        Step.RERUN: _S.WAITING,
        Step.ESCALATE: _S.ESCALATED,
        Step.CLOSE: _S.WAITING,
    },
    _S.ESCALATED: {
        Step.RETRY_GATES: _S.EVALUATING,
        Step.RUN: _S.EVALUATING,
        Step.RERUN: _S.WAITING,
        Step.GRANT: _S.OPEN,
        Step.DECIDE: _S.OPEN,
        Step.REOPEN: _S.OPEN,
        Step.CLOSE: _S.WAITING,
    },
}


def follow(state: StageState, step: Step) -> StageState:
    """The state after `step`; a step that the table does not have is our bug and asserts."""
    after = TRANSITIONS[state].get(step)
    assert after is not None, f"a stage that is {state} cannot: {step}"
    return after
