"""The embedded database: its connections, its durability and its change feed.

Versions of SQLite before 3.51.3 are reported to corrupt a write-ahead log that several processes reset, so they use a
rollback journal. Source: docs/decisions/0005-synchronous-sqlalchemy-core.md

Nobody but SQLite may open the database file in a process that uses it: closing any descriptor of a file drops every
POSIX lock that the process holds on it, SQLite's own among them.
"""

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from .database import Session
from .problems import StoreUnavailable
from .schema import APPEND_ONLY
from .sqlite_errors import ERRORS, is_busy, sentence_of
from .write_lock import LOCK_TIMEOUT_S, no_writer, write_lock

WAL_SINCE = (3, 51, 3)
WRITE_BUSY_TIMEOUT_MS = 5_000
# A reader who meets a commit soon stops asking and keeps the next writer waiting: asking again has no bound.
READ_BUSY_TIMEOUT_MS = 20
CONNECTIONS_MAX = 5
CONNECTION_TIMEOUT_S = 20.0
DAMAGE_TOLD_MAX = 20
APPLICATION_ID = 0x67_77_72_74
"""In the header of each of our files."""

APPEND_ONLY_RULES = tuple(
    f"CREATE TRIGGER {table}_is_append_only_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for table in APPEND_ONLY
    for verb in ("UPDATE", "DELETE")
)


class Sqlite:
    """A database file, of which whoever writes waits for the others in `write_lock`'s queue."""

    errors: tuple[type[Exception], ...] = ERRORS
    is_shared = False

    def __init__(self, path: Path, *, even_moved: bool = False) -> None:
        """On an existing file, into which nothing is written once it was moved, unless `even_moved`."""
        self.place = str(path)
        self._path = path
        self._even_moved = even_moved
        self._file = _identity(path)
        self._engine = make_engine(path)
        self._one_writer = threading.Lock()
        self._feeds: list[Callable[[], None]] = []

    @contextmanager
    def writing(self) -> Generator[Session]:
        """See `Database`. Nobody else writes until it has ended."""
        # The connection before the lock: nobody should wait for one while all others wait for the lock.
        with (
            self._turn_of_this_thread(),
            self._connected() as connection,
            write_lock(self._path.parent),
            _kept_or_invalidated(connection),
            connection.begin(),
        ):
            begin_write(connection)
            if _is_moved(connection) and not self._even_moved:
                raise StoreUnavailable(f"{self._path} was moved into a database while it was in use; start again.")
            yield _session(connection, is_writing=True)

    @contextmanager
    def reading(self, attempt: int) -> Generator[Session]:
        """See `Database`. Whoever was kept out by a commit keeps the next writer waiting."""
        with (
            self._connected() as connection,
            no_writer(self._path.parent) if attempt else nullcontext(),
            _kept_or_invalidated(connection),
            connection.begin(),
        ):
            begin_read(connection)
            yield _session(connection, is_writing=False)

    def may_succeed_again(self, error: Exception) -> bool:
        """See `Database`: when somebody was in the way."""
        return is_busy(error)

    def is_closed(self, error: Exception) -> bool:
        """See `Database`: a file is there or is not."""
        return False

    def sentence_of(self, error: Exception) -> str | None:
        """See `Database`."""
        return sentence_of(error, self._path)

    def feed(self) -> Callable[[], bool]:
        """See `Database`."""
        has_changed, close = open_feed(self._path)
        self._feeds.append(close)
        return has_changed

    def now(self) -> None:
        """See `Database`: whoever uses a file is on this machine."""

    def close(self) -> None:
        """See `Database`."""
        while self._feeds:
            self._feeds.pop()()
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        with self._engine.connect() as connection:
            # What is written to a file that was moved away is lost, however durable.
            if _identity(self._path) != self._file:
                raise StoreUnavailable(f"{self._path} was moved away or replaced while it was in use; start again.")
            yield connection

    @contextmanager
    def _turn_of_this_thread(self) -> Generator[None]:
        if not self._one_writer.acquire(timeout=LOCK_TIMEOUT_S):
            raise StoreUnavailable(f"Too much is being written to {self._path} at once.")
        try:
            yield
        finally:
            self._one_writer.release()


