"""The index of what can be claimed. It follows from the records and is written with them, never by itself."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, delete, func, or_, select

from ...schemas.records import ChangeRecord
from . import schema
from .forms import micros, micros_or_none, moment, moment_or_none, read_record
from .part import Part, Prepared, Row, Values, adding
from .rows import Opening, openings_of

_change = schema.change
_opening = schema.opening


class Openings(Part):
    """What can be claimed, and when the next of it can."""

    def openings(
        self,
        now: datetime,
        *,
        change: str | None = None,
        stage: str | None = None,
        role: str | None = None,
        after: Opening | None = None,
        limit: int,
    ) -> tuple[Opening, ...]:
        """What can be claimed at `now`: the oldest change first, within it the stage furthest on, its review included.

        `after` is the last one of the page before. Pages are not counted off: others claim meanwhile.
        """
        given, query = _asked(_openings_where, change, stage, role, after)
        return tuple(_opening_of(row) for row in self._rows(query, now=micros(now), most=limit, **given))

    def free_opening(
        self,
        now: datetime,
        *,
        change: str | None = None,
        stage: str | None = None,
        role: str | None = None,
        after: Opening | None = None,
    ) -> tuple[Opening, ChangeRecord] | None:
        """The first of `openings` whose change nobody else is writing to, and this transaction alone from now on.

        Somebody may have claimed it a moment ago: the record says so.
        """
        given, query = _asked(_free_opening_where, change, stage, role, after)
        row = self._row(query, now=micros(now), most=1, **given)
        return None if row is None else (_opening_of(row), read_record(row[-1]))

    def next_expiry(self, now: datetime) -> datetime | None:
        """When the next lease runs out after `now`: whoever waits for work wakes then."""
        return moment_or_none(self._value(_NEXT_EXPIRY, now=micros(now)))

    def _replace_openings(self, record: ChangeRecord) -> None:
        """Write what can be claimed of a change after it was saved."""
        rows: list[Values] = [
            {
                "change": opening.change,
                "stage": opening.stage,
                "number": int(record.id[1:]),
                "place": opening.place,
                "role": opening.role,
                "since": micros(opening.since),
                "expires_at": micros_or_none(opening.expires_at),
            }
            for opening in openings_of(record)
        ]
        self._write(_DROP_OPENINGS, this=record.id)
        self._write_each(_ADD_OPENING, rows)


def _opening_of(row: Row) -> Opening:
    change, stage, place, role, since, expires_at = row[:6]
    return Opening(change, stage, place, role, moment(since), moment_or_none(expires_at))


def _asked(
    query_of: Callable[..., Prepared], change: str | None, stage: str | None, role: str | None, after: Opening | None
) -> tuple[Values, Prepared]:
    """The values that were given, and the query for them, of which there is one for each combination."""
    wanted = {"change": change, "stage": stage, "role": role}
    given: Values = {name: value for name, value in wanted.items() if value is not None}
    query = query_of(frozenset(given), is_first=after is None)
    if after is not None:
        given |= {"last_number": int(after.change[1:]), "last_place": after.place}
    return given, query


@cache
def _openings_where(given: frozenset[str], *, is_first: bool) -> Prepared:
    """Made once: to build it costs more than to run it."""
    return Prepared(_claimable(given, is_first=is_first))


@cache
def _free_opening_where(given: frozenset[str], *, is_first: bool) -> Prepared:
    query = _claimable(given, is_first=is_first).add_columns(_change.c.record)
    query = query.join_from(_opening, _change, _change.c.id == _opening.c.change)
    return Prepared(query.with_for_update(of=_change, key_share=True, skip_locked=True))


def _claimable(given: frozenset[str], *, is_first: bool) -> Select[*tuple[Any, ...]]:
    t = _opening.c
    query = select(t.change, t.stage, t.place, t.role, t.since, t.expires_at)
    # Not `IS NULL OR ...`: SQLite would fetch and sort everything that is open instead of reading the first in order.
    query = query.where(func.coalesce(t.expires_at, 0) <= bindparam("now"))
    for name in sorted(given):
        query = query.where(t[name] == bindparam(name))
    if not is_first:
        number = bindparam("last_number", type_=Integer)
        query = query.where(t.number >= number, or_(t.number > number, t.place < bindparam("last_place")))
    return query.order_by(t.number, t.place.desc()).limit(bindparam("most"))


_NEXT_EXPIRY = Prepared(select(func.min(_opening.c.expires_at)).where(_opening.c.expires_at > bindparam("now")))
_DROP_OPENINGS = Prepared(delete(_opening).where(_opening.c.change == bindparam("this")))
_ADD_OPENING = adding(_opening)
