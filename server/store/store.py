"""Run transactions on a store, and tell in a sentence when that cannot be done."""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .problems import StoreUnavailable
from .write_lock import LOCK_TIMEOUT_S, no_writer, write_lock

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from .tx import Tx

    Begin = Callable[[Connection], None]

T = TypeVar("T")

DATABASE_FILE = "state.db"
TRIES_MAX = 3


class Store:
    """One repository's store. Threads and processes may share it; writers wait for each other fairly.

    `secret` is what lease tokens are derived from; it goes nowhere else. Not to be used across a fork.
    """

    def __init__(self, folder: Path) -> None:
        """On an existing file; whoever opens a store calls `open_store`, which looks at it first."""
        from .sqlite import make_engine

        self.path = folder / DATABASE_FILE
        self.secret = b""
        self._folder = folder
        self._file = _identity(self.path)
        self._engine: Engine = make_engine(self.path)
        self._one_writer = threading.Lock()
        self._feeds: list[Callable[[], None]] = []

    def run(self, work: "Callable[[Tx], T]") -> T:
        """Run `work` in one transaction and return what it returned; any exception rolls everything back.

        `work` may be called twice and therefore touches nothing but the transaction. Raises `StoreUnavailable`.
        """
        from .sqlite import begin_write

        with self._telling(), self._turn_of_this_thread():
            return self._retried(lambda _: self._once(work, begin_write, write_lock(self._folder)))

    def read(self, work: "Callable[[Tx], T]") -> T:
        """Like `run` for work that only reads: takes no write lock and sees one consistent state.

        With a rollback journal a commit keeps readers out for a moment. Who meets one keeps the next ones waiting.
        """
        from .sqlite import begin_read

        with self._telling():
            return self._retried(
                lambda attempt: self._once(work, begin_read, no_writer(self._folder) if attempt else nullcontext())
            )

    def feed(self) -> Callable[[], bool]:
        """A cheap question whether anybody committed since it was last asked; it neither waits nor raises."""
        from .sqlite import open_feed

        has_changed, close = open_feed(self.path)
        self._feeds.append(close)
        return has_changed

    def close(self) -> None:
        """Close every connection."""
        while self._feeds:
            self._feeds.pop()()
        self._engine.dispose()

    def _retried(self, attempt_it: Callable[[int], T]) -> T:
        from .sqlite import ERRORS, is_busy

        for attempt in range(TRIES_MAX - 1):
            try:
                return attempt_it(attempt)
            except ERRORS as exc:
                if not is_busy(exc):
                    raise
        return attempt_it(TRIES_MAX - 1)

    def _once(self, work: "Callable[[Tx], T]", begin: "Begin", lock: AbstractContextManager[None]) -> T:
        from .sqlite import ERRORS

        # The connection first: nobody should wait for one while all others wait for the lock.
        with self._engine.connect() as connection:
            self._refuse_another_file()
            try:
                with lock:
                    return _in_transaction(connection, work, begin)
            except ERRORS:
                # What state it is in after a failed disk nobody knows; the next one begins afresh.
                connection.invalidate()
                raise

    def _refuse_another_file(self) -> None:
        """What is written to a file that was moved away is lost, however durable."""
        if _identity(self.path) != self._file:
            raise StoreUnavailable(f"{self.path} was moved away or replaced while it was in use; start again.")

    @contextmanager
    def _turn_of_this_thread(self) -> Generator[None]:
        if not self._one_writer.acquire(timeout=LOCK_TIMEOUT_S):
            raise StoreUnavailable(f"Too much is being written to {self.path} at once.")
        try:
            yield
        finally:
            self._one_writer.release()

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Turn what the disk, the locks and the database say into `StoreUnavailable`; our own defects surface."""
        from .sqlite import ERRORS, sentence_of

        try:
            yield
        except ERRORS as exc:
            sentence = sentence_of(exc, self.path)
            if sentence is None:
                raise
            raise StoreUnavailable(sentence) from exc


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_transaction(connection: "Connection", work: "Callable[[Tx], T]", begin: "Begin") -> T:
    from .tx import Tx

    with connection.begin():
        begin(connection)
        return work(Tx(connection))
