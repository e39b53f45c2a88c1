"""What may follow a failed attempt: another tree than any that failed, or a dispute that people decide (rules 5, 6)."""

from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import replay
from gatewright.schemas.records import Answered, AttemptState, Cause, Dispute, StageState
from gatewright.schemas.refusals import RefusalCode as Code

from .lifecycle_story import FAILED, PASSED, Story, code_of, rule

MANY = (rule("plan", attempts=9), rule("code", "plan", attempts=9))


def hand_in(story: Story, tree: str, *answers: Answered, finding: str = "g1") -> Code | None:
    """Submit `tree`; gates had found `finding` about the last attempt that failed."""
    fence = story.stage("plan").fence
    return story.refused(c.Submit("plan", fence, f"commit-{tree}", tree, "b", "It is done.", answers, (finding,)))


def dispute(mark: str, note: str = "the rule does not apply here") -> Answered:
    return Answered("g1", "disputed", note, mark)


# Unchanged trees


def test_no_tree_that_failed_is_judged_again_however_many_are_between() -> None:
    """An agent that swings between two trees would spend a budget on what is known."""
    story = Story(MANY)
    for tree in ("t1", "t2", "t3"):
        story.attempt("plan", FAILED, tree, f"finding of {tree}")

    assert {tree: hand_in(story, tree) for tree in ("t1", "t2", "t3")} == dict.fromkeys(
        ("t1", "t2", "t3"), Code.UNCHANGED_ARTIFACT
    )
    assert hand_in(story, "t1", dispute("finding of t3")) is Code.UNCHANGED_ARTIFACT, "that was about another tree"
    assert hand_in(story, "t4") is None


def test_withdrawing_in_between_does_not_let_a_failed_tree_through() -> None:
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "x")
    story.submit("plan", "t2")
    story.do(c.Release("plan", 1, c.Because.WITHDRAW, "wait"))

    assert hand_in(story, "t1") is Code.UNCHANGED_ARTIFACT
    assert hand_in(story, "t2") is None, "what was taken back was never judged"


def test_a_tree_that_failed_free_of_charge_is_known_as_well() -> None:
    story = Story()
    story.claim("plan")
    story.submit("plan", "t1")
    story.do(c.Release("plan", 1, c.Because.WITHDRAW, "wait"))
    story.do(c.Release("plan", 1, c.Because.NEEDS_DECISION, "which?"))
    story.do(c.RetryGates("plan", "person:kim"))
    story.settle("plan", FAILED, "x")
    assert story.stage("plan").failed == 0
    story.claim("plan")

    assert hand_in(story, "t1") is Code.UNCHANGED_ARTIFACT


def test_attempts_that_people_grant_change_nothing_about_what_failed_and_an_answer_or_reopening_does() -> None:
    """More attempts are for other trees; an answer may say that the same one is right after all."""
    story = Story((rule("plan", attempts=1), rule("code", "plan")))
    story.attempt("plan", FAILED, "t1", "x")
    story.do(c.GrantAttempts("plan", "person:kim", 2))
    story.claim("plan")
    assert hand_in(story, "t1") is Code.UNCHANGED_ARTIFACT

    story.do(c.Release("plan", 2, c.Because.NEEDS_DECISION, "is it right?"))
    story.do(c.Answer("plan", None, True, "person:kim", "the machine was ill"))
    story.claim("plan")

    assert hand_in(story, "t1") is None


def test_a_tree_that_failed_on_other_inputs_may_be_right_on_these() -> None:
    story = Story(MANY).passed("plan")
    story.attempt("code", FAILED, "t1", "x")
    story.do(c.Reopen("plan", "person:kim", "again"))
    story.attempt("plan", PASSED, "t2")
    story.claim("code")

    assert code_of(story.submit("code", "t1")) is None


# Disputes of what gates found


def test_a_verdict_that_holds_nothing_but_what_was_disputed_goes_to_a_person_with_the_reasons() -> None:
    """The tree changed, so it was judged; running the loop on would only spend its budget."""
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "fp1", "fp2")
    hand_in(story, "t2", dispute("fp1", "the checker is wrong about generics"), Answered("g2", "fixed", "", "fp2"))

    story.settle("plan", FAILED, "fp1")

    stage = story.stage("plan")
    assert (stage.state, stage.failed, stage.lease) == (StageState.ESCALATED, 1, None)
    assert stage.escalation is not None
    assert (stage.escalation.cause, stage.escalation.dispute) == (Cause.NEEDS_DECISION, Dispute(2, ("fp1",)))
    assert "the checker is wrong about generics" in stage.escalation.question
    assert [gate.outcome for gate in stage.attempts[-1].gates] == [PASSED, FAILED]
    assert replay(story.events) == story.record


