"""Move a store from its file into PostgreSQL: all of it in one transaction, compared before it is kept.

Nobody writes to the file meanwhile. Whatever happens on the way, the database is as empty as it was and the file as it
was; only when the copy is committed is the file marked, so that nobody works on with what is no longer the truth.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.machine.evolve import replay
from ...schemas.events import Event
from .creation import MOVED_TO, SCHEMA_VERSION, SECRET, open_store
from .problems import StoreUnavailable, StoreUnusable
from .shared import MAKING, create_database, store_at

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Table

    from .tx import Tx

ROWS_AT_ONCE = 500
EVENTS_AT_ONCE = 1_000
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: rows by table, and how many changes were replayed from their events."""

    rows: dict[str, int]
    changes: int


def move_store(folder: Path, url: str, report: Report) -> Moved:
    """Copy the store in `folder` into the database at `url`, compare the two, and mark the file as moved.

    Raises `StoreMissing`, `StoreUnusable` when the database holds anything already or the two differ, and
    `StoreUnavailable`; then nothing was moved. `report` is told what is under way.
    """
    from .sqlite import mark_as_moved

    with closing(open_store(folder, create=False)) as source, closing(store_at(url)) as target:
        create_database(url)

        def move(here: "Tx") -> Moved:
            moved = target.run(lambda there: _copy(here, there, target.place, report))
            here.meta_set(MOVED_TO, target.place)
            mark_as_moved(here.connection, is_moved=True)
            return moved

        return source.run(move)


def take_back(folder: Path) -> None:
    """Use the store in `folder` again after it was moved: it is what it was then. Raises like `open_store`."""
    from .sqlite import mark_as_moved

    with closing(open_store(folder, create=False, even_moved=True)) as store:

        def take(tx: "Tx") -> None:
            tx.meta_set(MOVED_TO, "")
            mark_as_moved(tx.connection, is_moved=False)

        store.run(take)


def _copy(here: "Tx", there: "Tx", place: str, report: Report) -> Moved:
    from .postgres_schema import begin_positions, positions_are_used_up
    from .schema import metadata

    _have_it_alone(there, place)
    rows = {}
    for table in metadata.sorted_tables:
        report(f"copying {table.name}")
        rows[table.name] = _copy_table(here.connection, there.connection, table)
    for table in metadata.sorted_tables:
        report(f"comparing {table.name}")
        if _digest(here.connection, table) != _digest(there.connection, table):
            raise StoreUnusable(f"What arrived of the table {table.name} in {place} is not what was sent.")
    changes = _replay(there, report)
    if positions_are_used_up(there.connection):
        begin_positions(there.connection)
    return Moved(rows, changes)


def _have_it_alone(there: "Tx", place: str) -> None:
    """Nobody else writes there until this has ended, however long it takes; raises `StoreUnusable` unless empty."""
    from sqlalchemy import exists, select

    from .schema import meta, metadata

    there.hold(MAKING)
    driver = _driver(there.connection)
    driver.execute("SET LOCAL statement_timeout = 0")
    driver.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    for table in metadata.sorted_tables:
        driver.execute(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE".encode())
        if table is not meta and there.connection.execute(select(exists(select(table)))).scalar():
            what = f"there are rows in '{table.name}'"
            raise StoreUnusable(f"{place} holds a store that is in use: {what}. Move into an empty database.")


def _copy_table(here: "Connection", there: "Connection", table: "Table") -> int:
    """All rows, as they are; returns how many. Of the settings those that say what the target is stay its own."""
    from .schema import evidence, meta

    driver = _driver(there)
    if table is meta:
        driver.execute("DELETE FROM meta WHERE name = %s", (SECRET,))
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    count = 0
    copying = f'COPY "{table.name}" ({columns}) FROM STDIN'.encode()
    with driver.cursor() as cursor, cursor.copy(copying) as copy:
        for row in _rows(here, table):
            copy.write_row([_kept(value) for value in row])
            count += 1
    if table is evidence:
        driver.execute("SELECT setval(pg_get_serial_sequence('evidence', 'number'), max(number)) FROM evidence")
    return count


def _rows(connection: "Connection", table: "Table") -> "Iterator[tuple[object, ...]]":
    """Every row in the order of its key, without the settings that belong to one database."""
    from sqlalchemy import select

    from .postgres_schema import ORIGIN
    from .schema import meta

    wanted = select(table).order_by(*table.primary_key.columns)
    if table is meta:
        wanted = wanted.where(meta.c.name.not_in([SCHEMA_VERSION, ORIGIN, MOVED_TO]))
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(wanted):
        yield tuple(row)


def _digest(connection: "Connection", table: "Table") -> bytes:
    """Equal for the same rows: of which order they are read in does not matter."""
    total = 0
    for row in _rows(connection, table):
        text = repr(tuple(_kept(value) for value in row)).encode()
        total = (total + int.from_bytes(hashlib.sha256(text).digest())) % 2**256
    return total.to_bytes(32)


def _kept(value: object) -> object:
    """As PostgreSQL keeps it: see `postgres`."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _replay(there: "Tx", report: Report) -> int:
    """Make every change anew from the events that arrived, and compare it with its record."""
    count, after = 0, 0
    while page := there.change_ids(after=after, limit=ROWS_AT_ONCE):
        report(f"replaying the changes from {page[0]} on")
        for change in page:
            versions: list[int] = []
            events: list[Event] = []
            while found := there.events(change, after=len(versions), limit=EVENTS_AT_ONCE):
                versions += [version for version, _ in found]
                events += [event for _, event in found]
            if versions != list(range(1, len(versions) + 1)) or replay(events) != there.find_change(change):
                raise StoreUnavailable(f"{change} is not what its events make of it; `gatewright fsck` says more.")
        count, after = count + len(page), int(page[-1][1:])
    return count


def _driver(connection: "Connection") -> "psycopg.Connection[tuple[object, ...]]":
    import psycopg

    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "what is moved into is PostgreSQL"
    return driver
