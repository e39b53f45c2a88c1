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
    Maker,
    Note,
    Orphan,
    StageRecord,
    StageState,
)
from ..schemas.refusals import Refusal
from . import graph
from .machine import approvals, landing, questions, resubmission, reviewing, settlement
from .machine import commands as c
from .machine.decision import Decision
from .machine.evolve import evolve
from .machine.independence import FAMILY
from .machine.precedence import holds, lost, refuse_change, refuse_claim, refuse_lease

Decided: TypeAlias = tuple[e.Event, ...] | Refusal


def decide(record: ChangeRecord | None, command: c.Command, now: datetime) -> Decided:
    """The events that follow from `command`, possibly none, or the refusal that applies first.

    `now` is aware UTC and may go back: the record's last touch is the floor (rule 13). Nothing is changed by a refusal.
    """
    if isinstance(command, c.Start):
        return _start(command, now)
    assert record is not None, "only Start comes without a record"
    decision = Decision(record, max(now, record.touched_at))
    if isinstance(command, c.Settle):
        return settlement.settle(decision, command)
    if isinstance(command, c.SettleLanding | c.BlockLanding | c.ConfirmLanding | c.DelayLanding | c.LoseLanding):
        return landing.decide(decision, command)
    return refuse_change(record) or _decide_asked(decision, command)


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


def _decide_asked(decision: Decision, command: c.Asked) -> Decided:
    """What somebody asks of a change that is under way: of the change and its landing here, of a stage below."""
    match command:
        case c.RetryLanding():
            return landing.retry(decision)
        case c.Repin():
            return _repin(decision, command)
        case c.Cancel(by=by, reason=reason):
            decision.add(e.ChangeCancelled(decision.now, by, reason))
            return decision.events
        case c.Answer(stage=stage) if stage == LAND:
            return landing.answer(decision, command)
        case c.Approve(stage=stage) if stage == LAND:
            return landing.approve(decision, command)
        case _:
            return _decide_of_stage(decision, command)


def _decide_of_stage(decision: Decision, command: c.AskedOfStage) -> Decided:  # noqa: C901, PLR0912 - one line a command is the clearest table
    record = decision.record
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
        case c.ClaimReview():
            return reviewing.claim(decision, stage, command)
        case c.RenewReview():
            return reviewing.renew(decision, stage, command)
        case c.ReleaseReview():
            return reviewing.release(decision, stage, command)
        case c.GiveReview():
            return reviewing.give(decision, stage, command)
        case c.Approve():
            return approvals.approve(decision, stage, command)
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
    reviews = decision.record.rule(stage.name).reviews
    if command.model is None and any(review.independence == FAMILY for review in reviews):
        # Without the author's own, every family would count as another.
        return refusals.bad_argument("another model family reviews this stage: say which `model` you are")
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
    if not holds(stage, command.fence):
        refusal = refuse_lease(decision.record, stage, command.fence, decision.now)
        return refusal or lost(decision.record, stage, command.fence)
    if stage.state is StageState.CLAIMED:
        decision.add(e.LeaseRenewed(decision.now, stage.name, decision.lease_end()))
    # A parked lease, while the gates judge, cannot expire: nothing to renew.
    return decision.events


def _submit(decision: Decision, stage: StageRecord, command: c.Submit) -> Decided:
    refusal = refuse_lease(decision.record, stage, command.fence, decision.now)
    if refusal is not None:
        return refusal
    assert stage.lease is not None
    refusal = resubmission.refuse(decision.record, stage, command)
    if refusal is not None:
        return refusal
    dispute = resubmission.find_dispute(stage, command)
    if dispute is not None:
        question = f"{resubmission.question(stage, dispute, command.answers)}; {command.summary}"
        decision.escalate(stage.name, Cause.NEEDS_DECISION, question, dispute=dispute)
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
            answers=command.answers,
            model=stage.lease.model,
            adopted=_adopted(stage, stage.lease, command),
            stage_base=command.stage_base,
        )
    )
    return decision.events


def _adopted(stage: StageRecord, lease: Lease, command: c.Submit) -> tuple[Maker, ...]:
    """Who made the kept work that is handed in now, as it is; its holder left out."""
    holder = Maker(lease.principal, lease.holder, lease.model)
    same = (orphan for orphan in stage.orphans if command.commit == orphan.commit or command.tree == orphan.tree)
    found = dict.fromkeys((*command.kept_by, *(orphan.maker for orphan in same)))
    return tuple(maker for maker in found if maker is not None and maker != holder)


def _release(decision: Decision, stage: StageRecord, command: c.Release) -> Decided:
    judged = stage.state in {StageState.EVALUATING, StageState.IN_REVIEW}
    if judged and holds(stage, command.fence):
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
    # What the server runs owns no defect: run again it would give the same.
    owners = {name for name in upstream if not decision.record.rule(name).is_transform}
    if command.upstream not in owners:
        named = ", ".join(sorted(owners)) or "none: no agent's stage is before this one"
        return refusals.bad_argument(f"`stage` must name the stage that owns the defect, one of: {named}")
    note = Note(f"spec conflict, found in '{stage.name}'", command.reason, command.paths)
    decision.reopen_automatically(command.upstream, note)
    return decision.events


def _keep_orphan(decision: Decision, stage: StageRecord, command: c.KeepOrphan) -> Decided:
    if any(orphan.commit == command.commit for orphan in stage.orphans):
        return ()
    orphan = Orphan(
        commit=command.commit,
        holder=command.holder,
        fence=command.fence,
        kept_at=decision.now,
        note=command.note,
        principal=command.principal,
        model=command.model,
        tree=command.tree,
    )
    decision.add(e.OrphanKept(decision.now, stage.name, orphan))
    return decision.events


def _repin(decision: Decision, command: c.Repin) -> Decided:
    if command.policy == decision.record.policy:
        return ()
    decision.abandon_landing("the change is judged by another policy now")
    decision.add(e.PolicyRepinned(decision.now, command.policy, command.plan, command.because))
    decision.open_ready()
    return decision.events