def make_engine(path: Path) -> Engine:
    """An engine on an existing file, whose connections are durable and never map the file into memory.

    It never makes the file, and no error or log of it shows the values of a statement, the store's secret among them.
    """
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: _connect(path),
        poolclass=QueuePool,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=CONNECTION_TIMEOUT_S,
        hide_parameters=True,
    )
    event.listen(engine, "connect", configure)
    return engine


def begin_write(connection: Connection) -> None:
    """Begin a transaction that has the right to write from the first."""
    _begin(connection, WRITE_BUSY_TIMEOUT_MS, "BEGIN IMMEDIATE")


def begin_read(connection: Connection) -> None:
    """Begin a transaction that sees one state from its first statement on."""
    _begin(connection, READ_BUSY_TIMEOUT_MS, "BEGIN")


def mark(connection: Connection) -> None:
    """Write into the file's header that it is ours."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")


def is_marked(connection: Connection) -> bool:
    """Whether the file is ours, by its header."""
    return connection.exec_driver_sql("PRAGMA application_id").scalar() == APPLICATION_ID


def mark_as_moved(connection: Connection, *, is_moved: bool) -> None:
    """Write into the file's header that it is not the truth any more, also for those who have it open."""
    connection.exec_driver_sql(f"PRAGMA user_version={int(is_moved)}")


def open_feed(path: Path) -> tuple[Callable[[], bool], Callable[[], None]]:
    """A question that costs some microseconds, has any other connection committed since it was last asked, and its end.

    It never waits and never raises: while a commit is under way, or nothing can be read, the answer is no, and what
    happened meanwhile is told by a later one.
    """
    connection = _connect(path)
    connection.execute("PRAGMA busy_timeout=0").close()
    last = 0
    with suppress(sqlite3.Error):
        last = _data_version(connection)

    def has_changed() -> bool:
        nonlocal last
        try:
            version = _data_version(connection)
        except sqlite3.Error:
            return False
        changed, last = version != last, version
        return changed

    return has_changed, connection.close


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a missing file is an error here, not a new and empty store. Isolation level None: the driver's own idea
    # of when to begin a transaction would begin a deferred one.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)


def configure(connection: sqlite3.Connection, _: object = None) -> None:
    """Make a new connection durable and strict."""
    journal = "wal" if sqlite3.sqlite_version_info >= WAL_SINCE else "truncate"
    connection.execute(f"PRAGMA busy_timeout={WRITE_BUSY_TIMEOUT_MS}").close()
    # The journal mode is written into the file, and a file of somebody else is not ours to change.
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        connection.execute(f"PRAGMA journal_mode={journal}").close()
    # REPLACE would delete history without the triggers that forbid it.
    for pragma in ("synchronous=EXTRA", "mmap_size=0", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _session(connection: Connection, *, is_writing: bool) -> Session:
    return Session(connection, is_writing, _hold_nothing, lambda: _damage(connection))


def _hold_nothing(_: str) -> None:
    """Whoever writes is alone."""


def _damage(connection: Connection) -> tuple[str, ...]:
    cursor = connection.exec_driver_sql(f"PRAGMA integrity_check({DAMAGE_TOLD_MAX})")
    found = [str(row[0]) for row in cursor if row[0] != "ok"]
    return tuple(line for text in found for line in text.splitlines())[:DAMAGE_TOLD_MAX]


@contextmanager
def _kept_or_invalidated(connection: Connection) -> Generator[None]:
    try:
        yield
    except ERRORS:
        # What state it is in after a failed disk nobody knows; the next one begins afresh.
        connection.invalidate()
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin(connection: Connection, busy_timeout_ms: int, statement: str) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(f"PRAGMA busy_timeout={busy_timeout_ms}").close()
    driver.execute(statement).close()


def _is_moved(connection: Connection) -> bool:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return bool(driver.execute("PRAGMA user_version").fetchone()[0])


def _data_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version
