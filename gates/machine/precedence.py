"""Why something may not be done now: the first refusal in the order of precedence, or None. Pure.

`why` and `get_status` tell the same words, so that what is said cannot drift from what is done.
"""

from datetime import datetime

from ...schemas import refusals
from ...schemas.records import ChangeRecord, ChangeState, Lease, StageRecord, StageState
from ...schemas.refusals import Refusal


def is_expired(lease: Lease, now: datetime) -> bool:
    """Whether somebody else may claim. Until somebody does, the holder may still submit (rule 1)."""
    return now >= lease.expires_at


def refuse_change(record: ChangeRecord) -> Refusal | None:
    """Why nothing can be done to this change at all."""
    match record.state:
        case ChangeState.LANDED | ChangeState.CANCELLED:
            return refusals.change_over(record.id, record.state)
        case ChangeState.LANDING:
            because = record.landing.because if record.landing is not None else None
            return refusals.change_landing(record.id, record.target, because)
        case ChangeState.ACTIVE:
            return None


def refuse_claim(record: ChangeRecord, stage: StageRecord, now: datetime) -> Refusal | None:
    """Why this stage cannot be claimed now; None when it can. `why` and `get_status` tell the same words."""
    change, is_run = record.id, record.rule(stage.name).is_transform
    match stage.state:
        case StageState.WAITING:
            missing = missing_needs(record, stage.name, now)
            return refusals.stage_waiting(change, stage.name, missing, by_server=is_run)
        case StageState.PASSED:
            return refusals.stage_passed(change, stage.name, stage.accepted or 0)
        case StageState.ESCALATED:
            question = stage.escalation.question if stage.escalation else "a decision is needed"
            return refusals.stage_escalated(change, stage.name, question)
        case StageState.EVALUATING if stage.transform is not None:
            return refusals.run_by_server(change, stage.name, stage.transform)
        case StageState.EVALUATING:
            assert stage.current is not None, "an attempt is judged"
            return refusals.stage_evaluating(change, stage.name, stage.current.evaluation)
        case StageState.IN_REVIEW:
            return refusals.stage_in_review(change, stage.name, by_server=is_run)
        case StageState.CLAIMED:
            assert stage.lease is not None, "a claimed stage has a lease"
            if is_expired(stage.lease, now):
                return None
            left = (stage.lease.expires_at - now).total_seconds()
            return refusals.lease_held(change, stage.name, stage.lease.holder, left)
        case StageState.OPEN:
            return None


def refuse_lease(record: ChangeRecord, stage: StageRecord, fence: int, now: datetime) -> Refusal | None:
    """Why a call with this fence may not act on a claimed stage.

    State comes before the token: refusals have a precedence order.
    """
    if stage.state is StageState.CLAIMED or (stage.state is StageState.OPEN and fence <= stage.fence):
        return None if holds(stage, fence) else lost(record, stage, fence)
    refusal = refuse_claim(record, stage, now)
    because = _end_of(stage, fence)
    if refusal is None or because is None or stage.state is StageState.ESCALATED:
        return refusal
    return refusals.with_end(refusal, because)


def missing_needs(record: ChangeRecord, name: str, now: datetime) -> tuple[str, ...]:
    """One phrase for each need that has not passed, with who holds it.

    For example `'design', which agent 'ada' holds for 11 more minutes`.
    """
    phrases = []
    for need in record.rule(name).needs:
        stage = record.stage(need)
        if stage.state is StageState.PASSED:
            continue
        if stage.lease is not None and stage.state is StageState.CLAIMED:
            left = refusals.minutes((stage.lease.expires_at - now).total_seconds())
            phrases.append(f"'{need}', which agent '{stage.lease.holder}' holds for {left}")
        elif stage.transform is not None:
            phrases.append(f"'{need}', which the server is running")
        else:
            phrases.append(f"'{need}', which is {stage.state.replace('_', ' ')}")
    return tuple(phrases)


def holds(stage: StageRecord, fence: int) -> bool:
    """Whether the lease of this fence is the stage's own of now."""
    return stage.lease is not None and stage.lease.fence == fence


def lost(record: ChangeRecord, stage: StageRecord, fence: int) -> Refusal:
    """What a caller is told whose lease has ended, and because of what, when somebody else ended it."""
    refusal = refusals.lease_lost(record.id, stage.name, stage.lease.holder if stage.lease else None)
    because = _end_of(stage, fence)
    return refusal if because is None else refusals.with_end(refusal, because)


def _end_of(stage: StageRecord, fence: int) -> str | None:
    return stage.ended.because if stage.ended is not None and stage.ended.fence == fence else None
