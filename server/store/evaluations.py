"""Evaluations: who runs which gates, and who may settle them. Every step is a conditional write with one winner."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import bindparam, false, func, or_, select, update

from . import schema
from .deliveries import Deliveries
from .forms import micros, micros_or_none, moment, moment_or_none
from .part import Prepared, Row, Values, adding
from .rows import EvaluationRow, EvaluationState, Purpose

# Longer than a gate that could not judge is ever put off.
PUT_OFF_MAX = timedelta(seconds=60)
LIVE = (EvaluationState.QUEUED, EvaluationState.RUNNING)

_evaluation = schema.evaluation


class Evaluations(Deliveries):
    """Evaluations by id, change, stage and state, and their course from queued to settled."""

    def enqueue(self, row: EvaluationRow, runs_on: Iterable[str] = ()) -> None:
        """Add an evaluation to be run, by a worker with these labels where workers run them."""
        self._write(_ADD, **_values(row))
        later = row.not_before if row.not_before > row.created_at else None
        self.deliver(row.id, row.purpose, runs_on, later)

    def next_dry_run(self, change: str) -> str:
        """The id of the change's next dry run, which the change record does not count."""
        prefix = f"{change}.d"
        return f"{prefix}{self._value(_COUNT_DRY_RUNS, this=change, prefix=prefix, length=len(prefix)) + 1}"

    def find_evaluation(self, evaluation: str) -> EvaluationRow | None:
        """One evaluation, or None."""
        row = self._row(_FIND, this=evaluation)
        return None if row is None else _evaluation_of(row)

    def due_evaluations(self, now: datetime, *, stale_before: datetime, limit: int) -> tuple[EvaluationRow, ...]:
        """Queued ones whose time has come, and running ones whose runner has not been heard of since `stale_before`.

        Nothing is put off for long: what is to wait longer was queued before the clock was set back, and is due.
        """
        times = {"now": micros(now), "stale_before": micros(stale_before), "far": micros(now + PUT_OFF_MAX)}
        rows = self._rows(_DUE, **times, most=limit)
        return tuple(_evaluation_of(row) for row in rows)

    def next_due(self) -> datetime | None:
        """The earliest `not_before` of what is queued."""
        return moment_or_none(self._value(_NEXT_DUE))

    def evaluations(
        self, *, change: str | None = None, stage: str | None = None, states: Iterable[EvaluationState] = LIVE
    ) -> tuple[EvaluationRow, ...]:
        """Evaluations in the given states, oldest first."""
        wanted = {"change": change, "stage": stage}
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self._rows(_evaluations_where(frozenset(given), frozenset(states)), **given)
        return tuple(_evaluation_of(row) for row in rows)

    def start_evaluation(self, evaluation: str, token: str, now: datetime, *, stale_before: datetime) -> bool:
        """Take it under a new token, when it is queued or its runner is lost; False when somebody else did."""
        times = {"now": micros(now), "stale_before": micros(stale_before)}
        return self._write(_START, this=evaluation, new_token=token, **times) == 1

    def heartbeat(self, evaluation: str, token: str, now: datetime, progress: str) -> bool:
        """Say that its runner is alive; False when it was lost or cancelled: stop it."""
        return self._write(_BEAT, this=evaluation, held=token, now=micros(now), told=progress) == 1

    def finish_evaluation(self, evaluation: str, token: str, now: datetime) -> bool:
        """Settle it; True for exactly one caller, the holder of its current token (invariant I3)."""
        return self._write(_FINISH, this=evaluation, held=token, now=micros(now)) == 1

    def requeue_evaluation(self, evaluation: str, token: str, not_before: datetime) -> bool:
        """Give it back unsettled, to be run again from `not_before` on."""
        return self._write(_REQUEUE, this=evaluation, held=token, later=micros(not_before)) == 1

    def hand_back_evaluation(self, evaluation: str, token: str, now: datetime) -> bool:
        """Give it back as if it had not been started: no fault of its own ended it."""
        return self._write(_HAND_BACK, this=evaluation, held=token, later=micros(now)) == 1

    def cancel_evaluation(self, evaluation: str) -> None:
        """Nobody waits for its result any more; no effect on one that is settled."""
        self._write(_CANCEL, this=evaluation)


@cache
def _evaluations_where(given: frozenset[str], states: frozenset[EvaluationState]) -> Prepared:
    """The query for one combination of conditions, made once: to build it costs more than to run it."""
    query = select(_evaluation).where(or_(false(), *(_evaluation.c.state == str(state) for state in sorted(states))))
    for name in sorted(given):
        query = query.where(_evaluation.c[name] == bindparam(name))
    return Prepared(query.order_by(_evaluation.c.created_at, _evaluation.c.id))


_COLUMNS = tuple(column.name for column in _evaluation.columns)

_IS_THIS = _evaluation.c.id == bindparam("this")
_IS_QUEUED = _evaluation.c.state == str(EvaluationState.QUEUED)
_IS_RUNNING = _evaluation.c.state == str(EvaluationState.RUNNING)
_IS_LOST = _IS_RUNNING & (_evaluation.c.heartbeat_at < bindparam("stale_before"))
_IS_TIME = or_(_evaluation.c.not_before <= bindparam("now"), _evaluation.c.not_before > bindparam("far"))
_IS_LIVE = or_(_IS_QUEUED, _IS_RUNNING)

_ADD = adding(_evaluation)
_FIND = Prepared(select(_evaluation).where(_IS_THIS))
_COUNT_DRY_RUNS = Prepared(
    select(func.count())
    .select_from(_evaluation)
    .where(
        _evaluation.c.change == bindparam("this"),
        func.substr(_evaluation.c.id, 1, bindparam("length")) == bindparam("prefix"),
    )
)
# What somebody waits for goes before what only warms up.
_DUE = Prepared(
    select(_evaluation)
    .where(or_(_IS_QUEUED & _IS_TIME, _IS_LOST))
    .order_by(_evaluation.c.purpose == str(Purpose.WARM), _evaluation.c.not_before)
    .limit(bindparam("most"))
)
_NEXT_DUE = Prepared(select(func.min(_evaluation.c.not_before)).where(_IS_QUEUED))
_START = Prepared(
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
_BEAT = Prepared(_OF_HOLDER.values(heartbeat_at=bindparam("now"), progress=bindparam("told")))
_FINISH = Prepared(_OF_HOLDER.values(state=str(EvaluationState.SETTLED), finished_at=bindparam("now")))
_REQUEUE = Prepared(_OF_HOLDER.values(state=str(EvaluationState.QUEUED), token=None, not_before=bindparam("later")))
_HAND_BACK = Prepared(
    _OF_HOLDER.values(
        state=str(EvaluationState.QUEUED), token=None, not_before=bindparam("later"), tries=_evaluation.c.tries - 1
    )
)
_CANCEL = Prepared(update(_evaluation).where(_IS_THIS, _IS_LIVE).values(state=str(EvaluationState.CANCELLED)))


def _values(row: EvaluationRow) -> Values:
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


def _evaluation_of(row: Row) -> EvaluationRow:
    """From a row of the whole table, whose columns are named like the fields."""
    found = dict(zip(_COLUMNS, row, strict=True))
    times = {name: moment_or_none(found[name]) for name in ("heartbeat_at", "finished_at")}
    return EvaluationRow(
        **{
            **found,
            **times,
            "purpose": Purpose(found["purpose"]),
            "state": EvaluationState(found["state"]),
            "created_at": moment(found["created_at"]),
            "not_before": moment(found["not_before"]),
            "gates": tuple(json.loads(found["gates"])),
        }
    )
