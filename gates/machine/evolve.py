"""The next record from an event: total, pure, and the only place where a record changes.

`evolve` never decides: it applies what was decided, and asserts what must hold. Replaying a change's events gives
exactly the stored record (invariant I9).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from ...schemas import events as e
from ...schemas.ids import LAND
from ...schemas.records import ChangeRecord, ChangeState, Landing, LandingStep, StageRecord, StageState
from . import stage_steps as steps
from .transitions import Step

ORPHANS_MAX = 10


def replay(events: Iterable[e.Event]) -> ChangeRecord | None:
    """The record that a change's events, from the first on, amount to; None for no events."""
    record: ChangeRecord | None = None
    for event in events:
        record = evolve(record, event)
    return record


def evolve(record: ChangeRecord | None, event: e.Event) -> ChangeRecord:
    """The record after `event`. An event that cannot follow the record is our bug and asserts."""
    if isinstance(event, e.ChangeStarted):
        assert record is None, "a change starts once"
        return _started(event)
    assert record is not None, "the first event starts the change"
    changed = _dated(record, _change_event(record, event), event.at)
    return replace(changed, version=record.version + 1, touched_at=max(record.touched_at, event.at))


def _dated(before: ChangeRecord, after: ChangeRecord, at: datetime) -> ChangeRecord:
    """The record after an event at `at`, with that time on what came into another state, or step, by it."""
    landing, stages = after.landing, after.stages
    was = before.landing
    if landing is not None and (was is None or (was.number, was.step) != (landing.number, landing.step)):
        landing = replace(landing, since=at)
    if stages is not before.stages:
        states = {stage.name: stage.state for stage in before.stages}
        stages = tuple(s if states.get(s.name) is s.state else replace(s, since=at) for s in stages)
    return replace(after, landing=landing, stages=stages)


def _started(event: e.ChangeStarted) -> ChangeRecord:
    return ChangeRecord(
        id=event.change,
        version=1,
        state=ChangeState.ACTIVE,
        title=event.title,
        intent=event.intent,
        principal=event.principal,
        base=event.base,
        target=event.target,
        policy=event.policy,
        plan=event.plan,
        stages=tuple(StageRecord(rule.name, StageState.WAITING, since=event.at) for rule in event.plan.stages),
        created_at=event.at,
        touched_at=event.at,
    )


def _change_event(record: ChangeRecord, event: e.Event) -> ChangeRecord:
    """Events about the change as a whole; those about a stage go on to `_stage_event`."""
    match event:
        case e.ChangeStarted():
            raise AssertionError("a change starts once")
        case e.LandingStarted(number=number, evaluation=evaluation):
            landing = Landing(number, LandingStep.PREPARING, evaluation)
            return _counted(replace(record, landing=landing, landings=number), evaluation)
        case e.LandingAsked():
            return _landing(
                record,
                LandingStep.ASKING,
                old=event.old,
                new=event.new,
                tree=event.tree,
                gates=event.gates,
                asked=event.asked,
            )
        case e.LandingAnswered(gate=gate, allowed=allowed):
            assert record.landing is not None
            more = (*record.landing.allowed, gate) if allowed else record.landing.allowed
            return _landing(record, LandingStep.ASKING, allowed=more)
        case e.LandingApproved():
            return _landing_approved(record, event)
        case e.LandingBlocked() | e.LandingDelayed():
            return _held_up(record, event)
        case e.LandingIntended():
            intended = _landing(
                record, LandingStep.INTENDED, old=event.old, new=event.new, tree=event.tree, gates=event.gates
            )
            return replace(intended, state=ChangeState.LANDING)
        case e.LandingAbandoned():
            return replace(record, landing=None, state=ChangeState.ACTIVE, landing_failures=record.landing_failures + 1)
        case e.ChangeLanded(commit=commit):
            assert record.state is ChangeState.LANDING, "only an intended landing lands"
            return replace(_landing(record, LandingStep.LANDED), state=ChangeState.LANDED, landed_commit=commit)
        case e.PolicyRepinned():
            return _repinned(record, event)
        case e.ChangeCancelled(reason=reason):
            ended = tuple(steps.close(stage, f"the change was cancelled: {reason}") for stage in record.stages)
            return replace(record, state=ChangeState.CANCELLED, cancelled_because=reason, stages=ended, landing=None)
        case _:
            return _stage_event(record, event)


