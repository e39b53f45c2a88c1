"""Changes and their events: what is true, and how it came about."""

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, func, insert, select, update

from ...schemas.events import Event, event_adapter
from ...schemas.records import ChangeRecord, ChangeState
from . import schema
from .forms import read_event, read_record, record_adapter
from .openings import replace_openings
from .part import Part

_change = schema.change
_event = schema.event


class Changes(Part):
    """Records by id and state, and the events that made them."""

    def next_change_id(self) -> str:
        """The id that the next new change has to have."""
        highest = self.connection.execute(_HIGHEST_CHANGE).scalar()
        return f"c{(highest or 0) + 1}"

    def find_change(self, change: str) -> ChangeRecord | None:
        """The record as it stands in this transaction."""
        text = self.connection.execute(_FIND_CHANGE, {"this": change}).scalar()
        return None if text is None else read_record(text)

    def changes(
        self, states: Iterable[ChangeState] | None = None, *, limit: int, newest_first: bool = True
    ) -> tuple[ChangeRecord, ...]:
        """Up to `limit` records in the given states."""
        query = _NEWEST_CHANGES if newest_first else _OLDEST_CHANGES
        wanted = _texts(ChangeState if states is None else states)
        rows = self.connection.execute(query, {"states": wanted, "most": limit})
        return tuple(read_record(row[0]) for row in rows)

    def count_changes(self, states: Iterable[ChangeState]) -> int:
        """How many changes are in one of the states."""
        return self.connection.execute(_COUNT_CHANGES, {"states": _texts(states)}).scalar_one()

    def save(self, record: ChangeRecord, events: Sequence[Event]) -> None:
        """Write what `events` made of a change: record, events and openings, all or nothing (invariant I9).

        That the change stands where the first of them begins is asserted: a gap would be a defect of ours.
        """
        assert events, f"nothing happened to {record.id}"
        before = record.version - len(events)
        number = int(record.id[1:])
        values = {"version": record.version, "state": str(record.state)}
        values["record"] = record_adapter().dump_json(record).decode()
        if before == 0:
            self.connection.execute(_ADD_CHANGE, {"number": number, "id": record.id, **values})
        else:
            done = self.connection.execute(_SAVE_CHANGE, {"this": record.id, "before": before, **values})
            assert done.rowcount == 1, f"{record.id} was not at version {before}"
        self.connection.execute(_ADD_EVENT, [_event_row(record.id, before + n, e) for n, e in enumerate(events, 1)])
        replace_openings(self.connection, record)

    def events(self, change: str, *, after: int = 0, limit: int) -> tuple[tuple[int, Event], ...]:
        """(version, event) of a change, in order."""
        rows = self.connection.execute(_EVENTS_OF_CHANGE, {"this": change, "after": after, "most": limit})
        return tuple((row[0], read_event(row[1])) for row in rows)

    def events_since(
        self, position: int, *, change: str | None = None, limit: int
    ) -> tuple[tuple[int, str, Event], ...]:
        """(position, change, event) of one change or of all, in the order in which they were committed."""
        given = {"after": position, "most": limit}
        if change is None:
            rows = self.connection.execute(_EVENTS_SINCE, given)
        else:
            rows = self.connection.execute(_EVENTS_OF_CHANGE_SINCE, {**given, "this": change})
        return tuple((row[0], row[1], read_event(row[2])) for row in rows)

    def position(self, change: str | None = None) -> int:
        """The position of the newest event, of one change or of all; 0 when there is none."""
        if change is None:
            return self.connection.execute(_POSITION).scalar() or 0
        return self.connection.execute(_POSITION_OF_CHANGE, {"this": change}).scalar() or 0


def _texts(states: Iterable[ChangeState]) -> list[str]:
    return [str(state) for state in states]


def _event_row(change: str, version: int, event: Event) -> dict[str, object]:
    text = event_adapter().dump_json(event).decode()
    return {"change": change, "version": version, "kind": event.kind, "event": text}


# Which changes is told by the index alone: to sort whole records would cost more than to read them.
_IN_STATES = select(_change.c.number).where(_change.c.state.in_(bindparam("states", expanding=True)))
_NEWEST = _IN_STATES.order_by(_change.c.number.desc()).limit(bindparam("most"))
_OLDEST = _IN_STATES.order_by(_change.c.number).limit(bindparam("most"))

_NEWEST_CHANGES = select(_change.c.record).where(_change.c.number.in_(_NEWEST)).order_by(_change.c.number.desc())
_OLDEST_CHANGES = select(_change.c.record).where(_change.c.number.in_(_OLDEST)).order_by(_change.c.number)
_COUNT_CHANGES = (
    select(func.count()).select_from(_change).where(_change.c.state.in_(bindparam("states", expanding=True)))
)
_HIGHEST_CHANGE = select(func.max(_change.c.number))
_FIND_CHANGE = select(_change.c.record).where(_change.c.id == bindparam("this"))
_ADD_CHANGE = insert(_change)
_SAVE_CHANGE = (
    update(_change)
    .where(_change.c.id == bindparam("this"), _change.c.version == bindparam("before"))
    .values(version=bindparam("version"), state=bindparam("state"), record=bindparam("record"))
)
_ADD_EVENT = insert(_event)
_EVENTS_OF_CHANGE = (
    select(_event.c.version, _event.c.event)
    .where(_event.c.change == bindparam("this"), _event.c.version > bindparam("after"))
    .order_by(_event.c.version)
    .limit(bindparam("most"))
)
_EVENTS_SINCE = (
    select(_event.c.position, _event.c.change, _event.c.event)
    .where(_event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_EVENTS_OF_CHANGE_SINCE = _EVENTS_SINCE.where(_event.c.change == bindparam("this"))
_POSITION = select(func.max(_event.c.position))
_POSITION_OF_CHANGE = (
    select(_event.c.position).where(_event.c.change == bindparam("this")).order_by(_event.c.version.desc()).limit(1)
)
