"""Say in a sentence what happened, for whoever waits and for `gatewright log`."""

from typing import TYPE_CHECKING

from ...gates.machine.decision import SERVER
from ...gates.text import number_of, shorten
from ...schemas import events as e
from ...schemas.ids import short
from ...schemas.records import ChangeRecord

if TYPE_CHECKING:
    from ..store.tx import Tx

EVENT_CHARS_MAX = 200
# Most events are told; a holder that works for long renews its lease many times, which is not.
EVENTS_READ_MAX = 60


def newest(tx: "Tx", record: ChangeRecord, lines_max: int) -> tuple[str, ...]:
    """The last of what happened to a change, oldest first: number, time (UTC) and a sentence."""
    lines = []
    for number, event in tx.events(record.id, after=max(0, record.version - EVENTS_READ_MAX), limit=EVENTS_READ_MAX):
        sentence = tell(event)
        if sentence is not None:
            lines.append(f"{number} {event.at:%Y-%m-%d %H:%M:%S} {shorten(sentence, EVENT_CHARS_MAX)}")
    return tuple(lines[-lines_max:])


def tell(event: e.Event) -> str | None:  # noqa: C901, PLR0912 - one line an event is the clearest table
    """The event in words; None for one that nobody waits for."""
    match event:
        case e.ChangeStarted():
            return f"{event.change} started: {event.title}"
        case e.StageOpened():
            return f"'{event.stage}' is open"
        case e.StageClaimed():
            over = f", taken over from '{event.taken_over}'" if event.taken_over else ""
            return f"'{event.lease.holder}' claimed '{event.stage}'{over}"
        case e.LeaseRenewed() | e.ReviewLeaseRenewed():
            return None
        case e.LeaseReleased():
            return f"'{event.stage}' was released ({event.because}): {event.reason}"
        case e.TransformStarted():
            return f"the server runs '{event.stage}'{f' again, asked by {event.by}' if event.by else ''}"
        case e.ArtifactSubmitted() if event.principal == SERVER:
            return f"the server made {short(event.commit)} as attempt {event.attempt} of '{event.stage}'"
        case e.ArtifactSubmitted():
            return f"'{event.holder}' handed in {short(event.commit)} as attempt {event.attempt} of '{event.stage}'"
        case e.AttemptWithdrawn():
            return f"attempt {event.attempt} of '{event.stage}' was withdrawn: {event.reason}"
        case e.FloorPassed():
            asked = f" for people: {', '.join(event.asked)}" if event.asked else " for reviewers"
            return f"attempt {event.attempt} of '{event.stage}' passed its floor and waits{asked}"
        case e.StagePassed():
            return f"'{event.stage}' passed with attempt {event.attempt}"
        case e.AttemptFailed():
            failed = ", ".join(g.gate for g in event.gates if g.outcome == "failed")
            return f"attempt {event.attempt} of '{event.stage}' failed: {failed or 'refused by a person'}"
        case e.EvaluationErrored():
            broken = ", ".join(g.gate for g in event.gates if g.outcome == "errored") or "the runner"
            return f"{broken} could not judge attempt {event.attempt} of '{event.stage}'; the server tries again"
        case e.StageEscalated():
            return f"'{event.stage}' waits for people ({event.escalation.cause}): {event.escalation.question}"
        case e.QuestionAnswered():
            return (
                f"{event.by} {'allowed' if event.allowed else 'refused'} what '{event.gate}' of '{event.stage}' asked"
            )
        case e.ReviewClaimed():
            return f"'{event.lease.reviewer}' reviews attempt {event.attempt} of '{event.stage}'"
        case e.ReviewReleased():
            return f"a review of '{event.stage}' was let go: {event.reason}"
        case e.ReviewGiven():
            word = "rejected" if event.review.is_rejecting else "accepted"
            return f"'{event.review.reviewer}' {word} attempt {event.attempt} of '{event.stage}'"
        case e.ApprovalGiven():
            word = "approved" if event.approval.is_given else "did not approve"
            return f"{event.approval.person} {word} attempt {event.attempt} of '{event.stage}' ({event.approval.how})"
        case e.LandingApproved():
            word = "approved" if event.approval.is_given else "did not approve"
            return f"{event.approval.person} {word} landing {short(event.approval.commit)} ({event.approval.how})"
        case e.DecisionGiven():
            return f"{event.by} answered about '{event.stage}': {event.note.text}"
        case e.AttemptsGranted():
            return f"{event.by} granted {number_of(event.count, 'more attempts')} of '{event.stage}'"
        case e.StageReopened():
            return f"'{event.stage}' was reopened: {event.note.source}: {event.note.text}"
        case e.StageClosed():
            return f"'{event.stage}' is waiting again: {event.because}"
        case e.OrphanKept():
            return f"{short(event.orphan.commit)} of '{event.orphan.holder}' is kept for '{event.stage}'"
        case e.LandingStarted():
            return "landing began: the merge with the target is judged"
        case e.LandingAsked():
            return f"landing waits for people: {', '.join(event.asked)}"
        case e.LandingAnswered():
            return f"{event.by} {'allowed' if event.allowed else 'refused'} what '{event.gate}' asked about landing"
        case e.LandingBlocked():
            return f"landing waits: {event.because}"
        case e.LandingIntended():
            return f"landing: the target moves to {short(event.new)}"
        case e.LandingDelayed():
            return f"landing waits, and is tried again: {event.because}"
        case e.LandingAbandoned():
            return f"landing was given up: {event.because}"
        case e.ChangeLanded():
            return f"landed as {short(event.commit)}"
        case e.PolicyRepinned():
            return f"judged by the policy of {short(event.policy.commit)} from now on: {event.because}"
        case e.ChangeCancelled():
            return f"cancelled by {event.by}: {event.reason}"
