"""Decide whether an artifact may follow what failed, and what of that its holder disputes: pure.

All that failed since the stage was last opened afresh counts: by a person's answer or reopening, or because a stage
before it changed. Source: docs/protocol.md, rules 5 and 6
"""

from ...schemas import refusals
from ...schemas.records import Answered, Attempt, AttemptState, ChangeRecord, Dispute, StageRecord
from ...schemas.refusals import Refusal
from .commands import Submit

DISPUTED = "disputed"


def failed_attempts(stage: StageRecord) -> tuple[Attempt, ...]:
    """The attempts that failed since the stage was last opened afresh, in their order."""
    return tuple(attempt for attempt in stage.attempts[stage.former :] if attempt.state is AttemptState.FAILED)


def refuse(record: ChangeRecord, stage: StageRecord, command: Submit) -> Refusal | None:
    """Why this may not follow: nothing changed undisputed (rule 5), or reviewers are left unanswered (rule 6).

    What gates found needs no answer, running them again gives it; a dispute of theirs is for people, one of a review
    for the reviewers of the next attempt.
    """
    failed = failed_attempts(stage)
    if not failed:
        return None
    last = failed[-1]
    same = next((attempt for attempt in reversed(failed) if attempt.tree == command.tree), None)
    objections = _objections(last)
    everything = {*command.open_findings, *objections}
    is_disputed = bool(everything) and everything <= {a.finding for a in command.answers if a.disposition == DISPUTED}
    if same is not None and not (same is last and is_disputed):
        return refusals.unchanged_artifact(record.id, stage.name, same.number)
    if missing := objections - {a.finding for a in command.answers}:
        return refusals.findings_unanswered(record.id, stage.name, sorted(missing))
    return None


def find_dispute(stage: StageRecord, command: Submit) -> Dispute | None:
    """What people must decide instead of the gates: the same tree once more, with all that gates found disputed."""
    failed = failed_attempts(stage)
    if not failed or failed[-1].tree != command.tree:
        return None
    if not {*command.open_findings} - _objections(failed[-1]):
        return None
    return Dispute(failed[-1].number, failed[-1].fingerprints)


def dispute_of_verdict(stage: StageRecord, fingerprints: tuple[str, ...]) -> Dispute | None:
    """What people must decide when the current attempt failed by nothing but what its holder had disputed before."""
    said = _said(stage)
    is_disputed = bool(fingerprints) and all(
        mark in said and said[mark].disposition == DISPUTED for mark in fingerprints
    )
    return Dispute(len(stage.attempts), fingerprints) if is_disputed else None


def question(stage: StageRecord, dispute: Dispute, answers: tuple[Answered, ...] = ()) -> str:
    """The question to people, with what the holder says of each finding."""
    said = {**_said(stage), **{a.fingerprint: a for a in answers if a.fingerprint}}
    notes = [f"{a.finding}: {a.note}" for mark in dispute.fingerprints if (a := said.get(mark)) is not None and a.note]
    told = f": {'; '.join(dict.fromkeys(notes))}" if notes else ""
    return f"agent '{_holder(stage)}' disputes every finding of attempt {dispute.attempt}{told}"


def _holder(stage: StageRecord) -> str:
    return stage.lease.holder if stage.lease is not None else stage.attempts[-1].holder


def _said(stage: StageRecord) -> dict[str, Answered]:
    """What was last said of each finding since the stage was opened afresh, by fingerprint."""
    return {a.fingerprint: a for attempt in stage.attempts[stage.former :] for a in attempt.answers if a.fingerprint}


def _objections(attempt: Attempt) -> frozenset[str]:
    """The ids of what reviewers who rejected the attempt, and those beside them, object to."""
    is_rejected = any(review.is_rejecting for review in attempt.reviews)
    return frozenset(finding.id for finding in attempt.review_findings) if is_rejected else frozenset()
