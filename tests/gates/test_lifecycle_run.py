"""`run:` stages: every state with everything that can be asked of it, and their stories."""

from collections.abc import Callable

import pytest

from gatewright.gates.lifecycle import live_evaluations
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import replay
from gatewright.gates.machine.settlement import ERROR_RETRY_DELAYS_S
from gatewright.schemas.events import EvaluationErrored, StageOpened, TransformStarted
from gatewright.schemas.plan import PolicyPin
from gatewright.schemas.records import AttemptState, Cause, GateOutcome, Outcome, StageState
from gatewright.schemas.refusals import RefusalCode as R

from .lifecycle_story import ERRORED, FAILED, PASSED, PENDING, Story, judged, rule

S = StageState
RULES = (rule("code"), rule("docs", "code", is_run=True))


def story_in(state: StageState) -> Story:
    """A change whose `run:` stage `docs` is in the state, by commands alone."""
    story = Story(RULES)
    if state is not S.WAITING:
        story.passed("code")
    match state:
        case S.IN_REVIEW:
            story.finish_run("docs", PENDING)
        case S.PASSED:
            story.finish_run("docs", PASSED)
        case S.ESCALATED:
            story.finish_run("docs", FAILED)
        case _:
            pass
    assert story.state("docs") is state
    return story


def settle(story: Story, outcome: Outcome) -> c.Settle:
    gates = (GateOutcome("scope", PASSED), GateOutcome("run", PASSED), GateOutcome("test", outcome))
    made = c.Made("made", "tree", "b", "1 path written")
    return c.Settle("docs", story.stage("docs").transform or "c1.e99", gates, ("x",), made)


COMMANDS: dict[str, Callable[[Story], c.Command]] = {
    "claim": lambda story: c.Claim("docs", "bob", "stdio:bob"),
    "renew": lambda story: c.Renew("docs", story.stage("docs").fence),
    "submit": lambda story: c.Submit("docs", story.stage("docs").fence, "new", "new-tree", "b", "s"),
    "release": lambda story: c.Release("docs", story.stage("docs").fence, c.Because.DONE_FOR_NOW, "later"),
    "withdraw": lambda story: c.Release("docs", story.stage("docs").fence, c.Because.WITHDRAW, "wait"),
    "spec_conflict": lambda story: c.Release("docs", story.stage("docs").fence, c.Because.SPEC_CONFLICT, "no", "code"),
    "needs_decision": lambda story: c.Release("docs", story.stage("docs").fence, c.Because.NEEDS_DECISION, "A or B?"),
    "settle passed": lambda story: settle(story, PASSED),
    "settle failed": lambda story: settle(story, FAILED),
    "settle errored": lambda story: settle(story, ERRORED),
    "settle pending": lambda story: settle(story, PENDING),
    "answer": lambda story: c.Answer("docs", None, True, "person:eve", "fine"),
    "refuse": lambda story: c.Answer("docs", None, False, "person:eve", "no"),
    "retry gates": lambda story: c.RetryGates("docs", "person:eve"),
    "grant": lambda story: c.GrantAttempts("docs", "person:eve", 2),
    "reopen": lambda story: c.Reopen("docs", "person:eve", "look again"),
    "upstream reopened": lambda story: c.Reopen("code", "person:eve", "wrong"),
}

W, E, RV, P, X = S.WAITING, S.EVALUATING, S.IN_REVIEW, S.PASSED, S.ESCALATED
BAD, WAIT, RUNS, ASKED, DONE, PEOPLE = (
    R.BAD_ARGUMENT, R.STAGE_WAITING, R.STAGE_EVALUATING, R.STAGE_IN_REVIEW, R.STAGE_PASSED, R.STAGE_ESCALATED
)  # fmt: skip

