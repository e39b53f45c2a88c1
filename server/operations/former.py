"""What former attempts of a stage left behind for the next one, and for whoever reviews it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...schemas.records import Answered, Attempt, AttemptState, Finding, Outcome, StageRecord

if TYPE_CHECKING:
    from ..store.tx import Tx

TRIED_MAX = 5


def attempts_afresh(stage: StageRecord) -> tuple[Attempt, ...]:
    """The attempts since the stage was last opened afresh, as far back as the first that failed since, oldest first."""
    failed, first = 0, len(stage.attempts)
    for place in reversed(range(len(stage.attempts))):
        attempt = stage.attempts[place]
        if failed == stage.failed:
            break
        if attempt.state is AttemptState.FAILED and not attempt.is_free:
            failed, first = failed + 1, place
    return stage.attempts[first:]


def last_failed(stage: StageRecord, *, before: int | None = None) -> Attempt | None:
    """The attempt whose findings are to be mended: the newest one if it failed, or failed before it was taken back.

    `before` is the number of an attempt that is judged now: what came before it is looked at.
    """
    attempts = stage.attempts if before is None else stage.attempts[: before - 1]
    for attempt in reversed(attempts):
        match attempt.state:
            case AttemptState.FAILED:
                return attempt
            case AttemptState.SUPERSEDED if stage.failed > 0:
                continue
            case _:
                return None
    return None


def findings(tx: "Tx", stage: StageRecord) -> tuple[Finding, ...]:
    """What was found about the last failed attempt, by gates and by reviewers, each once.

    While an attempt is judged it is the one before it that is meant.
    """
    current = stage.current
    is_judged = current is not None and current.state is AttemptState.JUDGING
    attempt = last_failed(stage, before=current.number if is_judged and current is not None else None)
    return () if attempt is None else findings_of_attempt(tx, attempt)


def findings_of_attempt(tx: "Tx", attempt: Attempt) -> tuple[Finding, ...]:
    """What holds a failed attempt up, gates first; reviewers' also where their own gate did not fail."""
    evidence = (stored.evidence for stored in tx.evidence_of(attempt.evaluation))
    found = [f for item in evidence if item.outcome is not Outcome.PASSED for f in item.findings]
    known = {finding.id for finding in found}
    return (*found, *(f for f in attempt.review_findings if f.id not in known))


def answers(stage: StageRecord) -> tuple[Answered, ...]:
    """What holders have said about findings since the stage was opened afresh, about each finding the last word."""
    said = {answer.finding: answer for attempt in _answering(stage) for answer in attempt.answers}
    return tuple(said.values())


def disputed(stage: StageRecord) -> tuple[Answered, ...]:
    """The answers that dispute."""
    return tuple(answer for answer in answers(stage) if answer.disposition == "disputed")


def times_running(stage: StageRecord, attempt: Attempt) -> int:
    """How often running, up to this attempt, the same findings came back; 0 for one that did not fail."""
    count = 0
    for other in reversed(stage.attempts[: attempt.number]):
        if other.state is not AttemptState.FAILED:
            continue
        if not attempt.fingerprints or set(other.fingerprints) != set(attempt.fingerprints):
            break
        count += 1
    return count if attempt.state is AttemptState.FAILED else 0


def _answering(stage: StageRecord) -> Iterator[Attempt]:
    yield from attempts_afresh(stage)
    current = stage.current
    if current is not None and current.state is AttemptState.JUDGING and current not in attempts_afresh(stage):
        yield current
