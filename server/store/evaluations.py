"""Evaluations: who runs which gates, and who may settle them. Every step is a conditional write with one winner."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, or_, select, update

from . import schema
from .forms import micros, micros_or_none, moment, moment_or_none
from .part import Part
from .rows import EvaluationRow, EvaluationState, Purpose

LIVE = (EvaluationState.QUEUED, EvaluationState.RUNNING)

_evaluation = schema.evaluation


class Evaluations(Part):
    """Evaluations by id, change, stage and state, and their course from queued to settled."""

    def enqueue(self, row: EvaluationRow) -> None:
        """Add an evaluation to be run."""
        self.connection.execute(_ADD, _values(row))

    def next_dry_run(self, change: str) -> str:
        """The id of the change's next dry run, which the change record does not count."""
        prefix = f"{change}.d"
        values = {"this": change, "prefix": prefix, "length": len(prefix)}
        return f"{prefix}{self.connection.execute(_COUNT_DRY_RUNS, values).scalar_one() + 1}"

    def find_evaluation(self, evaluation: str) -> EvaluationRow | None:
        """One evaluation, or None."""
        row = self.connection.execute(_FIND, {"this": evaluation}).first()
        return None if row is None else _evaluation_of(row)

    def due_evaluations(self, now: datetime, *, stale_before: datetime, limit: int) -> tuple[EvaluationRow, ...]:
        """Queued ones whose time has come, and running ones whose runner has not been heard of since `stale_before`."""
        values = {"now": micros(now), "stale_before": micros(stale_before), "most": limit}
        return tuple(_evaluation_of(row) for row in self.connection.execute(_DUE, values))

    def next_due(self) -> datetime | None:
        """The earliest `not_before` of what is queued."""
        return moment_or_none(self.connection.execute(_NEXT_DUE).scalar())

    def evaluations(
        self, *, change: str | None = None, stage: str | None = None, states: Iterable[EvaluationState] = LIVE
    ) -> tuple[EvaluationRow, ...]:
        """Evaluations in the given states, oldest first."""
        wanted = {"change": change, "stage": stage}
        given = {name: value for name, value in wanted.items() if value is not None}
        values = {"states": [str(state) for state in states], **given}
        rows = self.connection.execute(_evaluations_where(frozenset(given)), values)
        return tuple(_evaluation_of(row) for row in rows)

    def start_evaluation(self, evaluation: str, token: str, now: datetime, *, stale_before: datetime) -> bool:
        """Take it under a new token, when it is queued or its runner is lost; False when somebody else did."""
        values = {"this": evaluation, "new_token": token, "now": micros(now), "stale_before": micros(stale_before)}
        return self._changes_one(_START, values)

    def heartbeat(self, evaluation: str, token: str, now: datetime, progress: str) -> bool:
        """Say that its runner is alive; False when it was lost or cancelled: stop it."""
        return self._changes_one(_BEAT, {"this": evaluation, "held": token, "now": micros(now), "told": progress})

    def finish_evaluation(self, evaluation: str, token: str, now: datetime) -> bool:
        """Settle it; True for exactly one caller, the holder of its current token (invariant I3)."""
        return self._changes_one(_FINISH, {"this": evaluation, "held": token, "now": micros(now)})

    def requeue_evaluation(self, evaluation: str, token: str, not_before: datetime) -> bool:
        """Give it back unsettled, to be run again from `not_before` on."""
        return self._changes_one(_REQUEUE, {"this": evaluation, "held": token, "later": micros(not_before)})

    def cancel_evaluation(self, evaluation: str) -> None:
        """Nobody waits for its result any more; no effect on one that is settled."""
        self.connection.execute(_CANCEL, {"this": evaluation})

    def _changes_one(self, statement: Any, values: Mapping[str, object]) -> bool:  # noqa: ANN401 - see below
        # The library's name for "an UPDATE of some table" is private to its own typing.
        return bool(self.connection.execute(statement, values).rowcount == 1)


