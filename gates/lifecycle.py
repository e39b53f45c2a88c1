"""Decide what happens to a change: pure, total, table-driven.

`decide` takes the record, one command and the time, and returns the events that follow or the first refusal in
precedence order. It never looks at git, the store or a clock. Consequences are decided here too, in the same breath:
a stage that passes opens its successors, a stage that reopens closes its consumers, the last one that passes starts
the landing. Source: docs/protocol.md
"""

from datetime import datetime
from typing import TypeAlias, assert_never

from ..schemas import events as e
from ..schemas import refusals
from ..schemas.ids import LAND
from ..schemas.records import (
    Cause,
    ChangeRecord,
    ChangeState,
    LandingStep,
    Lease,
    Note,
    Orphan,
    Outcome,
    StageRecord,
    StageState,
)
from ..schemas.refusals import Refusal
from . import commands as c
from . import graph, landing, questions, settlement
from .decision import Decision
from .evolve import evolve

Decided: TypeAlias = tuple[e.Event, ...] | Refusal


def decide(record: ChangeRecord | None, command: c.Command, now: datetime) -> Decided:  # noqa: C901, PLR0912 - one line a command is the clearest table
    """The events that follow from `command`, possibly none, or the refusal that applies first.

    `now` is aware UTC and may go back: the record's last touch is the floor (rule 13). Nothing is changed by a refusal.
    """
    if isinstance(command, c.Start):
        return _start(command, now)
    assert record is not None, "only Start comes without a record"
    decision = Decision(record, max(now, record.touched_at))
    if isinstance(command, c.Settle):
        return settlement.settle(decision, command)
    if isinstance(command, c.SettleLanding | c.BlockLanding | c.ConfirmLanding | c.LoseLanding):
        return landing.decide(decision, command)
    refusal = refuse_change(record)
    if refusal is not None:
        return refusal
    match command:
        case c.RetryLanding():
            return landing.retry(decision)
        case c.Repin():
            return _repin(decision, command)
        case c.Cancel(by=by, reason=reason):
            decision.add(e.ChangeCancelled(decision.now, by, reason))
            return decision.events
        case _:
            pass
    if isinstance(command, c.Answer) and command.stage == LAND:
        return landing.answer(decision, command)
    stage = record.find_stage(command.stage)
    if stage is None:
        return refusals.unknown_stage(record.id, command.stage, [s.name for s in record.stages])
    match command:
        case c.Claim():
            return _claim(decision, stage, command)
        case c.Renew():
            return _renew(decision, stage, command)
        case c.Submit():
            return _submit(decision, stage, command)
        case c.Release():
            return _release(decision, stage, command)
        case c.KeepOrphan():
            return _keep_orphan(decision, stage, command)
        case c.Answer():
            return questions.answer(decision, stage, command)
        case c.RetryGates():
            return questions.retry_gates(decision, stage, command)
        case c.GrantAttempts():
            return questions.grant_attempts(decision, stage, command)
        case c.Reopen():
            return questions.reopen(decision, stage, command)
        case _:
            assert_never(command)


def is_expired(lease: Lease, now: datetime) -> bool:
    """Whether somebody else may claim. Until somebody does, the holder may still submit (rule 1)."""
    return now >= lease.expires_at


def refuse_change(record: ChangeRecord) -> Refusal | None:
    """Why nothing can be done to this change at all."""
    match record.state:
        case ChangeState.LANDED | ChangeState.CANCELLED:
            return refusals.change_over(record.id, record.state)
        case ChangeState.LANDING:
            return refusals.change_landing(record.id, record.target)
        case ChangeState.ACTIVE:
            return None


def refuse_claim(record: ChangeRecord, stage: StageRecord, now: datetime) -> Refusal | None:
    """Why this stage cannot be claimed now; None when it can. `why` and `get_status` tell the same words."""
    change = record.id
    match stage.state:
        case StageState.WAITING:
            return refusals.stage_waiting(change, stage.name, missing_needs(record, stage.name, now))
        case StageState.PASSED:
            return refusals.stage_passed(change, stage.name, stage.accepted or 0)
        case StageState.ESCALATED:
            question = stage.escalation.question if stage.escalation else "a decision is needed"
            return refusals.stage_escalated(change, stage.name, question)
        case StageState.EVALUATING:
            evaluation = stage.transform or (stage.current.evaluation if stage.current else "")
            return refusals.stage_evaluating(change, stage.name, evaluation)
        case StageState.IN_REVIEW:
            return refusals.stage_in_review(change, stage.name)
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
        return None if _holds(stage, fence) else _lost(record, stage)
    return refuse_claim(record, stage, now)


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
        else:
            phrases.append(f"'{need}', which is {stage.state.replace('_', ' ')}")
    return tuple(phrases)


def _holds(stage: StageRecord, fence: int) -> bool:
    return stage.lease is not None and stage.lease.fence == fence


def _lost(record: ChangeRecord, stage: StageRecord) -> Refusal:
    return refusals.lease_lost(record.id, stage.name, stage.lease.holder if stage.lease else None)


def _start(command: c.Start, now: datetime) -> tuple[e.Event, ...]:
    first = e.ChangeStarted(
        now,
        command.change,
        command.title,
        command.intent,
        command.principal,
        command.base,
        command.target,
        command.policy,
        command.plan,
    )
    decision = Decision(evolve(None, first), now)
    decision.open_ready()
    return (first, *decision.events)