def test_a_verdict_with_more_than_what_was_disputed_fails_the_attempt() -> None:
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "fp1", "fp2")
    hand_in(story, "t2", dispute("fp1"), Answered("g2", "fixed", "", "fp2"))

    story.settle("plan", FAILED, "fp1", "fp2")

    assert (story.state("plan"), story.stage("plan").failed) == (StageState.CLAIMED, 2)


def test_a_dispute_stands_until_its_holder_says_otherwise() -> None:
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "fp1", "fp2")
    hand_in(story, "t2", dispute("fp1"))
    story.settle("plan", FAILED, "fp1", "fp2")
    hand_in(story, "t3")
    story.settle("plan", FAILED, "fp1")
    assert story.state("plan") is StageState.ESCALATED

    other = Story(MANY)
    other.attempt("plan", FAILED, "t1", "fp1", "fp2")
    hand_in(other, "t2", dispute("fp1"))
    other.settle("plan", FAILED, "fp1", "fp2")
    hand_in(other, "t3", Answered("g1", "fixed", "right, it was one", "fp1"))
    other.settle("plan", FAILED, "fp1")
    assert other.state("plan") is StageState.CLAIMED


def test_a_dispute_that_a_person_upholds_is_judged_again_at_once_and_one_that_is_not_opens_the_stage() -> None:
    for allowed in (True, False):
        story = Story(MANY)
        story.attempt("plan", FAILED, "t1", "fp1", "fp2")
        hand_in(story, "t2", dispute("fp1"))
        story.settle("plan", FAILED, "fp1")

        story.do(c.Answer("plan", None, allowed, "person:kim", "so it is"))

        stage = story.stage("plan")
        assert stage.state is (StageState.EVALUATING if allowed else StageState.OPEN)
        assert [attempt.upheld for attempt in stage.attempts[:2]] == [(), ("fp1",) if allowed else ()]
        assert stage.current is not None
        assert (stage.current.tree, stage.current.is_free) == ("t2", allowed)
        assert replay(story.events) == story.record


def test_what_was_disputed_is_judged_again_and_not_what_was_taken_back_meanwhile() -> None:
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "fp1")
    story.submit("plan", "t2")
    story.do(c.Release("plan", 1, c.Because.WITHDRAW, "t1 was right"))
    hand_in(story, "t1", dispute("fp1"))
    assert story.state("plan") is StageState.ESCALATED

    story.do(c.Answer("plan", None, True, "person:kim", "yes"))

    stage = story.stage("plan")
    assert stage.attempts[0].upheld == ("fp1",)
    assert stage.current is not None
    assert (stage.current.number, stage.current.tree, stage.current.state) == (3, "t1", AttemptState.JUDGING)


def test_after_a_person_said_no_the_old_dispute_does_not_ask_again() -> None:
    story = Story(MANY)
    story.attempt("plan", FAILED, "t1", "fp1", "fp2")
    hand_in(story, "t2", dispute("fp1"))
    story.settle("plan", FAILED, "fp1")
    story.do(c.Answer("plan", None, False, "person:kim", "mend it"))

    story.attempt("plan", FAILED, "t3", "fp1")

    assert story.state("plan") is StageState.CLAIMED


def test_nothing_is_judged_again_when_the_stage_before_has_changed_since_the_dispute() -> None:
    story = Story(MANY).passed("plan")
    story.attempt("code", FAILED, "t1", "fp1")
    fence = story.stage("code").fence
    story.do(c.Submit("code", fence, "commit", "t1", "b", "s", (dispute("fp1"),), ("g1",)))
    story.do(c.Reopen("plan", "person:kim", "again"))
    story.attempt("plan", PASSED, "t9")
    assert story.state("code") is StageState.ESCALATED

    story.do(c.Answer("code", None, True, "person:kim", "yes"))

    assert story.state("code") is StageState.OPEN


# What goes by itself ends (I10)


def test_nothing_that_the_server_does_by_itself_resets_what_bounds_it() -> None:
    """Reopens and lost landings are counted over the whole life of a change; only people add to a budget."""
    story = Story((rule("plan", reopens=1), rule("code", "plan", attempts=1, otherwise="plan")))
    story.passed("plan")
    story.attempt("code", FAILED, "t1", "x")
    assert story.stage("plan").reopened == 1
    story.passed("plan")
    story.do(c.Reopen("plan", "person:kim", "by hand"))
    story.attempt("plan", PASSED, "t5")
    assert story.stage("plan").reopened == 1

    story.attempt("code", FAILED, "t2", "y")

    assert story.state("plan") is StageState.ESCALATED
