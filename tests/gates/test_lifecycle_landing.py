"""The rules of landing as stories: the intent, lost races, conflicts, what stands in the way, what people are asked."""

from gatewright.gates.lifecycle import decide, live_evaluations
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.decision import LANDING_DELAYS_MAX, LANDING_FAILURES_MAX
from gatewright.gates.machine.precedence import refuse_change
from gatewright.schemas.records import ChangeState, StageState
from gatewright.schemas.refusals import Refusal, RefusalCode

from .lifecycle_story import FAILED, PENDING, Story, judged


def test_landing_begins_when_everything_that_it_needs_has_passed() -> None:
    story = Story().passed("plan", "code")

    assert story.record.landing is not None
    assert live_evaluations(story.record) == {"c1.e3"}


def test_after_the_intent_a_change_can_only_go_forwards_or_be_recovered() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story))

    assert story.refused(c.Cancel("person:eve", "stop")) is RefusalCode.CHANGE_LANDING
    assert story.refused(c.Reopen("code", "person:eve", "stop")) is RefusalCode.CHANGE_LANDING
    story.do(c.ConfirmLanding(1))
    assert story.record.landed_commit == "new"


def test_a_landing_that_lost_its_race_is_tried_again_and_not_for_ever() -> None:
    """Invariant I10."""
    story = Story().passed("plan", "code")
    tries = 0
    while story.state("code") is StageState.PASSED:
        story.do(judged(story))
        tries += 1
        assert story.record.landing is not None
        story.do(c.LoseLanding(story.record.landing.number, "the target had moved"))

    assert tries == LANDING_FAILURES_MAX
    assert story.state("code") is StageState.ESCALATED


def test_a_confirmation_of_another_landing_than_the_current_changes_nothing() -> None:
    story = Story().passed("plan", "code")
    before = story.record

    story.do(c.ConfirmLanding(1))
    story.do(c.LoseLanding(7, "late"))

    assert story.record is before


def test_a_conflict_reopens_the_stage_whose_writes_cover_it() -> None:
    story = Story().passed("plan", "code")

    story.do(judged(story, conflicts=("code/a.py", "code/b.py")))

    assert (story.state("plan"), story.state("code")) == (StageState.PASSED, StageState.OPEN)
    assert story.stage("code").notes[-1].paths == ("code/a.py", "code/b.py")


def test_a_conflict_that_no_single_stage_may_write_goes_to_a_person() -> None:
    story = Story().passed("plan", "code")

    story.do(judged(story, conflicts=("code/a.py", "plan/b.md")))

    assert story.state("code") is StageState.ESCALATED


def test_who_goes_on_after_a_person_has_answered_is_told_what_the_person_was_asked() -> None:
    """Also where the landing asked because the stage had been reopened as often as it may."""
    story = Story().passed("plan", "code")
    while story.state("code") is not StageState.ESCALATED:
        story.do(judged(story, conflicts=("code/a.py",)))
        if story.state("code") is StageState.OPEN:
            story.passed("code")

    story.do(c.Answer("code", None, True, "person:eve", "Go on."))

    asked, answered = story.stage("code").notes[-2:]
    assert "conflicts" in asked.text
    assert asked.paths == ("code/a.py",)
    assert answered.text == "Go on."


def test_a_failed_land_gate_never_lands() -> None:
    story = Story().passed("plan", "code")

    story.do(judged(story, FAILED, paths=("code/a.py",), because="1 of 3 tests"))

    assert story.state("code") is StageState.OPEN
    assert story.record.landing is None


def test_a_landing_without_evidence_for_its_gates_never_lands() -> None:
    story = Story().passed("plan", "code")
    landing = story.record.landing
    assert landing is not None

    story.do(c.SettleLanding(landing.evaluation, "old", "new", "tree", ()))

    assert story.record.landed_commit is None
    assert story.record.landing is not None
    assert story.record.landing.number == 2


def test_a_blocked_landing_waits_and_starts_again_when_asked() -> None:
    story = Story().passed("plan", "code")
    landing = story.record.landing
    assert landing is not None
    story.do(c.BlockLanding(landing.evaluation, "main is checked out with local changes"))
    assert live_evaluations(story.record) == set()

    story.do(c.RetryLanding("person:eve"))

    assert live_evaluations(story.record) == {"c1.e4"}


def test_what_keeps_the_target_from_moving_is_told_and_the_intent_stands() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story))

    story.do(c.DelayLanding(1, "the remote cannot be reached"))
    story.do(c.DelayLanding(1, "the remote cannot be reached"))

    assert story.record.state is ChangeState.LANDING
    assert story.record.landing is not None
    assert (story.record.landing.because, story.record.landing.delays) == ("the remote cannot be reached", 1)
    refusal = refuse_change(story.record)
    assert refusal is not None
    assert "the remote cannot be reached" in refusal.message
    story.do(c.ConfirmLanding(1))
    assert story.record.landed_commit == "new"


def test_an_outage_that_says_something_else_each_time_fills_no_history() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story))

    for number in range(2 * LANDING_DELAYS_MAX):
        story.do(c.DelayLanding(1, f"error {number}"))

    assert story.record.landing is not None
    assert story.record.landing.delays == LANDING_DELAYS_MAX


def test_a_delay_of_a_landing_that_is_over_changes_nothing() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story))
    story.do(c.LoseLanding(1, "'main' had moved"))
    before = story.record

    story.do(c.DelayLanding(1, "too late"))

    assert story.record == before


def test_what_a_land_gate_asks_is_answered_by_people_about_the_merged_commit() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story, PENDING))
    assert story.record.landed_commit is None

    story.do(c.Answer("land", None, True, "person:eve", "fine"))
    story.do(c.ConfirmLanding(1))

    assert story.record.landed_commit == "new"


def test_a_person_who_refuses_the_landing_reopens_what_it_needs() -> None:
    story = Story().passed("plan", "code")
    story.do(judged(story, PENDING))

    story.do(c.Answer("land", None, False, "person:eve", "not this week"))

    assert story.state("code") is StageState.OPEN
    assert story.record.landing is None


def test_landing_answers_nothing_when_nothing_is_asked() -> None:
    story = Story()

    assert story.refused(c.Answer("land", None, True, "person:eve", "")) is RefusalCode.BAD_ARGUMENT


def test_nobody_is_sent_to_claim_a_landing_that_waits() -> None:
    """The server lands; what an agent can do is something else."""
    story = Story()

    refusal = decide(story.record, c.RetryLanding("person:eve"), story.now)

    assert isinstance(refusal, Refusal)
    assert "waits for" in refusal.message
    assert "the server runs it when it is its turn" in refusal.next
