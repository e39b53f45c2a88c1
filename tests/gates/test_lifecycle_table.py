"""Every state of a stage with everything that can be asked of it: what follows, or which refusal."""

from collections.abc import Callable

import pytest

from gatewright.gates.machine import commands as c
from gatewright.gates.machine.transitions import TRANSITIONS, Step, follow
from gatewright.schemas.records import GateOutcome, Outcome, StageState
from gatewright.schemas.refusals import RefusalCode as R

from .lifecycle_story import FAILED, PASSED, PENDING, Story

S = StageState

PASS = (GateOutcome("scope", PASSED), GateOutcome("test", PASSED))
FAIL = (GateOutcome("scope", PASSED), GateOutcome("test", FAILED))
ASK = (GateOutcome("scope", PENDING), GateOutcome("test", PASSED))
ERROR = (GateOutcome("scope", PASSED), GateOutcome("test", Outcome.ERRORED))


def settle(story: Story, gates: tuple[GateOutcome, ...]) -> c.Settle:
    current = story.stage("code").current
    return c.Settle("code", current.evaluation if current else "c1.e99", gates, ("x",))


# What each command makes of `code` in each state: the state after it, or the code of the refusal.
COMMANDS: dict[str, Callable[[Story], c.Command]] = {
    "claim": lambda story: c.Claim("code", "bob", "stdio:bob"),
    "renew": lambda story: c.Renew("code", story.stage("code").fence),
    "submit": lambda story: c.Submit("code", story.stage("code").fence, "new", "new-tree", "b", "s"),
    "release": lambda story: c.Release("code", story.stage("code").fence, c.Because.DONE_FOR_NOW, "later"),
    "withdraw": lambda story: c.Release("code", story.stage("code").fence, c.Because.WITHDRAW, "wait"),
    "cannot": lambda story: c.Release("code", story.stage("code").fence, c.Because.CANNOT, "too hard"),
    "spec_conflict": lambda story: c.Release("code", story.stage("code").fence, c.Because.SPEC_CONFLICT, "no", "plan"),
    "needs_decision": lambda story: c.Release("code", story.stage("code").fence, c.Because.NEEDS_DECISION, "A or B?"),
    "settle passed": lambda story: settle(story, PASS),
    "settle failed": lambda story: settle(story, FAIL),
    "settle errored": lambda story: settle(story, ERROR),
    "settle pending": lambda story: settle(story, ASK),
    "review": lambda story: c.ClaimReview("code", "rex", "stdio:rex"),
    "renew review": lambda story: c.RenewReview("code", 0),
    "release review": lambda story: c.ReleaseReview("code", 0, "no time"),
    "give review": lambda story: c.GiveReview("code", 0, (), ("all of it",)),
    "approve": lambda story: c.Approve("code", None, "person:eve", "secret", "commit", "main", True, ""),
    "answer": lambda story: c.Answer("code", None, True, "person:eve", "fine"),
    "refuse": lambda story: c.Answer("code", None, False, "person:eve", "no"),
    "retry gates": lambda story: c.RetryGates("code", "person:eve"),
    "grant": lambda story: c.GrantAttempts("code", "person:eve", 2),
    "reopen": lambda story: c.Reopen("code", "person:eve", "look again"),
    "upstream reopened": lambda story: c.Reopen("plan", "person:eve", "wrong plan"),
}

W, OP, C, E, RV, P, X = S.WAITING, S.OPEN, S.CLAIMED, S.EVALUATING, S.IN_REVIEW, S.PASSED, S.ESCALATED
BAD, WAIT, LOST, HELD = R.BAD_ARGUMENT, R.STAGE_WAITING, R.LEASE_LOST, R.LEASE_HELD
VOID = R.REVIEW_STALE
JUDGED, ASKED, DONE, PEOPLE = R.STAGE_EVALUATING, R.STAGE_IN_REVIEW, R.STAGE_PASSED, R.STAGE_ESCALATED

