"""The rules of the protocol as stories: fences, parked leases, budgets, progress, exits, reopening."""

from dataclasses import replace

from gatewright.gates.lifecycle import live_evaluations
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import replay
from gatewright.gates.machine.settlement import ERROR_RETRY_DELAYS_S
from gatewright.schemas.events import AttemptFailed, EvaluationErrored, StageEscalated
from gatewright.schemas.plan import PolicyPin
from gatewright.schemas.records import Answered, AttemptState, Cause, GateOutcome, StageState
from gatewright.schemas.refusals import RefusalCode

from .lifecycle_story import ERRORED, FAILED, LEASE_S, PASSED, PENDING, Story, rule


def test_an_expired_lease_lets_another_agent_claim_with_a_higher_fence() -> None:
    """Rule 1."""
    story = Story()
    story.claim("plan", "ada")
    story.wait(LEASE_S + 1)

    assert story.claim("plan", "bob") is None

    lease = story.stage("plan").lease
    assert lease is not None
    assert (lease.holder, lease.fence) == ("bob", 2)


def test_a_late_holder_may_submit_until_somebody_else_has_claimed() -> None:
    """Rule 1: expiry takes effect only when somebody else claims."""
    story = Story()
    story.claim("plan", "ada")
    story.wait(LEASE_S * 10)

    assert story.submit("plan") is None


def test_after_a_takeover_the_former_holder_is_refused_and_its_commit_can_be_kept_as_an_orphan() -> None:
    story = Story()
    story.claim("plan", "ada")
    story.wait(LEASE_S + 1)
    story.claim("plan", "bob")

    late = c.Submit("plan", 1, "late", "tree", "b", "s")
    assert story.refused(late) is RefusalCode.LEASE_LOST
    story.do(c.KeepOrphan("plan", 1, "late", "ada", "late work"))
    story.do(c.KeepOrphan("plan", 1, "late", "ada", "late work"))

    assert [orphan.commit for orphan in story.stage("plan").orphans] == ["late"]


def test_fences_only_rise_across_release_expiry_and_reopen() -> None:
    """Invariant I2."""
    story = Story()
    fences = []
    story.claim("plan")
    fences.append(story.stage("plan").fence)
    story.do(c.Release("plan", 1, c.Because.DONE_FOR_NOW, "later"))
    story.claim("plan")
    fences.append(story.stage("plan").fence)
    story.wait(LEASE_S + 1)
    story.claim("plan", "bob")
    fences.append(story.stage("plan").fence)
    story.submit("plan")
    story.settle("plan", PASSED)
    story.do(c.Reopen("plan", "person:eve", "again"))
    story.claim("plan")
    fences.append(story.stage("plan").fence)

    assert fences == [1, 2, 3, 4]


def test_a_parked_lease_cannot_expire_while_the_gates_judge() -> None:
    story = Story().in_state(StageState.EVALUATING)
    story.wait(LEASE_S * 100)

    assert story.refused(c.Claim("code", "bob", "stdio:bob")) is RefusalCode.STAGE_EVALUATING
    story.settle("code", FAILED, "x")

    lease = story.stage("code").lease
    assert lease is not None
    assert lease.expires_at > story.now, "a failure gives the holder a whole lease time to mend it"


def test_the_clock_going_back_never_shortens_a_lease_that_was_given() -> None:
    """Rule 13."""
    story = Story()
    story.claim("plan")
    story.wait(-LEASE_S * 5)

    assert story.refused(c.Claim("plan", "bob", "stdio:bob")) is RefusalCode.LEASE_HELD
    assert story.submit("plan") is None


def test_only_failed_verdicts_count_as_attempts() -> None:
    """Rule 3."""
    story = Story()
    story.claim("plan")
    story.submit("plan", "t1")
    story.do(c.Release("plan", 1, c.Because.WITHDRAW, "wait"))
    story.submit("plan", "t2")
    story.settle("plan", ERRORED)

    assert story.stage("plan").failed == 0