@cache
def _evaluations_where(given: frozenset[str]) -> Select[Any]:  # the row type of a whole table has no name
    """The query for one combination of conditions, made once: to build it costs more than to run it."""
    query = select(_evaluation).where(_evaluation.c.state.in_(bindparam("states", expanding=True)))
    for name in sorted(given):
        query = query.where(_evaluation.c[name] == bindparam(name))
    return query.order_by(_evaluation.c.created_at)


_IS_THIS = _evaluation.c.id == bindparam("this")
_IS_QUEUED = _evaluation.c.state == str(EvaluationState.QUEUED)
_IS_RUNNING = _evaluation.c.state == str(EvaluationState.RUNNING)
_IS_LOST = _IS_RUNNING & (_evaluation.c.heartbeat_at < bindparam("stale_before"))
_IS_LIVE = or_(_IS_QUEUED, _IS_RUNNING)

_ADD = insert(_evaluation)
_FIND = select(_evaluation).where(_IS_THIS)
_COUNT_DRY_RUNS = (
    select(func.count())
    .select_from(_evaluation)
    .where(
        _evaluation.c.change == bindparam("this"),
        func.substr(_evaluation.c.id, 1, bindparam("length")) == bindparam("prefix"),
    )
)
# What somebody waits for goes before what only warms up.
_DUE = (
    select(_evaluation)
    .where(or_(_IS_QUEUED & (_evaluation.c.not_before <= bindparam("now")), _IS_LOST))
    .order_by(_evaluation.c.purpose == str(Purpose.WARM), _evaluation.c.not_before)
    .limit(bindparam("most"))
)
_NEXT_DUE = select(func.min(_evaluation.c.not_before)).where(_IS_QUEUED)
_START = (
    update(_evaluation)
    .where(_IS_THIS, or_(_IS_QUEUED, _IS_LOST))
    .values(
        state=str(EvaluationState.RUNNING),
        token=bindparam("new_token"),
        heartbeat_at=bindparam("now"),
        progress="",
        tries=_evaluation.c.tries + 1,
    )
)
_OF_HOLDER = update(_evaluation).where(_IS_THIS, _evaluation.c.token == bindparam("held"), _IS_RUNNING)
_BEAT = _OF_HOLDER.values(heartbeat_at=bindparam("now"), progress=bindparam("told"))
_FINISH = _OF_HOLDER.values(state=str(EvaluationState.SETTLED), finished_at=bindparam("now"))
_REQUEUE = _OF_HOLDER.values(state=str(EvaluationState.QUEUED), token=None, not_before=bindparam("later"))
_CANCEL = update(_evaluation).where(_IS_THIS, _IS_LIVE).values(state=str(EvaluationState.CANCELLED))


def _values(row: EvaluationRow) -> dict[str, object]:
    return {
        "id": row.id,
        "change": row.change,
        "stage": row.stage,
        "purpose": str(row.purpose),
        "state": str(row.state),
        "created_at": micros(row.created_at),
        "not_before": micros(row.not_before),
        "attempt": row.attempt,
        "commit": row.commit,
        "tree": row.tree,
        "scope_base": row.scope_base,
        "gates": json.dumps(row.gates),
        "fence": row.fence,
        "token": row.token,
        "heartbeat_at": micros_or_none(row.heartbeat_at),
        "finished_at": micros_or_none(row.finished_at),
        "tries": row.tries,
        "progress": row.progress,
    }


def _evaluation_of(row: Row[Any]) -> EvaluationRow:  # the row type of a whole table has no name
    return EvaluationRow(
        id=row.id,
        change=row.change,
        stage=row.stage,
        purpose=Purpose(row.purpose),
        state=EvaluationState(row.state),
        created_at=moment(row.created_at),
        not_before=moment(row.not_before),
        attempt=row.attempt,
        commit=row.commit,
        tree=row.tree,
        scope_base=row.scope_base,
        gates=tuple(json.loads(row.gates)),
        fence=row.fence,
        token=row.token,
        heartbeat_at=moment_or_none(row.heartbeat_at),
        finished_at=moment_or_none(row.finished_at),
        tries=row.tries,
        progress=row.progress,
    )
