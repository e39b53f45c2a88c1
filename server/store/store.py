"""Run transactions on a store, and tell in a sentence when that cannot be done."""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from ..telemetry.watching import Saved, watcher
from .problems import StoreClosed, StoreUnavailable

if TYPE_CHECKING:
    from .database import Database, Session
    from .tx import Tx

T = TypeVar("T")

TRIES_MAX = 3


class Store:
    """One project's store. Threads and processes may share it; writers wait for each other fairly.

    `place` names it in sentences. `is_shared`: see `Database`. `secret` is what lease tokens are
    derived from; it goes nowhere else. Not to be used across a fork.
    """

    def __init__(self, database: "Database") -> None:
        """On an existing one; whoever opens a store calls `open_store` or `open_database`, which look at it first."""
        self.place = database.place
        self.is_shared = database.is_shared
        self.secret = b""
        self._database = database

    def run(self, work: "Callable[[Tx], T]") -> T:
        """Run `work` in one transaction and return what it returned; any exception rolls everything back.

        `work` may be called twice and therefore touches nothing but the transaction. Raises `StoreUnavailable`.
        """
        return self._watched(work, lambda _: self._database.writing(), is_writing=True)

    def read(self, work: "Callable[[Tx], T]") -> T:
        """Like `run` for work that only reads: keeps no writer waiting and sees one consistent state.

        With SQLite's rollback journal a commit keeps readers out for a moment. Who meets one keeps the next ones
        waiting.
        """
        return self._watched(work, self._database.reading, is_writing=False)

    def feed(self) -> Callable[[], bool]:
        """A cheap question whether anybody committed since it was last asked; it neither waits nor raises."""
        return self._database.feed()

    def clock(self, system: Callable[[], datetime]) -> Callable[[], datetime]:
        """The one clock by which all who share the store judge leases; `system` is this machine's.

        The first look at it may raise `StoreUnavailable`; later ones go by what was learnt then.
        """

        def now() -> datetime:
            with self._telling():
                return self._database.now() or system()

        return now

    def close(self) -> None:
        """Close every connection."""
        watcher().finish(self)
        self._database.close()

    def _watched(
        self,
        work: "Callable[[Tx], T]",
        transaction: "Callable[[int], AbstractContextManager[Session]]",
        *,
        is_writing: bool,
    ) -> T:
        """Run it, and tell who watches how that went; nothing is measured when nobody does."""
        watching = watcher()
        if not watching.is_watching:
            return self._retried(work, transaction, [])
        saved: list[Saved] = []
        began, is_ok = time.perf_counter(), False
        try:
            result = self._retried(work, transaction, saved)
            is_ok = True
        finally:
            watching.transacted(time.perf_counter() - began, is_writing=is_writing, is_ok=is_ok)
        if saved:
            watching.committed(self, saved)
        return result

    def _retried(
        self,
        work: "Callable[[Tx], T]",
        transaction: "Callable[[int], AbstractContextManager[Session]]",
        saved: list[Saved],
    ) -> T:
        """`saved` is given what the transaction has saved of changes, once it is committed."""
        with self._telling():
            for attempt in range(TRIES_MAX - 1):
                try:
                    return _in_transaction(transaction(attempt), work, saved)
                except self._database.errors as exc:
                    if not self._database.may_succeed_again(exc):
                        raise
            return _in_transaction(transaction(TRIES_MAX - 1), work, saved)

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Turn what the disk, the locks and the database say into `StoreUnavailable`; our own defects surface."""
        try:
            yield
        except self._database.errors as exc:
            sentence = self._database.sentence_of(exc)
            if sentence is None:
                raise
            raise (StoreClosed if self._database.is_closed(exc) else StoreUnavailable)(sentence) from exc


def _in_transaction(transaction: "AbstractContextManager[Session]", work: "Callable[[Tx], T]", saved: list[Saved]) -> T:
    from .tx import Tx

    with transaction as session:
        tx = Tx(session)
        result = work(tx)
    saved += tx.saved
    return result
