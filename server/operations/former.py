"""What former attempts of a stage left behind for the next one, and for whoever reviews it."""

from typing import TYPE_CHECKING

from ...gates.machine.resubmission import DISPUTED, failed_attempts
from ...schemas.records import Answered, Attempt, AttemptState, Finding, Outcome, StageRecord

if TYPE_CHECKING:
    from ..store.tx import Tx


def last_failed(stage: StageRecord) -> Attempt | None:
    """The attempt whose findings are to be mended; while one is judged, or was taken back, the one that failed before.

    One that the server made counts although its stage began afresh: it may be mended upstream.
    """
    if stage.current is not None and stage.current.state is AttemptState.FAILED:
        return stage.current
    failed = failed_attempts(stage)
    return failed[-1] if failed else None


def findings(tx: "Tx", stage: StageRecord) -> tuple[Finding, ...]:
    """What was found about the last failed attempt, each once: by gates, and by reviewers whose gate did not fail."""
    attempt = last_failed(stage)
    if attempt is None:
        return ()
    evidence = (stored.evidence for stored in tx.evidence_of(attempt.evaluation))
    found = [f for item in evidence if item.outcome is not Outcome.PASSED for f in item.findings]
    known = {finding.id for finding in found}
    return (*found, *(f for f in attempt.review_findings if f.id not in known))


def objections(stage: StageRecord) -> tuple[Finding, ...]:
    """What reviewers said about the last failed attempt, remarks left out."""
    attempt = last_failed(stage)
    return () if attempt is None else attempt.review_findings


def answers(stage: StageRecord) -> tuple[Answered, ...]:
    """What holders have said about findings since the stage was opened afresh: about each the last word."""
    said = {answer.finding: answer for attempt in stage.attempts[stage.former :] for answer in attempt.answers}
    return tuple(said.values())


def disputed(stage: StageRecord) -> tuple[Answered, ...]:
    """The answers that dispute."""
    return tuple(answer for answer in answers(stage) if answer.disposition == DISPUTED)


def times_running(stage: StageRecord, attempt: Attempt) -> int:
    """How often running, up to this attempt, the same findings came back; 0 for one that did not fail."""
    failed = [other for other in failed_attempts(stage) if other.number <= attempt.number]
    count = 0
    for other in reversed(failed):
        if attempt.state is not AttemptState.FAILED or set(other.fingerprints) != set(attempt.fingerprints):
            break
        count += 1
    return count
