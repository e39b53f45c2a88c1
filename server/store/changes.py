"""Changes and their events: what is true, and how it came about."""

from collections.abc import Iterable, Sequence
from functools import cache

from sqlalchemy import ColumnElement, bindparam, false, func, or_, select, update

from ...schemas.events import Event, event_adapter
from ...schemas.records import ChangeRecord, ChangeState
from . import schema
from .dialects import is_settled
from .forms import read_event, read_record, record_adapter
from .openings import Openings
from .part import Prepared, Values, adding

NUMBERING = "the number of the next change"

_change = schema.change
_event = schema.event


class Changes(Openings):
    """Records by id and state, and the events that made them."""

    def next_change_id(self) -> str:
        """The id that the next new change has to have. Nobody else gets one before this transaction has ended."""
        self.hold(NUMBERING)
        highest = self._value(_HIGHEST_CHANGE)
        return f"c{(highest or 0) + 1}"

    def find_change(self, change: str) -> ChangeRecord | None:
        """The record as it stands in this transaction, which is alone with the change from now on if it writes."""
        text = self._value(_FIND_CHANGE_TO_WRITE if self.is_writing else _FIND_CHANGE, this=change)
        return None if text is None else read_record(text)

    def hold_change(self, change: str) -> None:
        """Be alone with a change before anything is written that belongs to it: everybody takes it first."""
        self._row(_HOLD_CHANGE, this=change)

    def changes(
        self, states: Iterable[ChangeState] | None = None, *, limit: int, newest_first: bool = True
    ) -> tuple[ChangeRecord, ...]:
        """Up to `limit` records in the given states."""
        wanted = frozenset(ChangeState if states is None else states)
        rows = self._rows(_changes_in(wanted, newest_first=newest_first), most=limit)
        return tuple(read_record(row[0]) for row in rows)

    def changes_before(self, number: int, states: Iterable[ChangeState], *, limit: int) -> tuple[ChangeRecord, ...]:
        """Up to `limit` records in the given states that were begun before a change's number, newest first."""
        rows = self._rows(_changes_before(frozenset(states)), before=number, most=limit)
        return tuple(read_record(row[0]) for row in rows)

    def changes_maybe_awaited(self, *, after: int, limit: int) -> tuple[ChangeRecord, ...]:
        """Up to `limit` active changes, oldest first, without those of which nothing can wait for a person.

        `after` is the number of the last change of the page before.
        """
        return tuple(read_record(row[0]) for row in self._rows(_MAYBE_AWAITED, after=after, most=limit))

    def count_changes(self, states: Iterable[ChangeState]) -> int:
        """How many changes are in one of the states."""
        count: int = self._value(_count_in(frozenset(states)))
        return count

    def save(self, record: ChangeRecord, events: Sequence[Event]) -> None:
        """Write what `events` made of a change: record, events and openings, all or nothing (invariant I9).

        That the change stands where the first of them begins is asserted: a gap would be a defect of ours.
        """
        assert events, f"nothing happened to {record.id}"
        self.saved.append((record, tuple(events)))
        before = record.version - len(events)
        number = int(record.id[1:])
        text = record_adapter().dump_json(record).decode()
        values: Values = {"version": record.version, "state": str(record.state), "record": text}
        if before == 0:
            self._write(_ADD_CHANGE, number=number, id=record.id, **values)
        else:
            done = self._write(_SAVE_CHANGE, this=record.id, before=before, **values)
            assert done == 1, f"{record.id} was not at version {before}"
        self._write_each(_ADD_EVENT, (_event_row(record.id, before + n, event) for n, event in enumerate(events, 1)))
        self._replace_openings(record)

    def events(self, change: str, *, after: int = 0, limit: int) -> tuple[tuple[int, Event], ...]:
        """(version, event) of a change, in order."""
        rows = self._rows(_EVENTS_OF_CHANGE, this=change, after=after, most=limit)
        return tuple((row[0], read_event(row[1])) for row in rows)

    def events_since(
        self, position: int, *, change: str | None = None, limit: int
    ) -> tuple[tuple[int, str, Event], ...]:
        """(position, change, event) of one change or of all, in an order that none is added to but at its end."""
        if change is None:
            rows = self._rows(_EVENTS_SINCE, after=position, most=limit)
        else:
            rows = self._rows(_EVENTS_OF_CHANGE_SINCE, after=position, most=limit, this=change)
        return tuple((row[0], row[1], read_event(row[2])) for row in rows)

    def numbered_events(self, position: int, *, limit: int) -> tuple[tuple[int, str, int, Event], ...]:
        """(position, change, version, event) of all changes after a position, in the order of `events_since`."""
        rows = self._rows(_NUMBERED_EVENTS, after=position, most=limit)
        return tuple((row[0], row[1], row[2], read_event(row[3])) for row in rows)

    def position(self, change: str | None = None) -> int:
        """The position of the newest event, of one change or of all; 0 when there is none."""
        if change is None:
            return self._value(_POSITION) or 0
        return self._value(_POSITION_OF_CHANGE, this=change) or 0


