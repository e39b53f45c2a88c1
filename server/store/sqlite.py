"""The embedded database: its files, its locks, its durability and its change feed.

SQLite's own busy handler is unfair: with several writers one waits for seconds. An flock on a file beside the
database, taken before BEGIN IMMEDIATE, makes waiting fair. Versions before 3.51.3 are reported to corrupt a WAL file
that several processes reset, so they use a rollback journal. Source: docs/decisions/0005-synchronous-sqlalchemy-core.md
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool

WAL_SINCE = (3, 51, 3)
LOCK_TIMEOUT_S = 20.0
LOCK_POLL_S = 0.002
BUSY_TIMEOUT_MS = 5_000
CONNECTIONS_MAX = 4


def make_engine(path: Path) -> Engine:
    """An engine whose connections are durable and never map the file into memory."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=QueuePool,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1_000},
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: sqlite3.Connection, _: object) -> None:
    # The driver's own idea of when to begin a transaction would begin a deferred one.
    connection.isolation_level = None
    journal, synchronous = ("WAL", "FULL") if sqlite3.sqlite_version_info >= WAL_SINCE else ("TRUNCATE", "EXTRA")
    for pragma in (f"journal_mode={journal}", f"synchronous={synchronous}", "mmap_size=0", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


class LockTimeout(Exception):
    """Somebody held the write lock for too long."""


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Hold the lock that writers queue on; raises `LockTimeout` after `LOCK_TIMEOUT_S`.

    The kernel drops it on a kill.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock_within(descriptor, LOCK_TIMEOUT_S)
        yield
    finally:
        os.close(descriptor)


def _lock_within(descriptor: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LockTimeout from None
            time.sleep(LOCK_POLL_S)


def open_feed(path: Path) -> Callable[[], bool]:
    """A question that costs some microseconds: has any other connection committed since it was last asked?"""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    last = 0

    def has_changed() -> bool:
        nonlocal last
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        changed, last = version != last, version
        return changed

    return has_changed
