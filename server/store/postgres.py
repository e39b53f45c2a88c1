"""The shared database: PostgreSQL, which many servers and workers use at once.

Whoever writes to a change locks its row first and is alone with it (see `changes`); the rest follows from conditional
writes, unique keys and `hold`. What is read in order to be written is read after the lock, because each statement sees
what was committed before it. Source: docs/decisions/0020-one-store-two-databases.md
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.abc import Buffer
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from .database import Session
from .postgres_errors import is_closed, is_disconnect, may_succeed_again, sentence_of
from .postgres_feed import Feed
from .postgres_place import Place
from .problems import StoreUnavailable

# Those of a server are as many as its threads that use the store at once.
CONNECTIONS_MAX = 10
CONNECTION_TIMEOUT_S = 20.0

# What a client that is gone, stopped or cut off may keep from others, and for how long; in milliseconds.
SETTINGS = {
    "search_path": "gatewright",
    "lock_timeout": "20000",
    "statement_timeout": "30000",
    "idle_in_transaction_session_timeout": "15000",
    "client_connection_check_interval": "5000",
    "tcp_user_timeout": "10000",
    "client_encoding": "UTF8",
}
# Nor does this end wait for a server that does not answer; in seconds, the last one in milliseconds.
PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

ERRORS = (DBAPIError, psycopg.Error, PoolTimeout)
"""What using a connection may raise."""


class Postgres:
    """A PostgreSQL database, through a few connections that are kept."""

    errors: tuple[type[Exception], ...] = ERRORS
    is_shared = True

    def __init__(self, place: Place) -> None:
        """On an existing one; nothing is connected yet."""
        self.place = place.name
        self._place = place
        self._engine = _make_engine(place)
        self._feed = Feed(lambda: connect(place))

    @contextmanager
    def writing(self) -> Generator[Session]:
        """See `Database`."""
        with self._connected() as connection:
            with self._transaction(connection, "BEGIN ISOLATION LEVEL READ COMMITTED"):
                yield _session(connection, is_writing=True)
            self._commit(connection)
        # Not within the transaction: whoever commits a notification waits for all others who do.
        self._feed.tell()

    @contextmanager
    def reading(self, attempt: int) -> Generator[Session]:
        """See `Database`."""
        with self._connected() as connection:
            with self._transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
                yield _session(connection, is_writing=False)
            _driver(connection).rollback()

    def may_succeed_again(self, error: Exception) -> bool:
        """See `Database`: after a deadlock, or when the connection had ended before the transaction did."""
        return may_succeed_again(error)

    def sentence_of(self, error: Exception) -> str | None:
        """See `Database`."""
        return sentence_of(error, self.place)

    def is_closed(self, error: Exception) -> bool:
        """See `Database`."""
        return is_closed(error)

    def feed(self) -> Callable[[], bool]:
        """See `Database`. Others' commits are told within moments, or within seconds when a notification was lost."""
        return self._feed.open()

    def now(self) -> datetime:
        """See `Database`: the server's. Machines' own clocks differ, and leases and heartbeats are told by one."""
        found = self._feed.now()
        if found is None:
            # Whoever may not listen, or not yet, asks: nobody goes by the clock of this machine.
            with self._connected() as connection:
                self._feed.learn_time(_driver(connection))
            found = self._feed.now()
            assert found is not None, "it was learnt"
        return found

    def close(self) -> None:
        """See `Database`."""
        self._feed.close()
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        try:
            with self._engine.connect() as connection:
                try:
                    yield connection
                except ERRORS:
                    connection.invalidate()
                    raise
        except ERRORS as exc:
            if is_disconnect(exc):
                # The server was restarted: the other connections are as dead as this one.
                self._engine.dispose()
            raise

    @contextmanager
    def _transaction(self, connection: Connection, begin: str) -> Generator[None]:
        """Begin; roll back after any exception. Whoever has come to the end without one commits."""
        driver = _driver(connection)
        driver.execute(begin.encode())
        try:
            yield
        except BaseException:
            try:
                driver.rollback()
            except psycopg.Error:
                connection.invalidate()
            raise

    def _commit(self, connection: Connection) -> None:
        driver = _driver(connection)
        # A failed transaction would be rolled back by this without a word.
        assert driver.info.transaction_status is TransactionStatus.INTRANS, "an error of the database was passed over"
        try:
            driver.commit()
        except psycopg.Error as exc:
            if not is_disconnect(exc):
                raise
            connection.invalidate()
            what = "The connection ended while a transaction was committed, and whether it was kept is unknown"
            raise StoreUnavailable(f"{what} ({self.place}); the same request under the same key is safe.") from exc


def connect(place: Place) -> psycopg.Connection[tuple[object, ...]]:
    """A connection of its own, in which each statement is a transaction unless one is begun. Raises `psycopg.Error`."""
    told = make_conninfo(place.url, fallback_application_name="gatewright", **PATIENCE)
    connection = psycopg.connect(told, autocommit=True)
    connection.adapters.register_dumper(str, _WithoutNul)
    try:
        names = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SETTINGS.items())
        connection.execute(f"SELECT {names}".encode())
    except BaseException:
        connection.close()
        raise
    return connection


class _WithoutNul(StrDumperUnknown):
    """PostgreSQL keeps no NUL in a text; an agent's key, or what a program says, may have one."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _make_engine(place: Place) -> Engine:
    """No error or log of it shows the values of a statement, the store's secret among them."""
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(place),
        poolclass=QueuePool,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=CONNECTION_TIMEOUT_S,
        hide_parameters=True,
        use_native_hstore=False,
    )


def _session(connection: Connection, *, is_writing: bool) -> Session:
    return Session(connection, is_writing, _hold(connection) if is_writing else _hold_nothing, lambda: ())


def _hold(connection: Connection) -> Callable[[str], None]:
    driver = _driver(connection)

    def hold(name: str) -> None:
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
        driver.execute("SELECT pg_advisory_xact_lock(%s)", (key,))

    return hold


def _hold_nothing(_: str) -> None:
    """Whoever reads is in nobody's way."""


def _driver(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