#                     waiting    open       claimed    evaluating in_review  passed     escalated
TABLE: dict[str, tuple[StageState | R, ...]] = {
    "claim":             (WAIT,   C,      HELD,   JUDGED, ASKED,  DONE,   PEOPLE),
    "renew":             (WAIT,   LOST,   C,      E,      RV,     DONE,   PEOPLE),
    "submit":            (WAIT,   LOST,   E,      JUDGED, ASKED,  DONE,   PEOPLE),
    "release":           (WAIT,   LOST,   OP,     E,      RV,     DONE,   PEOPLE),
    "withdraw":          (WAIT,   LOST,   OP,     C,      C,      DONE,   PEOPLE),
    "cannot":            (WAIT,   LOST,   OP,     JUDGED, ASKED,  DONE,   PEOPLE),
    "settle passed":     (W,      OP,     C,      P,      RV,     P,      X),
    "settle failed":     (W,      OP,     C,      C,      RV,     P,      X),
    "settle errored":    (W,      OP,     C,      E,      RV,     P,      X),
    "settle pending":    (W,      OP,     C,      RV,     RV,     P,      X),
    "review":            (WAIT,   BAD,    HELD,   JUDGED, ASKED,  DONE,   PEOPLE),
    "renew review":      (VOID,   VOID,   VOID,   VOID,   VOID,   VOID,   VOID),
    "release review":    (VOID,   VOID,   VOID,   VOID,   VOID,   VOID,   VOID),
    "give review":       (VOID,   VOID,   VOID,   VOID,   VOID,   VOID,   VOID),
    "approve":           (WAIT,   BAD,    HELD,   JUDGED, BAD,    DONE,   PEOPLE),
    "answer":            (BAD,    BAD,    BAD,    BAD,    P,      BAD,    OP),
    "refuse":            (BAD,    BAD,    BAD,    BAD,    C,      BAD,    OP),
    "retry gates":       (BAD,    BAD,    BAD,    BAD,    BAD,    BAD,    BAD),
    "grant":             (BAD,    BAD,    BAD,    BAD,    BAD,    BAD,    OP),
    "reopen":            (BAD,    BAD,    BAD,    BAD,    BAD,    OP,     OP),
    "upstream reopened": (BAD,    W,      W,      W,      W,      W,      W),
}  # fmt: skip

CASES = [(name, state, expected) for name, row in TABLE.items() for state, expected in zip(S, row, strict=True)]


@pytest.mark.parametrize(("name", "state", "expected"), CASES, ids=[f"{s}-{n}" for n, s, _ in CASES])
def test_every_command_in_every_state_does_what_the_table_says(
    name: str, state: StageState, expected: StageState | R
) -> None:
    story = Story().in_state(state)

    code = story.refused(COMMANDS[name](story))

    assert (code or story.state("code")) == expected


def test_the_table_of_commands_covers_every_command_that_concerns_a_stage() -> None:
    about_the_change = {"Start", "KeepOrphan", "Cancel", "Repin"}
    about_landing = {"SettleLanding", "BlockLanding", "RetryLanding", "ConfirmLanding", "DelayLanding", "LoseLanding"}
    every = {member.__name__ for member in c.Command.__args__}

    told = {type(make(Story().in_state(S.CLAIMED))).__name__ for make in COMMANDS.values()}

    assert told == every - about_the_change - about_landing


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("step", list(Step))
def test_a_step_that_the_table_does_not_have_cannot_happen(state: StageState, step: Step) -> None:
    if step in TRANSITIONS[state]:
        assert follow(state, step) is TRANSITIONS[state][step]
    else:
        with pytest.raises(AssertionError, match="cannot"):
            follow(state, step)


def test_every_state_can_be_left_and_every_state_can_be_reached() -> None:
    reached = {after for row in TRANSITIONS.values() for after in row.values()}

    assert set(TRANSITIONS) == set(S)
    assert all(TRANSITIONS[state] for state in S)
    assert reached == set(S)