def _claim(decision: Decision, stage: StageRecord, command: c.Claim) -> Decided:
    refusal = refuse_claim(decision.record, stage, decision.now)
    if refusal is not None:
        return refusal
    lease = Lease(
        holder=command.holder,
        principal=command.principal,
        fence=stage.fence + 1,
        granted_at=decision.now,
        expires_at=decision.lease_end(),
        model=command.model,
        key=command.key,
    )
    former = stage.lease.holder if stage.lease is not None else None
    decision.add(e.StageClaimed(decision.now, stage.name, lease, former))
    return decision.events


def _renew(decision: Decision, stage: StageRecord, command: c.Renew) -> Decided:
    if not _holds(stage, command.fence):
        return refuse_lease(decision.record, stage, command.fence, decision.now) or _lost(decision.record, stage)
    if stage.state is StageState.CLAIMED:
        decision.add(e.LeaseRenewed(decision.now, stage.name, decision.lease_end()))
    # A parked lease, while the gates judge, cannot expire: nothing to renew.
    return decision.events


def _submit(decision: Decision, stage: StageRecord, command: c.Submit) -> Decided:
    refusal = refuse_lease(decision.record, stage, command.fence, decision.now)
    if refusal is not None:
        return refusal
    assert stage.lease is not None
    last = stage.current
    if last is not None and stage.failed > 0 and last.outcome is Outcome.FAILED and last.tree == command.tree:
        if not command.open_findings or set(command.open_findings) - set(command.disputed):
            return refusals.unchanged_artifact(decision.record.id, stage.name, last.number)
        question = f"agent '{stage.lease.holder}' disputes every finding of attempt {last.number}: {command.summary}"
        decision.escalate(stage.name, Cause.NEEDS_DECISION, question)
        return decision.events
    decision.add(
        e.ArtifactSubmitted(
            at=decision.now,
            stage=stage.name,
            attempt=len(stage.attempts) + 1,
            commit=command.commit,
            tree=command.tree,
            base=command.base,
            summary=command.summary,
            holder=stage.lease.holder,
            principal=stage.lease.principal,
            evaluation=decision.next_evaluation(),
            disputed=command.disputed,
        )
    )
    return decision.events


def _release(decision: Decision, stage: StageRecord, command: c.Release) -> Decided:
    judged = stage.state in {StageState.EVALUATING, StageState.IN_REVIEW}
    if judged and _holds(stage, command.fence):
        return _release_judged(decision, stage, command)
    refusal = refuse_lease(decision.record, stage, command.fence, decision.now)
    if refusal is not None:
        return refusal
    match command.because:
        case c.Because.NEEDS_DECISION:
            decision.escalate(stage.name, Cause.NEEDS_DECISION, command.reason)
        case c.Because.SPEC_CONFLICT:
            return _spec_conflict(decision, stage, command)
        case c.Because.DONE_FOR_NOW | c.Because.CANNOT | c.Because.WITHDRAW:
            decision.add(e.LeaseReleased(decision.now, stage.name, command.because, command.reason))
    return decision.events


def _release_judged(decision: Decision, stage: StageRecord, command: c.Release) -> Decided:
    match command.because:
        case c.Because.WITHDRAW:
            number = len(stage.attempts)
            decision.add(e.AttemptWithdrawn(decision.now, stage.name, number, command.reason, decision.lease_end()))
        case c.Because.DONE_FOR_NOW:
            decision.add(e.LeaseReleased(decision.now, stage.name, command.because, command.reason))
        case c.Because.CANNOT | c.Because.SPEC_CONFLICT | c.Because.NEEDS_DECISION:
            refusal = refuse_claim(decision.record, stage, decision.now)
            assert refusal is not None, "a judged stage cannot be claimed"
            return refusal
    return decision.events


def _spec_conflict(decision: Decision, stage: StageRecord, command: c.Release) -> Decided:
    upstream = graph.upstream(stage.name, decision.needs())
    if command.upstream not in upstream:
        named = ", ".join(sorted(upstream)) or "none: this stage has nothing before it"
        return refusals.bad_argument(f"`stage` must name the stage that owns the defect, one of: {named}")
    note = Note(f"spec conflict, found in '{stage.name}'", command.reason)
    decision.reopen_automatically(command.upstream, note)
    return decision.events


def _keep_orphan(decision: Decision, stage: StageRecord, command: c.KeepOrphan) -> Decided:
    if any(orphan.commit == command.commit for orphan in stage.orphans):
        return ()
    orphan = Orphan(command.commit, command.holder, command.fence, decision.now, command.note)
    decision.add(e.OrphanKept(decision.now, stage.name, orphan))
    return decision.events


def _repin(decision: Decision, command: c.Repin) -> Decided:
    if command.policy == decision.record.policy:
        return ()
    decision.add(e.PolicyRepinned(decision.now, command.policy, command.plan, command.because))
    decision.open_ready()
    return decision.events


def live_evaluations(record: ChangeRecord) -> frozenset[str]:
    """The evaluations whose result the change still waits for.

    What is enqueued, and what is cancelled when it leaves this set.
    """
    if record.state is not ChangeState.ACTIVE:
        return frozenset()
    judging = {
        s.current.evaluation
        for s in record.stages
        if s.state is StageState.EVALUATING and s.current and not s.transform
    }
    making = {s.transform for s in record.stages if s.transform is not None}
    merging = (
        {record.landing.evaluation} if record.landing and record.landing.step is LandingStep.PREPARING else set[str]()
    )
    return frozenset(judging | making | merging)