#                     waiting evaluating in_review passed escalated
TABLE: dict[str, tuple[StageState | R, ...]] = {
    "claim":             (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "renew":             (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "submit":            (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "release":           (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "withdraw":          (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "spec_conflict":     (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "needs_decision":    (WAIT, RUNS, ASKED, DONE, PEOPLE),
    "settle passed":     (W,    P,    RV,    P,    X),
    "settle failed":     (W,    X,    RV,    P,    X),
    "settle errored":    (W,    E,    RV,    P,    X),
    "settle pending":    (W,    RV,   RV,    P,    X),
    "answer":            (BAD,  BAD,  P,     BAD,  E),
    "refuse":            (BAD,  BAD,  X,     BAD,  E),
    "retry gates":       (BAD,  BAD,  BAD,   BAD,  E),
    "grant":             (BAD,  BAD,  BAD,   BAD,  BAD),
    "reopen":            (BAD,  BAD,  BAD,   E,    E),
    "upstream reopened": (BAD,  W,    W,     W,    W),
}  # fmt: skip

CASES = [
    (name, state, expected)
    for name, row in TABLE.items()
    for state, expected in zip((W, E, RV, P, X), row, strict=True)
]


@pytest.mark.parametrize(("name", "state", "expected"), CASES, ids=[f"{s}-{n}" for n, s, _ in CASES])
def test_every_command_in_every_state_of_a_run_stage_does_what_the_table_says(
    name: str, state: StageState, expected: StageState | R
) -> None:
    story = story_in(state)

    code = story.refused(COMMANDS[name](story))

    assert (code or story.state("docs")) == expected


def test_a_run_stage_goes_from_waiting_to_evaluating_and_is_never_open() -> None:
    story = Story(RULES).passed("code")

    assert story.state("docs") is S.EVALUATING
    assert not any(isinstance(event, StageOpened) and event.stage == "docs" for event in story.events)
    assert live_evaluations(story.record) == {"c1.e2"}


def test_a_run_stage_without_needs_starts_with_the_change() -> None:
    story = Story((rule("docs", is_run=True), rule("code", "docs")))

    assert (story.state("docs"), story.state("code")) == (S.EVALUATING, S.WAITING)
    story.finish_run("docs", PASSED)
    assert story.state("code") is S.OPEN


def test_what_the_server_made_is_an_attempt_like_any_other() -> None:
    story = story_in(S.PASSED)

    attempt = story.stage("docs").artifact
    assert attempt is not None
    assert (attempt.number, attempt.commit, attempt.holder, attempt.state) == (
        1, "commit-made", "server", AttemptState.PASSED
    )  # fmt: skip
    assert attempt.evaluation == "c1.e2"
    assert story.record.landing is not None


def test_every_start_has_a_higher_fence() -> None:
    """Invariant I2."""
    story = story_in(S.PASSED)
    fences = [story.stage("docs").fence]
    story.do(c.Reopen("docs", "person:eve", "again"))
    fences.append(story.stage("docs").fence)
    story.finish_run("docs", FAILED)
    story.do(c.RetryGates("docs", "person:eve"))
    fences.append(story.stage("docs").fence)

    assert fences == [1, 2, 3]


def test_a_failed_run_is_not_tried_again_but_told_to_a_person_with_the_reason() -> None:
    story = story_in(S.ESCALATED)

    stage = story.stage("docs")
    assert stage.escalation is not None
    assert stage.escalation.cause is Cause.BUDGET_SPENT
    assert "exit code 1" in stage.escalation.question
    assert live_evaluations(story.record) == set()


def test_a_failed_run_reopens_the_named_stage_within_its_bound_and_then_asks_people() -> None:
    """Invariant I10: there is nobody else to mend it."""
    story = Story((rule("code", reopens=1), rule("docs", "code", otherwise="code", is_run=True))).passed("code")
    story.finish_run("docs", FAILED)
    assert (story.state("code"), story.state("docs")) == (S.OPEN, S.WAITING)
    assert "exit code 1" in story.stage("code").notes[-1].text

    story.passed("code")
    story.finish_run("docs", FAILED)

    assert (story.state("code"), story.state("docs")) == (S.ESCALATED, S.WAITING)


def test_a_gate_that_could_not_judge_has_the_stage_run_again_and_then_counts_as_broken() -> None:
    story = Story(RULES).passed("code")
    for delay_s in ERROR_RETRY_DELAYS_S:
        story.finish_run("docs", ERRORED)
        errored = story.events[-1]
        assert isinstance(errored, EvaluationErrored)
        assert (errored.not_before - story.now).total_seconds() == delay_s
        assert live_evaluations(story.record) == {errored.retry}

    story.finish_run("docs", ERRORED)

    escalation = story.stage("docs").escalation
    assert escalation is not None
    assert escalation.cause is Cause.GATE_BROKEN
    assert [attempt.state for attempt in story.stage("docs").attempts] == [AttemptState.SUPERSEDED] * 3


def test_a_run_afresh_has_its_own_budget_for_errors() -> None:
    story = Story(RULES).passed("code")
    for _ in range(len(ERROR_RETRY_DELAYS_S) + 1):
        story.finish_run("docs", ERRORED)
    story.do(c.RetryGates("docs", "person:eve"))

    story.finish_run("docs", ERRORED)

    assert story.state("docs") is S.EVALUATING


@pytest.mark.parametrize("how", ["reopened", "cancelled", "errored and tried again"])
def test_a_late_result_of_a_run_that_nobody_waits_for_changes_nothing(how: str) -> None:
    """Invariant I3: a zombie's word."""
    story = Story(RULES).passed("code")
    late = settle(story, PASSED)
    if how == "reopened":
        story.do(c.Reopen("code", "person:eve", "again"))
    elif how == "cancelled":
        story.do(c.Cancel("person:eve", "enough"))
    else:
        story.finish_run("docs", ERRORED)
    before = story.record

    story.do(late)

    assert story.record is before


def test_the_same_result_twice_counts_once() -> None:
    story = Story(RULES).passed("code")
    result = settle(story, PASSED)
    story.do(result)
    before = story.record

    story.do(result)

    assert story.record is before


def test_reopening_what_a_run_stage_is_made_from_has_it_run_again() -> None:
    story = story_in(S.PASSED)
    story.do(c.Reopen("code", "person:eve", "again"))
    assert live_evaluations(story.record) == set()

    story.passed("code")
    story.finish_run("docs", PASSED, tree="other")

    attempt = story.stage("docs").artifact
    assert attempt is not None
    assert (attempt.number, attempt.tree) == (2, "other")


def test_another_policy_has_it_run_again_instead_of_judging_what_was_made() -> None:
    """The command itself may be another."""
    story = story_in(S.PASSED)

    story.do(c.Repin(PolicyPin("q" * 40, "other digest"), story.record.plan, "the target has another policy"))
    story.settle("code", PASSED)

    assert isinstance(story.events[-1], TransformStarted)
    assert len(story.stage("docs").attempts) == 1


def test_a_spec_conflict_cannot_blame_what_the_server_runs() -> None:
    story = Story((rule("code"), rule("docs", "code", is_run=True), rule("review", "docs"))).passed("code")
    story.finish_run("docs", PASSED)
    story.claim("review")

    def conflict(stage: str) -> c.Release:
        return c.Release("review", 1, c.Because.SPEC_CONFLICT, "wrong", stage)

    assert story.refused(conflict("docs")) is R.BAD_ARGUMENT
    assert story.refused(conflict("code")) is None
    assert (story.state("code"), story.state("docs")) == (S.OPEN, S.WAITING)


def test_a_conflict_in_what_the_server_made_goes_to_the_agent_whose_work_it_is_made_from() -> None:
    story = story_in(S.PASSED)

    story.do(judged(story, conflicts=("docs/a.md", "code/a.py")))

    assert (story.state("code"), story.state("docs")) == (S.OPEN, S.WAITING)


def test_a_conflict_that_no_agent_can_mend_goes_to_a_person_and_is_not_run_into_again_and_again() -> None:
    """Invariant I10."""
    story = Story((rule("docs", is_run=True),))
    story.finish_run("docs", PASSED)

    story.do(judged(story, conflicts=("docs/a.md",)))

    assert story.state("docs") is S.ESCALATED
    assert live_evaluations(story.record) == set()


def test_a_question_to_people_about_a_run_stage_is_kept_when_an_upstream_stage_reopens() -> None:
    story = story_in(S.PASSED)
    story.do(judged(story, conflicts=("elsewhere/x",)))
    assert story.state("docs") is S.ESCALATED
    story.do(c.Reopen("code", "person:eve", "again"))

    story.passed("code")

    assert story.state("docs") is S.ESCALATED
    story.do(c.Answer("docs", None, True, "person:eve", "go on"))
    assert story.state("docs") is S.EVALUATING


def test_a_person_who_refuses_the_landing_of_what_the_server_made_reopens_the_agents_stage() -> None:
    story = story_in(S.PASSED)
    story.do(judged(story, PENDING))

    story.do(c.Answer("land", None, False, "person:eve", "not this week"))

    assert (story.state("code"), story.state("docs")) == (S.OPEN, S.WAITING)


def test_replaying_the_events_of_runs_gives_exactly_the_record() -> None:
    """Invariant I9."""
    story = Story(RULES).passed("code")
    story.finish_run("docs", ERRORED)
    story.finish_run("docs", PENDING)
    story.do(c.Answer("docs", None, False, "person:eve", "no"))
    story.do(c.Reopen("docs", "person:eve", "again"))
    story.finish_run("docs", PASSED)

    assert replay(story.events) == story.record
    assert story.record.version == len(story.events)