def test_a_spent_budget_asks_people_and_a_grant_opens_the_stage_again() -> None:
    story = Story()
    for number in range(3):
        story.attempt("plan", FAILED, f"t{number}", f"finding {number}")

    escalation = story.stage("plan").escalation
    assert escalation is not None
    assert escalation.cause is Cause.BUDGET_SPENT
    assert story.stage("plan").lease is None
    story.do(c.GrantAttempts("plan", "person:eve", 1))
    assert story.state("plan") is StageState.OPEN
    story.attempt("plan", FAILED, "t9", "finding 9")
    assert story.state("plan") is StageState.ESCALATED


def test_a_spent_budget_reopens_the_named_stage_within_its_bound_and_then_asks_people() -> None:
    """Invariant I10."""
    story = Story((rule("plan", reopens=1), rule("code", "plan", attempts=1, otherwise="plan")))
    story.passed("plan")
    story.attempt("code", FAILED, "t1", "x")
    assert (story.state("plan"), story.state("code")) == (StageState.OPEN, StageState.WAITING)
    assert "could not be passed" in story.stage("plan").notes[-1].source

    story.passed("plan")
    story.attempt("code", FAILED, "t2", "y")

    assert (story.state("plan"), story.state("code")) == (StageState.ESCALATED, StageState.WAITING)


def test_the_same_findings_three_times_running_stop_the_loop_before_its_budget() -> None:
    """Rule 5."""
    story = Story((rule("plan", attempts=10),))
    stuck = []
    for number in range(3):
        story.attempt("plan", FAILED, f"t{number}", "same", "findings")
        stuck.append(story.stage("plan").stuck)

    escalation = story.stage("plan").escalation
    assert stuck == [1, 2, 3]
    assert escalation is not None
    assert escalation.cause is Cause.NO_PROGRESS


def test_other_findings_start_the_count_of_no_progress_afresh() -> None:
    story = Story((rule("plan", attempts=10),))
    for number, finding in enumerate(["a", "a", "b", "a", "a"]):
        story.attempt("plan", FAILED, f"t{number}", finding)

    assert story.state("plan") is StageState.CLAIMED
    assert story.stage("plan").stuck == 2


def test_an_unchanged_tree_is_refused_after_a_failure() -> None:
    story = Story()
    story.attempt("plan", FAILED, "same", "x")

    again = c.Submit("plan", 1, "other commit", "same", "b", "s", open_findings=("f1",))

    assert story.refused(again) is RefusalCode.UNCHANGED_ARTIFACT


def _disputed(*findings: str) -> tuple[Answered, ...]:
    return tuple(Answered(finding, "disputed", "it is right as it is") for finding in findings)


def test_an_unchanged_tree_whose_findings_are_all_disputed_goes_to_a_person() -> None:
    """Rule 6: a dispute of the floor goes to a person."""
    story = Story()
    story.attempt("plan", FAILED, "same", "x")

    partly = c.Submit("plan", 1, "k", "same", "b", "no defect", answers=_disputed("f1"), open_findings=("f1", "f2"))
    both = ("f1", "f2")
    wholly = c.Submit("plan", 1, "k", "same", "b", "no defect", answers=_disputed(*both), open_findings=both)

    assert story.refused(partly) is RefusalCode.UNCHANGED_ARTIFACT
    assert story.refused(wholly) is None
    assert story.state("plan") is StageState.ESCALATED


def test_an_errored_verdict_is_tried_again_by_the_server_and_then_told_to_be_broken() -> None:
    story = Story()
    story.claim("plan")
    story.submit("plan")
    for delay_s in ERROR_RETRY_DELAYS_S:
        story.settle("plan", ERRORED)
        assert story.state("plan") is StageState.EVALUATING
        errored = story.events[-1]
        assert isinstance(errored, EvaluationErrored)
        assert (errored.not_before - story.now).total_seconds() == delay_s

    story.settle("plan", ERRORED)

    assert story.state("plan") is StageState.ESCALATED
    assert isinstance(story.events[-1], StageEscalated)
    assert story.events[-1].escalation.cause is Cause.GATE_BROKEN
    assert story.stage("plan").failed == 0


