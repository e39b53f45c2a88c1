"""The next record from an event: total, pure, and the only place where a record changes.

`evolve` never decides: it applies what was decided, and asserts what must hold. Replaying a change's events gives
exactly the stored record (invariant I9).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from ..schemas import events as e
from ..schemas.ids import LAND
from ..schemas.records import (
    Attempt,
    AttemptState,
    Cause,
    ChangeRecord,
    ChangeState,
    GateOutcome,
    Landing,
    LandingStep,
    Note,
    Outcome,
    StageRecord,
    StageState,
)
from .transitions import Step, follow

ORPHANS_MAX = 10
NOTES_MAX = 20


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
    changed = _change_event(record, event)
    return replace(changed, version=record.version + 1, touched_at=max(record.touched_at, event.at))


def has_kept_question(stage: StageRecord) -> bool:
    """Whether the stage waits with a question to people that comes back when its needs have passed."""
    return stage.escalation is not None and stage.escalation.cause is Cause.NEEDS_DECISION


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
        stages=tuple(StageRecord(rule.name, StageState.WAITING) for rule in event.plan.stages),
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
        case e.LandingBlocked(because=because):
            return _landing(record, LandingStep.BLOCKED, because=because)
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
            ended = tuple(_close(stage) for stage in record.stages)
            return replace(record, state=ChangeState.CANCELLED, cancelled_because=reason, stages=ended, landing=None)
        case _:
            return _stage_event(record, event)


def _stage_event(record: ChangeRecord, event: e.Event) -> ChangeRecord:  # noqa: C901, PLR0912 - one line an event is the clearest table
    match event:
        case e.StageOpened():
            return _with(record, event.stage, _opened)
        case e.StageClaimed(lease=lease, taken_over=taken_over):
            step = Step.TAKE_OVER if taken_over is not None else Step.CLAIM
            return _with(
                record, event.stage, lambda s: replace(_moved(s, step), lease=lease, fence=_risen(s, lease.fence))
            )
        case e.LeaseRenewed(expires_at=expires_at):
            return _with(record, event.stage, lambda s: _renewed(_moved(s, Step.RENEW), expires_at))
        case e.LeaseReleased(because=because, reason=reason):
            return _with(
                record, event.stage, lambda s: _noted(replace(_moved(s, Step.RELEASE), lease=None), because, reason)
            )
        case e.TransformStarted(evaluation=evaluation):
            return _counted(_with(record, event.stage, lambda s: _run(s, evaluation)), evaluation)
        case e.ArtifactSubmitted():
            submitted = _with(record, event.stage, lambda s: _submitted(s, event))
            # What the server made comes with the evaluation that made it.
            is_made = record.stage(event.stage).transform == event.evaluation
            return submitted if is_made else _counted(submitted, event.evaluation)
        case e.AttemptWithdrawn(expires_at=expires_at):
            return _with(record, event.stage, lambda s: _renewed(_superseded(_moved(s, Step.WITHDRAW)), expires_at))
        case e.FloorPassed(gates=gates, asked=asked):
            return _with(
                record,
                event.stage,
                lambda s: _current(_moved(s, Step.FLOOR_PASSED), outcome=Outcome.PENDING, gates=gates, asked=asked),
            )
        case e.StagePassed():
            return _with(record, event.stage, lambda s: _passed(s, event))
        case e.AttemptFailed():
            is_run = record.rule(event.stage).is_transform
            return _with(record, event.stage, lambda s: _failed(s, event, is_run=is_run))
        case e.EvaluationErrored(retry=retry, gates=gates):
            errored = _errored_run if record.rule(event.stage).is_transform else _errored
            return _counted(_with(record, event.stage, lambda s: errored(s, retry, gates)), retry)
        case e.StageEscalated():
            return _with(record, event.stage, lambda s: _escalated(s, event))
        case e.QuestionAnswered():
            return _with(record, event.stage, lambda s: _answered(s, event))
        case e.DecisionGiven(note=note):
            step = Step.RERUN if record.rule(event.stage).is_transform else Step.DECIDE
            return _with(record, event.stage, lambda s: _fresh(_moved(s, step), note))
        case e.AttemptsGranted(count=count):
            return _with(
                record,
                event.stage,
                lambda s: replace(_moved(s, Step.GRANT), granted=s.granted + count, stuck=0, escalation=None),
            )
        case e.StageReopened():
            step = Step.RERUN if record.rule(event.stage).is_transform else Step.REOPEN
            return _with(record, event.stage, lambda s: _reopened(_moved(s, step), event))
        case e.StageClosed():
            return _with(record, event.stage, lambda s: _close(replace(s, state=follow(s.state, Step.CLOSE))))
        case e.OrphanKept(orphan=orphan):
            return _with(record, event.stage, lambda s: replace(s, orphans=(*s.orphans, orphan)[-ORPHANS_MAX:]))
        case (
            e.ChangeStarted()
            | e.LandingStarted()
            | e.LandingAsked()
            | e.LandingAnswered()
            | e.LandingBlocked()
            | e.LandingIntended()
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


def _landing(record: ChangeRecord, step: LandingStep, **fields: object) -> ChangeRecord:
    assert record.landing is not None, "there is a landing"
    return replace(record, landing=replace(record.landing, step=step, **fields))  # type: ignore[arg-type]  # fields of Landing - named by the callers above


def _moved(stage: StageRecord, step: Step) -> StageRecord:
    return replace(stage, state=follow(stage.state, step))


def _risen(stage: StageRecord, fence: int) -> int:
    assert fence == stage.fence + 1, "a fence rises by one with every lease (I2)"
    return fence


def _renewed(stage: StageRecord, expires_at: datetime) -> StageRecord:
    assert stage.lease is not None, "only a lease is renewed"
    return replace(stage, lease=replace(stage.lease, expires_at=expires_at))


def _opened(stage: StageRecord) -> StageRecord:
    if has_kept_question(stage):
        return _moved(stage, Step.QUESTION_BACK)
    return replace(_moved(stage, Step.NEEDS_PASSED), escalation=None)


def _noted(stage: StageRecord, because: str, reason: str) -> StageRecord:
    if because != "cannot":
        return stage
    return replace(stage, notes=(*stage.notes, Note("the former holder could not", reason))[-NOTES_MAX:])


def _run(stage: StageRecord, evaluation: str) -> StageRecord:
    """Every start has a fence of its own, as every lease has (I2); being tried again after an error keeps it."""
    started = replace(_moved(stage, Step.RUN), fence=stage.fence + 1, transform=evaluation)
    return replace(started, failed=0, stuck=0, escalation=None, carried=None)


def _submitted(stage: StageRecord, event: e.ArtifactSubmitted) -> StageRecord:
    step = Step.RETRY_GATES if stage.state is StageState.ESCALATED else Step.SUBMIT
    if stage.transform is not None:
        assert stage.transform == event.evaluation, "what the server makes comes from the evaluation that it started"
        step = Step.MADE
    assert event.attempt == len(stage.attempts) + 1, "attempts are numbered, never reused"
    attempt = Attempt(
        number=event.attempt,
        commit=event.commit,
        tree=event.tree,
        base=event.base,
        summary=event.summary,
        holder=event.holder,
        principal=event.principal,
        fence=stage.fence,
        submitted_at=event.at,
        evaluation=event.evaluation,
        is_free=event.is_free,
    )
    return replace(
        _moved(stage, step), attempts=(*stage.attempts, attempt), carried=None, transform=None, escalation=None
    )


def _current(stage: StageRecord, **fields: object) -> StageRecord:
    last = stage.attempts[-1]
    return replace(stage, attempts=(*stage.attempts[:-1], replace(last, **fields)))  # type: ignore[arg-type]  # fields of Attempt - named by the callers


def _superseded(stage: StageRecord) -> StageRecord:
    if stage.current is None or stage.current.state is not AttemptState.JUDGING:
        return stage
    return _current(stage, state=AttemptState.SUPERSEDED)


def _settled(stage: StageRecord, attempt: int) -> Attempt:
    current = stage.current
    assert current is not None, "there is an attempt to judge"
    assert current.number == attempt, "the newest attempt is the one judged"
    assert current.state is AttemptState.JUDGING, "an attempt settles at most once (I3)"
    return current


def _passed(stage: StageRecord, event: e.StagePassed) -> StageRecord:
    _settled(stage, event.attempt)
    done = _current(_moved(stage, Step.PASS), state=AttemptState.PASSED, outcome=Outcome.PASSED, gates=event.gates)
    return replace(done, lease=None, accepted=event.attempt, failed=0, stuck=0, notes=(), orphans=())


def _failed(stage: StageRecord, event: e.AttemptFailed, *, is_run: bool) -> StageRecord:
    attempt = _settled(stage, event.attempt)
    step = Step.FAIL_RUN if is_run else Step.FAIL if stage.lease is not None else Step.FAIL_UNHELD
    spent = stage.failed if attempt.is_free else stage.failed + 1
    moved = replace(_moved(stage, step), failed=spent, stuck=event.stuck)
    done = _current(
        moved, state=AttemptState.FAILED, outcome=Outcome.FAILED, gates=event.gates, fingerprints=event.fingerprints
    )
    return done if event.expires_at is None else _renewed(done, event.expires_at)


def _errored(stage: StageRecord, retry: str, gates: tuple[GateOutcome, ...]) -> StageRecord:
    tries = stage.attempts[-1].error_retries + 1
    return _current(
        _moved(stage, Step.ERROR), evaluation=retry, error_retries=tries, outcome=Outcome.ERRORED, gates=gates
    )


def _errored_run(stage: StageRecord, retry: str, gates: tuple[GateOutcome, ...]) -> StageRecord:
    """The server runs it once more: what the former run made, if anything, is an attempt of its own."""
    moved = replace(_moved(stage, Step.ERROR), transform=retry)
    return _current(moved, state=AttemptState.SUPERSEDED, outcome=Outcome.ERRORED, gates=gates)


def _escalated(stage: StageRecord, event: e.StageEscalated) -> StageRecord:
    judged = _current(stage, gates=event.gates) if event.gates and stage.attempts else stage
    ended = _superseded(_moved(judged, Step.ESCALATE))
    return replace(ended, lease=None, accepted=None, transform=None, escalation=event.escalation)


def _answered(stage: StageRecord, event: e.QuestionAnswered) -> StageRecord:
    attempt = _settled(stage, event.attempt)
    moved = _moved(stage, Step.ANSWERED)
    if event.allowed:
        return _current(moved, allowed=(*attempt.allowed, event.gate))
    note = Note(f"{event.by} refused what gate '{event.gate}' asked", event.note)
    return replace(moved, notes=(*moved.notes, note)[-NOTES_MAX:])


def _fresh(stage: StageRecord, note: Note) -> StageRecord:
    notes = (*stage.notes, note)[-NOTES_MAX:]
    return replace(stage, lease=None, accepted=None, failed=0, granted=0, stuck=0, escalation=None, notes=notes)


def _reopened(stage: StageRecord, event: e.StageReopened) -> StageRecord:
    opened = _fresh(stage, event.note)
    return replace(opened, reopened=stage.reopened + 1) if event.is_automatic else opened


def _close(stage: StageRecord) -> StageRecord:
    """Take everything live off a stage. A question to people is kept and comes back; a spent budget is not."""
    ended = _superseded(stage)
    question = stage.escalation if has_kept_question(stage) else None
    return replace(ended, lease=None, accepted=None, failed=0, granted=0, stuck=0, transform=None, escalation=question)


def _repinned(record: ChangeRecord, event: e.PolicyRepinned) -> ChangeRecord:
    stages = tuple(_carried(record.find_stage(rule.name), rule.name) for rule in event.plan.stages)
    assert LAND not in {stage.name for stage in stages}
    return replace(record, policy=event.policy, plan=event.plan, stages=stages, landing=None)


def _carried(stage: StageRecord | None, name: str) -> StageRecord:
    """A stage under a new policy: waiting, its accepted or judged artifact to be judged again."""
    if stage is None:
        return StageRecord(name, StageState.WAITING)
    is_judged = stage.state in {StageState.EVALUATING, StageState.IN_REVIEW} and stage.transform is None
    judged = stage.current if is_judged else stage.artifact
    closed = _close(stage)
    return replace(closed, state=StageState.WAITING, carried=None if judged is None else judged.number)
