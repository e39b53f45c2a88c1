"""The lock that writers queue on, taken before the database's own.

SQLite's busy handler is unfair: with several writers one of them waits for seconds. Here whoever holds the *turn* is
next and waits for the lock alone, so that a writer who has just let go cannot take it again before those who waited.
The kernel drops both locks when a process is killed. Source: docs/decisions/0005-synchronous-sqlalchemy-core.md
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .problems import StoreUnavailable

LOCK_FILE = "state.lock"
TURN_FILE = "state.turn"
LOCK_TIMEOUT_S = 20.0
# The next in turn looks often: while it sleeps nobody writes. The others would only cost it the processor.
LOCK_POLL_S = 0.000_2
TURN_POLL_S = 0.001


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the write lock of the store in `folder`.

    Raises `StoreUnavailable`, after about `LOCK_TIMEOUT_S` at the latest. Works between threads as between processes,
    because each call opens the files anew.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    lock = _open(folder / LOCK_FILE)
    try:
        turn = _open(folder / TURN_FILE)
        try:
            _take(turn, deadline, TURN_POLL_S)
            _take(lock, deadline, LOCK_POLL_S)
        finally:
            os.close(turn)
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreUnavailable(f"The store's lock {path} cannot be used: {exc.strerror}.") from exc


def _take(descriptor: int, deadline: float, poll_s: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreUnavailable("Somebody else has been writing to the store for too long.") from None
            time.sleep(poll_s)
        else:
            return