def test_a_verdict_without_evidence_for_every_gate_never_passes() -> None:
    """Invariant I6: empty means refused."""
    story = Story()
    story.claim("plan")
    story.submit("plan")

    story.do(c.Settle("plan", "c1.e1", ()))

    assert story.state("plan") is StageState.EVALUATING


def test_a_result_for_another_evaluation_than_the_current_changes_nothing() -> None:
    """Invariant I3."""
    story = Story()
    story.claim("plan")
    story.submit("plan", "t1")
    late = c.Settle("plan", "c1.e1", (GateOutcome("scope", PASSED), GateOutcome("test", PASSED)))
    story.do(c.Release("plan", 1, c.Because.WITHDRAW, "wait"))
    story.submit("plan", "t2")
    before = story.record

    assert story.do(late) is None

    assert story.record is before


def test_an_attempt_settles_at_most_once() -> None:
    story = Story()
    story.attempt("plan", PASSED)
    before = story.record

    story.settle("plan", FAILED, "x")

    assert story.record is before


def test_a_person_who_refuses_what_a_gate_asked_fails_the_attempt_and_the_reason_reaches_the_holder() -> None:
    story = Story()
    story.attempt("plan", PENDING)

    story.do(c.Answer("plan", None, False, "person:eve", "leave the test alone"))

    assert story.state("plan") is StageState.CLAIMED
    assert story.stage("plan").failed == 1
    assert story.stage("plan").notes[-1].text == "leave the test alone"
    assert any(isinstance(event, AttemptFailed) for event in story.events)


def test_an_answer_that_a_gate_did_not_ask_for_is_refused() -> None:
    story = Story()
    story.attempt("plan", PENDING)

    assert story.refused(c.Answer("plan", "scope", True, "person:eve", "")) is RefusalCode.BAD_ARGUMENT


def test_a_holder_who_releases_while_it_is_judged_lets_the_judgement_go_on_and_a_failure_opens_the_stage() -> None:
    story = Story()
    story.claim("plan")
    story.submit("plan")
    story.do(c.Release("plan", 1, c.Because.DONE_FOR_NOW, "bye"))
    assert story.state("plan") is StageState.EVALUATING

    story.settle("plan", FAILED, "x")

    assert story.state("plan") is StageState.OPEN


def test_a_spec_conflict_reopens_the_stage_that_owns_the_defect_with_the_reason() -> None:
    story = Story().in_state(StageState.CLAIMED)

    story.do(c.Release("code", 1, c.Because.SPEC_CONFLICT, "R2 contradicts R1", "plan"))

    assert (story.state("plan"), story.state("code")) == (StageState.OPEN, StageState.WAITING)
    assert story.stage("plan").notes[-1].text == "R2 contradicts R1"
    assert story.stage("code").lease is None


def test_a_spec_conflict_with_a_stage_that_is_not_before_is_a_bad_argument() -> None:
    story = Story().in_state(StageState.CLAIMED)

    conflict = c.Release("code", 1, c.Because.SPEC_CONFLICT, "reason", "code")

    assert story.refused(conflict) is RefusalCode.BAD_ARGUMENT


def test_a_question_that_was_escalated_is_kept_when_an_upstream_stage_reopens_and_comes_back() -> None:
    story = Story().in_state(StageState.ESCALATED)
    story.do(c.Reopen("plan", "person:eve", "again"))
    assert story.state("code") is StageState.WAITING

    story.passed("plan")

    assert story.state("code") is StageState.ESCALATED
    escalation = story.stage("code").escalation
    assert escalation is not None
    assert escalation.question == "which of the two?"


