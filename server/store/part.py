"""What every part of a transaction stands on: statements compiled once, run on the driver's own cursor.

The library's own way to run a statement costs several times what SQLite needs for it, and all of that is spent while
others wait for the lock. Source: docs/decisions/0005-synchronous-sqlalchemy-core.md
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Dialect, Insert, Select, Table, Update, insert
from sqlalchemy.sql import Delete

from ..telemetry.watching import Saved
from .database import Session

Values = dict[str, object]
# The types of a statement's columns are known where it is written, not here.
Row = tuple[Any, ...]
# The text, the names of its values in order where the driver counts them, and the values that it brings itself.
_Compiled = tuple[str, tuple[str, ...] | None, Values]


class Prepared:
    """A statement of the library's expression language with named values, compiled on first use."""

    def __init__(
        self, statement: Select[*tuple[Any, ...]] | Insert | Update | Delete, columns: tuple[str, ...] = ()
    ) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def on(self, dialect: Dialect, values: Values) -> tuple[str, Values | Row]:
        """The text, and the values as the driver takes them."""
        text, names, defaults = self._compiled.get(dialect.name) or self._compile(dialect)
        given = {**defaults, **values}
        return text, given if names is None else tuple([given[name] for name in names])

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._columns) or None)
        names = compiled.positiontup if compiled.positional else None
        done = str(compiled), None if names is None else tuple(names), dict(compiled.params)
        self._compiled[dialect.name] = done
        return done


def adding(table: Table, *, without: tuple[str, ...] = ()) -> Prepared:
    """An INSERT of a row with all columns but those that the database numbers itself."""
    columns = tuple(column.name for column in table.columns if column.name not in without)
    return Prepared(insert(table).inline(), columns)


class Part:
    """One subject's share of `Tx`, in words of the domain; alive only inside `Store.run` or `Store.read`."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection
        self.is_writing = session.is_writing
        self.saved: list[Saved] = []
        self._session = session
        self._dialect = session.connection.dialect
        self._cursor = session.connection.connection.cursor()

    def hold(self, name: str) -> None:
        """Keep everybody else who holds the same name waiting until this transaction has ended, if it writes."""
        self._session.hold(name)

    def _rows(self, statement: Prepared, **values: object) -> list[Row]:
        self._cursor.execute(*statement.on(self._dialect, values))
        return [tuple(row) for row in self._cursor.fetchall()]

    def _row(self, statement: Prepared, **values: object) -> Row | None:
        return next(iter(self._rows(statement, **values)), None)

    def _value(self, statement: Prepared, **values: object) -> Any:  # noqa: ANN401 - as in `Row`
        row = self._row(statement, **values)
        return None if row is None else row[0]

    def _write(self, statement: Prepared, **values: object) -> int:
        """How many rows it was about."""
        self._cursor.execute(*statement.on(self._dialect, values))
        return self._cursor.rowcount

    def _write_each(self, statement: Prepared, rows: Iterable[Values]) -> None:
        for row in rows:
            self._cursor.execute(*statement.on(self._dialect, row))
