"""The lock that writers queue on, taken before the database's own.

SQLite's busy handler is unfair: with several writers one of them waits for seconds. Here whoever holds the *turn* is
next and waits for the lock alone, so that a writer who has just let go cannot take it again before those who waited.
The kernel keeps the queue, and drops both locks when a process is killed.
Source: docs/decisions/0005-synchronous-sqlalchemy-core.md
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread

from .problems import StoreUnavailable

LOCK_FILE = "state.lock"
TURN_FILE = "state.turn"
LOCK_TIMEOUT_S = 20.0


@contextmanager
def write_lock(folder: Path) -> Generator[None]:
    """Hold the write lock of the store in `folder`.

    Raises `StoreUnavailable`, after about `LOCK_TIMEOUT_S` at the latest. Works between threads as between processes,
    because each call opens the files anew.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    turn = _taken(folder / TURN_FILE, deadline)
    try:
        lock = _taken(folder / LOCK_FILE, deadline)
    finally:
        os.close(turn)
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def no_writer(folder: Path) -> Generator[None]:
    """Keep writers out for a moment: for a reader whom they do not let in.

    It waits for the one who writes and the one whose turn is next, not for all who queue. Raises like `write_lock`.
    """
    lock = _taken(folder / LOCK_FILE, time.monotonic() + LOCK_TIMEOUT_S)
    try:
        yield
    finally:
        os.close(lock)


def _taken(path: Path, deadline: float) -> int:
    """A descriptor that holds the file's lock until it is closed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreUnavailable(f"The store's lock {path} cannot be used: {exc.strerror}.") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not _Wait(descriptor).succeeds(deadline):
            raise StoreUnavailable("Somebody else has been writing to the store for too long.") from None
    return descriptor


class _Wait:
    """One wait in the kernel's queue, which knows no time limit: a thread waits, and is left behind at the deadline.

    To look again and again instead would leave the lock idle between looks, and the order to chance.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._has_it = Lock()
        self._has_it.acquire()
        self._deciding = Lock()
        self._is_given_up = False
        Thread(target=self._wait, daemon=True).start()

    def succeeds(self, deadline: float) -> bool:
        """Whether the lock was had in time; else the descriptor is closed when its turn comes."""
        try:
            in_time = self._has_it.acquire(timeout=max(0.0, deadline - time.monotonic()))
        except BaseException:  # an interrupt: nobody will use the lock that may still be had
            if not self._gives_up():
                os.close(self._descriptor)
            raise
        return in_time or not self._gives_up()

    def _gives_up(self) -> bool:
        """False when the lock was had at the last moment."""
        with self._deciding:
            self._is_given_up = not self._has_it.acquire(blocking=False)
        return self._is_given_up

    def _wait(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._deciding:
            if self._is_given_up:
                os.close(self._descriptor)
            else:
                self._has_it.release()