def test_a_reopened_stage_takes_back_its_consumers_and_nothing_else() -> None:
    """Rule 12, invariant I7: a diamond with a branch that does not consume what is reopened."""
    rules = (rule("plan"), rule("left", "plan"), rule("right", "plan"), rule("join", "left", "right"))
    story = Story(rules).passed("plan", "left", "right")
    story.claim("join")
    right = story.stage("right")

    story.do(c.Reopen("left", "person:eve", "wrong"))

    assert story.state("left") is StageState.OPEN
    assert story.state("join") is StageState.WAITING
    assert story.stage("right") == right


def test_a_stage_opens_only_when_every_need_has_passed() -> None:
    """Invariant I1."""
    rules = (rule("plan"), rule("left", "plan"), rule("right", "plan"), rule("join", "left", "right"))
    story = Story(rules).passed("plan", "left")
    assert story.state("join") is StageState.WAITING

    story.passed("right")

    assert story.state("join") is StageState.OPEN


def test_a_new_policy_has_every_stage_judged_again_in_order_with_its_former_artifact() -> None:
    story = Story().passed("plan")
    story.attempt("code", FAILED, "t1", "x")

    story.do(c.Repin(PolicyPin("q" * 40, "other digest"), story.record.plan, "the target has another policy"))

    assert (story.state("plan"), story.state("code")) == (StageState.EVALUATING, StageState.WAITING)
    current = story.stage("plan").current
    assert current is not None
    assert (current.number, current.commit, current.is_free) == (2, "commit-t1", True)
    story.settle("plan", PASSED)
    assert story.state("code") is StageState.OPEN


def test_a_stage_that_one_policy_leaves_out_and_the_next_brings_back_gives_no_fence_twice() -> None:
    story = Story().passed("plan")
    story.claim("code", "ada")
    whole = story.record.plan
    part = replace(whole, stages=whole.stages[:1], land_needs=("plan",))

    for digest, plan in (("without code", part), ("with code", whole)):
        story.do(c.Repin(PolicyPin("q" * 40, digest), plan, "the target has another policy"))
    story.settle("plan", PASSED)
    story.claim("code", "bob")

    assert story.stage("code").fence == 2
    assert story.refused(c.Submit("code", 1, "late", "late-tree", "b", "s")) is RefusalCode.LEASE_LOST
    assert replay(story.events) == story.record


def test_a_second_new_policy_still_has_judged_what_waits_to_be_since_the_first() -> None:
    """Regression: 'code' lost its passed artifact when the policy changed again before its turn had come."""
    story = Story().passed("plan", "code")
    for digest in ("second", "third"):
        story.do(c.Repin(PolicyPin("q" * 40, digest), story.record.plan, "the target has another policy"))

    story.settle("plan", PASSED)

    code = story.stage("code").current
    assert code is not None
    assert (story.state("code"), code.number, code.is_free) == (StageState.EVALUATING, 2, True)


def test_evaluations_that_nobody_waits_for_any_more_leave_the_live_set() -> None:
    story = Story().in_state(StageState.EVALUATING)
    assert live_evaluations(story.record) == {"c1.e2"}

    story.do(c.Reopen("plan", "person:eve", "again"))

    assert live_evaluations(story.record) == set()
    current = story.stage("code").current
    assert current is not None
    assert current.state is AttemptState.SUPERSEDED


def test_replaying_the_events_gives_exactly_the_record() -> None:
    """Invariant I9."""
    story = Story().passed("plan")
    story.attempt("code", FAILED, "t1", "x")
    story.attempt("code", PENDING, "t2")
    story.do(c.Answer("code", None, True, "person:eve", "ok"))
    story.do(c.Reopen("plan", "person:eve", "again"))
    story.do(c.Cancel("person:eve", "enough"))

    assert replay(story.events) == story.record
    assert story.record.version == len(story.events)


def test_a_cancelled_change_refuses_everything() -> None:
    story = Story()
    story.do(c.Cancel("person:eve", "not wanted"))

    assert story.refused(c.Claim("plan", "ada", "stdio:ada")) is RefusalCode.CHANGE_OVER
    assert story.refused(c.Cancel("person:eve", "twice")) is RefusalCode.CHANGE_OVER
