"""Decide, evolve, save: the step that every mutating operation shares, inside one transaction."""

from datetime import datetime
from typing import TYPE_CHECKING

from ...gates.lifecycle import decide, live_evaluations
from ...gates.machine.commands import Command
from ...gates.machine.evolve import evolve
from ...schemas import refusals
from ...schemas.events import EvaluationErrored, Event, LandingIntended
from ...schemas.records import ChangeRecord, StageState
from ...schemas.refusals import Refusal, Refused
from ..store import EvaluationRow, EvaluationState, PassedTree, Purpose

if TYPE_CHECKING:
    from ..store.tx import Tx


def get_change(tx: "Tx", change: str) -> ChangeRecord:
    """The record, or `Refused` (unknown_change)."""
    record = tx.find_change(change)
    if record is None:
        raise Refused(refusals.unknown_change(change))
    return record


def apply(tx: "Tx", record: ChangeRecord | None, command: Command, now: datetime) -> ChangeRecord:
    """Decide `command`, save what follows, and return the record after it; raises `Refused`, and nothing is changed."""
    decided = decide(record, command, now)
    if isinstance(decided, Refusal):
        raise Refused(decided)
    after = record
    for event in decided:
        after = evolve(after, event)
    assert after is not None, "a command without a record starts a change"
    if decided:
        tx.save(after, decided)
        _follow_evaluations(tx, record, after, decided, now)
        _remember_passed_tree(tx, after, decided, now)
    return after


def runs_on(record: ChangeRecord, row: EvaluationRow) -> tuple[str, ...]:
    """The labels that whoever runs an evaluation needs."""
    if row.purpose in {Purpose.LAND, Purpose.WARM}:
        return record.plan.land_runs_on
    return record.rule(row.stage).runs_on


def _follow_evaluations(
    tx: "Tx", before: ChangeRecord | None, after: ChangeRecord, events: tuple[Event, ...], now: datetime
) -> None:
    """Enqueue what the change now waits for and cancel what it no longer does.

    Derived, so the two cannot drift apart.
    """
    was = frozenset[str]() if before is None else live_evaluations(before)
    live = live_evaluations(after)
    for evaluation in sorted(was - live):
        tx.cancel_evaluation(evaluation)
    delays = {event.retry: event.not_before for event in events if isinstance(event, EvaluationErrored)}
    for evaluation in sorted(live - was):
        row = _row(after, evaluation, now, delays.get(evaluation, now))
        tx.enqueue(row, runs_on(after, row))
    if before is not None:
        _cancel_dry_runs(tx, after)


def _remember_passed_tree(tx: "Tx", record: ChangeRecord, events: tuple[Event, ...], now: datetime) -> None:
    """What `verify` looks up: a tree that passed everything that landing asks for, under the pinned policy."""
    for event in events:
        if isinstance(event, LandingIntended) and record.landing is not None:
            evaluation = record.landing.evaluation
            tx.add_passed_tree(PassedTree(event.tree, record.policy.digest, record.id, evaluation, event.new, now))


def _row(record: ChangeRecord, evaluation: str, now: datetime, not_before: datetime) -> EvaluationRow:
    for stage in record.stages:
        if stage.transform == evaluation:
            purpose, name, attempt = Purpose.RUN, stage.name, None
            break
        if stage.state is StageState.EVALUATING and stage.current and stage.current.evaluation == evaluation:
            purpose, name, attempt = Purpose.ATTEMPT, stage.name, stage.current.number
            break
    else:
        purpose, name, attempt = Purpose.LAND, "land", None
    return EvaluationRow(
        id=evaluation,
        change=record.id,
        stage=name,
        purpose=purpose,
        state=EvaluationState.QUEUED,
        created_at=now,
        not_before=not_before,
        attempt=attempt,
    )


def _cancel_dry_runs(tx: "Tx", after: ChangeRecord) -> None:
    """A dry run belongs to a lease; it ends with it."""
    for row in tx.evaluations(change=after.id):
        if row.purpose is Purpose.DRY:
            stage = after.find_stage(row.stage)
            if stage is None or stage.lease is None or stage.lease.fence != row.fence:
                tx.cancel_evaluation(row.id)