def _event_row(change: str, version: int, event: Event) -> Values:
    text = event_adapter().dump_json(event).decode()
    return {"change": change, "version": version, "kind": event.kind, "event": text}


@cache
def _changes_in(states: frozenset[ChangeState], *, newest_first: bool) -> Prepared:
    # Which changes is told by the index alone: to sort whole records would cost more than to read them.
    order = _change.c.number.desc() if newest_first else _change.c.number
    which = select(_change.c.number).where(_is_in(states)).order_by(order).limit(bindparam("most"))
    return Prepared(select(_change.c.record).where(_change.c.number.in_(which)).order_by(order))


@cache
def _changes_before(states: frozenset[ChangeState]) -> Prepared:
    earlier = (_is_in(states), _change.c.number < bindparam("before"))
    which = select(_change.c.number).where(*earlier).order_by(_change.c.number.desc()).limit(bindparam("most"))
    return Prepared(select(_change.c.record).where(_change.c.number.in_(which)).order_by(_change.c.number.desc()))


@cache
def _count_in(states: frozenset[ChangeState]) -> Prepared:
    return Prepared(select(func.count()).select_from(_change).where(_is_in(states)))


def _is_in(states: frozenset[ChangeState]) -> ColumnElement[bool]:
    return or_(false(), *(_change.c.state == str(state) for state in sorted(states)))


_HIGHEST_CHANGE = Prepared(select(func.max(_change.c.number)))
_FIND_CHANGE = Prepared(select(_change.c.record).where(_change.c.id == bindparam("this")))
# What else is written of a change refers to its row, and does not wait for who writes to it.
_FIND_CHANGE_TO_WRITE = Prepared(
    select(_change.c.record).where(_change.c.id == bindparam("this")).with_for_update(key_share=True)
)
_HOLD_CHANGE = Prepared(
    select(_change.c.number).where(_change.c.id == bindparam("this")).with_for_update(key_share=True)
)
_MAYBE_AWAITED = Prepared(
    select(_change.c.record)
    .where(schema.MAY_BE_AWAITED, _change.c.number > bindparam("after"))
    .order_by(_change.c.number)
    .limit(bindparam("most"))
)
_ADD_CHANGE = adding(_change)
_SAVE_CHANGE = Prepared(
    update(_change)
    .where(_change.c.id == bindparam("this"), _change.c.version == bindparam("before"))
    .values(version=bindparam("version"), state=bindparam("state"), record=bindparam("record"))
)
_ADD_EVENT = adding(_event, without=("position",))
_EVENTS_OF_CHANGE = Prepared(
    select(_event.c.version, _event.c.event)
    .where(_event.c.change == bindparam("this"), _event.c.version > bindparam("after"))
    .order_by(_event.c.version)
    .limit(bindparam("most"))
)
_ALL_EVENTS_SINCE = (
    select(_event.c.position, _event.c.change, _event.c.event)
    .where(_event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_NUMBERED_EVENTS = Prepared(
    select(_event.c.position, _event.c.change, _event.c.version, _event.c.event)
    .where(_event.c.position > bindparam("after"), is_settled(_event.c.position))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_EVENTS_SINCE = Prepared(_ALL_EVENTS_SINCE.where(is_settled(_event.c.position)))
_EVENTS_OF_CHANGE_SINCE = Prepared(_ALL_EVENTS_SINCE.where(_event.c.change == bindparam("this")))
_POSITION = Prepared(select(func.max(_event.c.position)).where(is_settled(_event.c.position)))
_POSITION_OF_CHANGE = Prepared(
    select(_event.c.position).where(_event.c.change == bindparam("this")).order_by(_event.c.version.desc()).limit(1)
)
