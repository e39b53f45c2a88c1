"""One transaction, in words of the domain. No SQL outside this file and the schema."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache as memoized
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, inspect, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ...schemas.events import Event, event_adapter
from ...schemas.records import ChangeRecord, ChangeState, Evidence
from . import schema
from .rows import EvaluationRow, EvaluationState, Opening, PassedTree, Purpose, StoredEvidence, StoredReply, openings_of

CACHE_ROWS_MAX = 2_000
LIVE = (EvaluationState.QUEUED, EvaluationState.RUNNING)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@memoized
def record_adapter() -> TypeAdapter[ChangeRecord]:
    """The JSON form of a change record; built on first use."""
    return TypeAdapter(ChangeRecord)


@memoized
def evidence_adapter() -> TypeAdapter[Evidence]:
    """The JSON form of evidence; built on first use."""
    return TypeAdapter(Evidence)


class Tx:
    """Alive only inside `Store.run` or `Store.read`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # Changes and their events

    def next_change_id(self) -> str:
        """The id that the next new change has to have."""
        highest = self.connection.execute(_HIGHEST_CHANGE).scalar()
        return f"c{(highest or 0) + 1}"

    def find_change(self, change: str) -> ChangeRecord | None:
        """The record as it stands in this transaction."""
        text = self.connection.execute(_FIND_CHANGE, {"id": change}).scalar()
        return None if text is None else record_adapter().validate_json(text)

    def changes(
        self, states: Iterable[ChangeState] | None = None, *, limit: int, newest_first: bool = True
    ) -> tuple[ChangeRecord, ...]:
        """Up to `limit` records in the given states."""
        t = schema.change
        query = select(t.c.record).order_by(t.c.number.desc() if newest_first else t.c.number).limit(limit)
        if states is not None:
            query = query.where(t.c.state.in_([str(state) for state in states]))
        return tuple(record_adapter().validate_json(row[0]) for row in self.connection.execute(query))

    def count_changes(self, states: Iterable[ChangeState]) -> int:
        """How many changes are in one of the states."""
        t = schema.change
        return self.connection.execute(
            select(func.count()).select_from(t).where(t.c.state.in_([str(state) for state in states]))
        ).scalar_one()

    def save(self, record: ChangeRecord, events: Sequence[Event]) -> None:
        """Write what `events` made of a change: record, events and openings, all or nothing (invariant I9)."""
        before = record.version - len(events)
        text = record_adapter().dump_json(record).decode()
        number = int(record.id[1:])
        values = {"version": record.version, "state": str(record.state), "record": text}
        if before == 0:
            self.connection.execute(insert(schema.change), {"number": number, "id": record.id, **values})
        else:
            done = self.connection.execute(_SAVE_CHANGE, {"this": record.id, "before": before, **values})
            assert done.rowcount == 1, f"{record.id} was not at version {before}"
        rows = [
            {
                "change": record.id,
                "version": before + place,
                "kind": item.kind,
                "event": event_adapter().dump_json(item).decode(),
            }
            for place, item in enumerate(events, 1)
        ]
        self.connection.execute(insert(schema.event), rows)
        self._save_openings(record, number)

    def events(self, change: str, *, after: int = 0, limit: int) -> tuple[tuple[int, Event], ...]:
        """(version, event) of a change, in order."""
        t = schema.event
        query = select(t.c.version, t.c.event).where(t.c.change == change, t.c.version > after)
        rows = self.connection.execute(query.order_by(t.c.version).limit(limit))
        return tuple((row[0], event_adapter().validate_json(row[1])) for row in rows)

    def events_since(self, position: int, *, limit: int) -> tuple[tuple[int, str, Event], ...]:
        """(position, change, event) of all changes, in the order in which they were committed."""
        t = schema.event
        query = select(t.c.position, t.c.change, t.c.event).where(t.c.position > position)
        rows = self.connection.execute(query.order_by(t.c.position).limit(limit))
        return tuple((row[0], row[1], event_adapter().validate_json(row[2])) for row in rows)

    def position(self, change: str | None = None) -> int:
        """The position of the newest event, of one change or of all."""
        t = schema.event
        query = select(func.max(t.c.position))
        if change is not None:
            query = query.where(t.c.change == change)
        return self.connection.execute(query).scalar() or 0

    def openings(
        self, now: datetime, *, change: str | None = None, stage: str | None = None, role: str | None = None, limit: int
    ) -> tuple[Opening, ...]:
        """What can be claimed at `now`: the oldest change first, within it the stage furthest on."""
        t = schema.opening
        query = select(t).where(or_(t.c.expires_at.is_(None), t.c.expires_at <= _micros(now)))
        wanted = ((t.c.change, change), (t.c.stage, stage), (t.c.role, role))
        for column, value in wanted:
            if value is not None:
                query = query.where(column == value)
        return self._openings(query.order_by(t.c.number, t.c.place.desc()).limit(limit))

    def next_expiry(self, now: datetime) -> datetime | None:
        """When the next lease runs out after `now`: whoever waits for work wakes then."""
        t = schema.opening
        query = select(func.min(t.c.expires_at)).where(t.c.expires_at > _micros(now))
        return _moment(self.connection.execute(query).scalar())

    # Evaluations

    def enqueue(self, row: EvaluationRow) -> None:
        """Add an evaluation to be run."""
        self.connection.execute(insert(schema.evaluation), _evaluation_values(row))

    def next_dry_run(self, change: str) -> str:
        """The id of the change's next dry run, which the change record does not count."""
        t = schema.evaluation
        query = select(func.count()).select_from(t)
        count = self.connection.execute(query.where(t.c.change == change, t.c.id.like(f"{change}.d%"))).scalar_one()
        return f"{change}.d{count + 1}"

    def find_evaluation(self, evaluation: str) -> EvaluationRow | None:
        """One evaluation, or None."""
        row = self.connection.execute(_FIND_EVALUATION, {"this": evaluation}).first()
        return None if row is None else _evaluation(row)

    def due_evaluations(self, now: datetime, *, stale_before: datetime, limit: int) -> tuple[EvaluationRow, ...]:
        """Queued ones whose time has come, and running ones whose runner has not been heard of since `stale_before`."""
        t = schema.evaluation
        queued = (t.c.state == EvaluationState.QUEUED) & (t.c.not_before <= _micros(now))
        lost = (t.c.state == EvaluationState.RUNNING) & (t.c.heartbeat_at < _micros(stale_before))
        # What somebody waits for goes before what only warms up.
        query = select(t).where(or_(queued, lost)).order_by(t.c.purpose == Purpose.WARM, t.c.not_before).limit(limit)
        return tuple(_evaluation(row) for row in self.connection.execute(query))

    def next_due(self) -> datetime | None:
        """The earliest `not_before` of what is queued."""
        t = schema.evaluation
        query = select(func.min(t.c.not_before)).where(t.c.state == EvaluationState.QUEUED)
        return _moment(self.connection.execute(query).scalar())

    def evaluations(
        self, *, change: str | None = None, stage: str | None = None, states: Iterable[EvaluationState] = LIVE
    ) -> tuple[EvaluationRow, ...]:
        """Evaluations in the given states, oldest first."""
        t = schema.evaluation
        query = select(t).where(t.c.state.in_([str(state) for state in states])).order_by(t.c.created_at)
        if change is not None:
            query = query.where(t.c.change == change)
        if stage is not None:
            query = query.where(t.c.stage == stage)
        return tuple(_evaluation(row) for row in self.connection.execute(query))

    def start_evaluation(self, evaluation: str, token: str, now: datetime, *, stale_before: datetime) -> bool:
        """Take it under a new token, when it is queued or its runner is lost; False when somebody else did."""
        t = schema.evaluation
        free = or_(
            t.c.state == EvaluationState.QUEUED,
            (t.c.state == EvaluationState.RUNNING) & (t.c.heartbeat_at < _micros(stale_before)),
        )
        values = {"state": str(EvaluationState.RUNNING), "token": token, "heartbeat_at": _micros(now), "progress": ""}
        query = update(t).where(t.c.id == evaluation, free).values(tries=t.c.tries + 1, **values)
        return self.connection.execute(query).rowcount == 1

    def heartbeat(self, evaluation: str, token: str, now: datetime, progress: str) -> bool:
        """Say that its runner is alive; False when it was lost or cancelled: stop it."""
        values = {"heartbeat_at": _micros(now), "progress": progress}
        return self._held(evaluation, token, values)

    def finish_evaluation(self, evaluation: str, token: str, now: datetime) -> bool:
        """Settle it; True for exactly one caller, the holder of its current token (invariant I3)."""
        values = {"state": str(EvaluationState.SETTLED), "finished_at": _micros(now)}
        return self._held(evaluation, token, values)

    def requeue_evaluation(self, evaluation: str, token: str, not_before: datetime) -> bool:
        """Give it back unsettled, to be run again from `not_before` on."""
        values = {"state": str(EvaluationState.QUEUED), "token": None, "not_before": _micros(not_before)}
        return self._held(evaluation, token, values)

    def cancel_evaluation(self, evaluation: str) -> None:
        """Nobody waits for its result any more; no effect on one that is settled."""
        t = schema.evaluation
        live = t.c.state.in_([str(state) for state in LIVE])
        query = update(t).where(t.c.id == evaluation, live).values(state=str(EvaluationState.CANCELLED))
        self.connection.execute(query)

    # Evidence and verdicts

    def add_evidence(self, item: StoredEvidence) -> None:
        """Append; one per gate and evaluation."""
        values = {
            "evaluation": item.evaluation,
            "change": item.change,
            "stage": item.stage,
            "attempt": item.attempt,
            "commit": item.commit,
            "tree": item.tree,
            "policy_digest": item.policy_digest,
            "gate": item.evidence.gate,
            "gate_digest": item.gate_digest,
            "evidence": evidence_adapter().dump_json(item.evidence).decode(),
        }
        self.connection.execute(insert(schema.evidence), values)

    def evidence_of(self, evaluation: str) -> tuple[StoredEvidence, ...]:
        """All evidence of an evaluation, in the order in which it was added."""
        t = schema.evidence
        rows = self.connection.execute(select(t).where(t.c.evaluation == evaluation).order_by(t.c.number))
        return tuple(_stored_evidence(row) for row in rows)

    def add_passed_tree(self, passed: PassedTree) -> None:
        """Remember that a tree carries a complete set of verdicts; the first one stays."""
        values = {
            "tree": passed.tree,
            "policy_digest": passed.policy_digest,
            "change": passed.change,
            "evaluation": passed.evaluation,
            "commit": passed.commit,
            "at": _micros(passed.at),
        }
        self.connection.execute(upsert(schema.passed_tree).on_conflict_do_nothing(), values)

    def passed_trees(self, tree: str) -> tuple[PassedTree, ...]:
        """Under which policies the tree passed."""
        t = schema.passed_tree
        rows = self.connection.execute(select(t).where(t.c.tree == tree).order_by(t.c.at))
        return tuple(
            PassedTree(r.tree, r.policy_digest, r.change, r.evaluation, r.commit, _EPOCH + r.at * _MICROSECOND)
            for r in rows
        )

    # Replies, cache, settings

    def find_reply(self, principal: str, key: str) -> StoredReply | None:
        """What the same request led to before."""
        t = schema.reply
        query = select(t.c.request_digest, t.c.reference).where(t.c.principal == principal, t.c.key == key)
        row = self.connection.execute(query).first()
        return None if row is None else StoredReply(row[0], row[1])

    def add_reply(self, principal: str, key: str, reply: StoredReply, now: datetime) -> None:
        """Remember it; the same principal and key twice is refused by the database (invariant I8)."""
        values = {
            "principal": principal,
            "key": key,
            "request_digest": reply.request_digest,
            "reference": reply.reference,
            "at": _micros(now),
        }
        self.connection.execute(insert(schema.reply), values)

    def cache_get(self, key: str) -> str | None:
        """A value kept by `cache_put`, unless newer ones have driven it out."""
        return self.connection.execute(select(schema.cache.c.value).where(schema.cache.c.key == key)).scalar()

    def cache_find(self, prefix: str) -> dict[str, str]:
        """Every kept value whose key starts with `prefix`."""
        t = schema.cache
        rows = self.connection.execute(select(t.c.key, t.c.value).where(t.c.key.startswith(prefix, autoescape=True)))
        return {row[0]: row[1] for row in rows}

    def cache_put(self, key: str, value: str, now: datetime) -> None:
        """Keep a value; the oldest go when there are too many."""
        t = schema.cache
        query = upsert(t).values(key=key, value=value, used_at=_micros(now))
        self.connection.execute(query.on_conflict_do_update(index_elements=["key"], set_={"used_at": _micros(now)}))
        count = self.connection.execute(select(func.count()).select_from(t)).scalar_one()
        if count > CACHE_ROWS_MAX:
            oldest = select(t.c.key).order_by(t.c.used_at).limit(count - CACHE_ROWS_MAX)
            self.connection.execute(delete(t).where(t.c.key.in_(oldest)))

    def meta_get(self, name: str) -> str | None:
        """A setting of the store, such as the trusted ref."""
        return self.connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == name)).scalar()

    def meta_set(self, name: str, value: str) -> None:
        """Set it."""
        query = upsert(schema.meta).values(name=name, value=value)
        self.connection.execute(query.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    def meta_get_bytes(self, name: str) -> bytes | None:
        """A setting that is bytes."""
        return self.connection.execute(select(schema.meta.c.data).where(schema.meta.c.name == name)).scalar()

    def meta_set_bytes(self, name: str, data: bytes) -> None:
        """Set it, once."""
        self.connection.execute(insert(schema.meta), {"name": name, "data": data})

    def tables(self) -> frozenset[str]:
        """The names of the tables that there are."""
        return frozenset(inspect(self.connection).get_table_names())

    def _save_openings(self, record: ChangeRecord, number: int) -> None:
        self.connection.execute(_DROP_OPENINGS, {"this": record.id})
        places = {stage.name: place for place, stage in enumerate(record.stages)}
        rows = [
            {
                "change": o.change,
                "stage": o.stage,
                "number": number,
                "place": places[o.stage],
                "role": o.role,
                "since": _micros(o.since),
                "expires_at": None if o.expires_at is None else _micros(o.expires_at),
            }
            for o in openings_of(record)
        ]
        if rows:
            self.connection.execute(insert(schema.opening), rows)

    def _openings(self, query: Select[Any]) -> tuple[Opening, ...]:  # the row type of a whole table has no name
        rows = self.connection.execute(query)
        return tuple(
            Opening(r.change, r.stage, r.role, _EPOCH + r.since * _MICROSECOND, _moment(r.expires_at)) for r in rows
        )

    def _held(self, evaluation: str, token: str, values: Mapping[str, object]) -> bool:
        t = schema.evaluation
        query = update(t).where(t.c.id == evaluation, t.c.token == token, t.c.state == EvaluationState.RUNNING)
        return self.connection.execute(query.values(**values)).rowcount == 1


_HIGHEST_CHANGE = select(func.max(schema.change.c.number))
_FIND_CHANGE = select(schema.change.c.record).where(schema.change.c.id == bindparam("id"))
_FIND_EVALUATION = select(schema.evaluation).where(schema.evaluation.c.id == bindparam("this"))
_DROP_OPENINGS = delete(schema.opening).where(schema.opening.c.change == bindparam("this"))
_SAVE_CHANGE = (
    update(schema.change)
    .where(schema.change.c.id == bindparam("this"), schema.change.c.version == bindparam("before"))
    .values(version=bindparam("version"), state=bindparam("state"), record=bindparam("record"))
)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + micros * _MICROSECOND


def _evaluation_values(row: EvaluationRow) -> dict[str, object]:
    return {
        "id": row.id,
        "change": row.change,
        "stage": row.stage,
        "purpose": str(row.purpose),
        "state": str(row.state),
        "created_at": _micros(row.created_at),
        "not_before": _micros(row.not_before),
        "attempt": row.attempt,
        "commit": row.commit,
        "tree": row.tree,
        "scope_base": row.scope_base,
        "gates": json.dumps(row.gates),
        "fence": row.fence,
        "token": row.token,
        "heartbeat_at": None if row.heartbeat_at is None else _micros(row.heartbeat_at),
        "finished_at": None if row.finished_at is None else _micros(row.finished_at),
        "tries": row.tries,
        "progress": row.progress,
    }


def _evaluation(row: Row[Any]) -> EvaluationRow:  # the row type of a whole table has no name
    created = _moment(row.created_at)
    due = _moment(row.not_before)
    assert created is not None
    assert due is not None
    return EvaluationRow(
        id=row.id,
        change=row.change,
        stage=row.stage,
        purpose=Purpose(row.purpose),
        state=EvaluationState(row.state),
        created_at=created,
        not_before=due,
        attempt=row.attempt,
        commit=row.commit,
        tree=row.tree,
        scope_base=row.scope_base,
        gates=tuple(json.loads(row.gates)),
        fence=row.fence,
        token=row.token,
        heartbeat_at=_moment(row.heartbeat_at),
        finished_at=_moment(row.finished_at),
        tries=row.tries,
        progress=row.progress,
    )


def _stored_evidence(row: Row[Any]) -> StoredEvidence:  # the row type of a whole table has no name
    return StoredEvidence(
        evaluation=row.evaluation,
        change=row.change,
        stage=row.stage,
        attempt=row.attempt,
        commit=row.commit,
        tree=row.tree,
        policy_digest=row.policy_digest,
        gate_digest=row.gate_digest,
        evidence=evidence_adapter().validate_json(row.evidence),
    )