def _stage_event(record: ChangeRecord, event: e.Event) -> ChangeRecord:  # noqa: C901, PLR0912 - one line an event is the clearest table
    match event:
        case e.StageOpened():
            return _with(record, event.stage, steps.opened)
        case e.StageClaimed():
            return _with(record, event.stage, lambda s: steps.claimed(s, event))
        case e.LeaseRenewed(expires_at=expires_at):
            return _with(record, event.stage, lambda s: steps.renewed(steps.moved(s, Step.RENEW), expires_at))
        case e.LeaseReleased():
            return _with(record, event.stage, lambda s: steps.released(s, event))
        case e.TransformStarted(evaluation=evaluation):
            return _counted(_with(record, event.stage, lambda s: steps.run(s, evaluation)), evaluation)
        case e.ArtifactSubmitted():
            inputs = record.inputs_of(event.stage)
            submitted = _with(record, event.stage, lambda s: steps.submitted(s, event, inputs))
            # What the server made comes with the evaluation that made it.
            is_made = record.stage(event.stage).transform == event.evaluation
            return submitted if is_made else _counted(submitted, event.evaluation)
        case e.AttemptWithdrawn():
            return _with(record, event.stage, lambda s: steps.withdrawn(s, event))
        case e.FloorPassed():
            return _with(record, event.stage, lambda s: steps.floor_passed(s, event))
        case e.StagePassed():
            return _with(record, event.stage, lambda s: steps.passed(s, event))
        case e.AttemptFailed():
            is_run = record.rule(event.stage).is_transform
            return _with(record, event.stage, lambda s: steps.failed(s, event, is_run=is_run))
        case e.EvaluationErrored(retry=retry, gates=gates):
            errored = steps.errored_run if record.rule(event.stage).is_transform else steps.errored
            return _counted(_with(record, event.stage, lambda s: errored(s, retry, gates)), retry)
        case e.StageEscalated():
            return _with(record, event.stage, lambda s: steps.escalated(s, event))
        case e.QuestionAnswered():
            return _with(record, event.stage, lambda s: steps.answered(s, event))
        case e.ReviewClaimed(lease=lease):
            return _with(record, event.stage, lambda s: steps.review_claimed(s, lease))
        case e.ReviewLeaseRenewed(number=number, expires_at=expires_at):
            return _with(record, event.stage, lambda s: steps.review_renewed(s, number, expires_at))
        case e.ReviewReleased(number=number):
            return _with(record, event.stage, lambda s: steps.review_released(s, number))
        case e.ReviewGiven():
            return _with(record, event.stage, lambda s: steps.reviewed(s, event))
        case e.ApprovalGiven():
            return _with(record, event.stage, lambda s: steps.approved(s, event))
        case e.DecisionGiven():
            step = Step.RERUN if record.rule(event.stage).is_transform else Step.DECIDE
            return _with(record, event.stage, lambda s: steps.decided(steps.moved(s, step), event))
        case e.AttemptsGranted(count=count):
            return _with(record, event.stage, lambda s: steps.granted(s, count))
        case e.StageReopened():
            step = Step.RERUN if record.rule(event.stage).is_transform else Step.REOPEN
            return _with(record, event.stage, lambda s: steps.reopened(steps.moved(s, step), event))
        case e.StageClosed(because=because):
            return _with(record, event.stage, lambda s: steps.close(steps.moved(s, Step.CLOSE), because))
        case e.OrphanKept(orphan=orphan):
            return _with(record, event.stage, lambda s: replace(s, orphans=(*s.orphans, orphan)[-ORPHANS_MAX:]))
        case (
            e.ChangeStarted()
            | e.LandingStarted()
            | e.LandingAsked()
            | e.LandingAnswered()
            | e.LandingApproved()
            | e.LandingBlocked()
            | e.LandingIntended()
            | e.LandingDelayed()
            | e.LandingAbandoned()
            | e.ChangeLanded()
            | e.PolicyRepinned()
            | e.ChangeCancelled()
        ):
            raise AssertionError(f"{event.kind} is about the change, not a stage")
        case _:
            assert_never(event)


def _with(record: ChangeRecord, name: str, change: Callable[[StageRecord], StageRecord]) -> ChangeRecord:
    return replace(record, stages=tuple(change(s) if s.name == name else s for s in record.stages))


def _counted(record: ChangeRecord, evaluation: str) -> ChangeRecord:
    number = int(evaluation.rpartition(".e")[2])
    assert number == record.evaluations + 1, "evaluation numbers are gapless"
    return replace(record, evaluations=number)


def _landing_approved(record: ChangeRecord, event: e.LandingApproved) -> ChangeRecord:
    assert record.landing is not None, "there is a landing"
    approvals = (*record.landing.approvals, event.approval)
    more = (*record.landing.allowed, event.approval.gate) if event.is_enough else record.landing.allowed
    return _landing(record, LandingStep.ASKING, approvals=approvals, allowed=more)


def _held_up(record: ChangeRecord, event: e.LandingBlocked | e.LandingDelayed) -> ChangeRecord:
    assert record.landing is not None, "there is a landing"
    if isinstance(event, e.LandingBlocked):
        return _landing(record, LandingStep.BLOCKED, because=event.because)
    return _landing(record, LandingStep.INTENDED, because=event.because, delays=record.landing.delays + 1)


def _landing(record: ChangeRecord, step: LandingStep, **fields: object) -> ChangeRecord:
    assert record.landing is not None, "there is a landing"
    return replace(record, landing=replace(record.landing, step=step, **fields))  # type: ignore[arg-type]  # fields of Landing - named by the callers above


def _repinned(record: ChangeRecord, event: e.PolicyRepinned) -> ChangeRecord:
    known = {stage.name: stage for stage in (*record.retired, *record.stages)}
    stages = tuple(steps.carried(known.pop(rule.name, None), rule.name, event.because) for rule in event.plan.stages)
    assert LAND not in {stage.name for stage in stages}
    retired = tuple(steps.carried(stage, stage.name, event.because) for stage in known.values())
    return replace(record, policy=event.policy, plan=event.plan, stages=stages, retired=retired, landing=None)
