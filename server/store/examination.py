"""What only an examination of the store asks: is the file sound, is anything left over. Reads only."""

from functools import cache

from sqlalchemy import Table, bindparam, func, select

from . import schema
from .part import Part, Prepared

STRAYS_TOLD_MAX = 20

_change = schema.change
_event = schema.event
_OF_CHANGES = (schema.event, schema.opening, schema.evaluation, schema.evidence, schema.passed_tree)


class Examination(Part):
    """The file as a whole, and the rows as they are."""

    def damage(self) -> tuple[str, ...]:
        """What the database itself finds wrong with its file, in its own words; empty for a sound one."""
        return self._session.damage()

    def change_ids(self, *, after: int, limit: int) -> tuple[str, ...]:
        """The ids of changes, the oldest first; `after` is the number of the last one of the page before."""
        return tuple(row[0] for row in self._rows(_IDS, after=after, most=limit))

    def columns_of(self, change: str) -> tuple[int, str]:
        """The version and the state that stand beside a record."""
        row = self._row(_COLUMNS, this=change)
        assert row is not None, "its id was read from the same table"
        return row[0], row[1]

    def event_versions(self, change: str) -> tuple[int, int, int]:
        """How many events a change has, the lowest and the highest version among them; zeros for none."""
        row = self._row(_VERSIONS, this=change)
        return (0, 0, 0) if row is None or not row[0] else (row[0], row[1], row[2])

    def strays(self) -> tuple[tuple[str, str, int], ...]:
        """(table, change, rows) of rows that belong to a change that there is not."""
        found = []
        for table in _OF_CHANGES:
            found += [(table.name, row[0], row[1]) for row in self._rows(_strays(table), most=STRAYS_TOLD_MAX)]
        return tuple(found)


@cache
def _strays(table: Table) -> Prepared:
    change = table.c.change
    is_stray = change.not_in(select(_change.c.id))
    return Prepared(select(change, func.count()).where(is_stray).group_by(change).limit(bindparam("most")))


_IDS = Prepared(
    select(_change.c.id)
    .where(_change.c.number > bindparam("after"))
    .order_by(_change.c.number)
    .limit(bindparam("most"))
)
_COLUMNS = Prepared(select(_change.c.version, _change.c.state).where(_change.c.id == bindparam("this")))
_VERSIONS = Prepared(
    select(func.count(), func.min(_event.c.version), func.max(_event.c.version)).where(
        _event.c.change == bindparam("this")
    )
)
