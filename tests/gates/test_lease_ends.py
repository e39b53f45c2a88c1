"""Whoever held a lease that somebody else ended is told why, and since when a stage stands where it does."""

from gatewright.gates.machine import commands as c
from gatewright.schemas.refusals import RefusalCode

from .lifecycle_story import START, Story


def test_a_former_holder_is_told_because_of_what_the_lease_ended() -> None:
    """Rule 12: leases end with the reason."""
    story = Story().passed("plan")
    story.claim("code")
    story.do(c.Reopen("plan", "person:eve", "it forgot the empty file"))
    waiting = story.submit("code")
    story.passed("plan")
    story.claim("code", "bob")
    lost = story.do(c.Submit("code", 1, "commit-t9", "t9", "b" * 40, "late"))

    assert waiting is not None
    assert waiting.code is RefusalCode.STAGE_WAITING
    assert waiting.message.endswith("Your lease ended because 'plan' was reopened: it forgot the empty file.")
    assert lost is not None
    assert lost.code is RefusalCode.LEASE_LOST
    assert "agent 'bob' holds the stage now" in lost.message
    assert lost.message.endswith("Your lease ended because 'plan' was reopened: it forgot the empty file.")


def test_a_holder_who_let_go_is_told_no_reason_of_others() -> None:
    story = Story().passed("plan")
    story.claim("code")
    story.do(c.Release("code", 1, c.Because.DONE_FOR_NOW, "enough"))
    story.do(c.Reopen("plan", "person:eve", "it forgot the empty file"))
    waiting = story.submit("code")

    assert waiting is not None
    assert "Your lease ended" not in waiting.message


def test_a_stage_knows_since_when_it_is_in_its_state() -> None:
    story = Story().passed("plan")
    story.wait(60)
    story.claim("code")
    claimed = story.now
    story.wait(60)
    story.do(c.Renew("code", 1))

    assert story.stage("code").since == claimed
    assert story.stage("plan").since == START
