"""Open a store, run transactions on it, refuse what cannot be trusted."""

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from .tx import Tx

T = TypeVar("T")

DATABASE_FILE = "state.db"
LOCK_FILE = "state.lock"
SECRET_BYTES = 32
TRIES_MAX = 5


class StoreMissing(Exception):
    """There is no store here, and the caller did not ask to make one."""


class StoreUnusable(Exception):
    """What lies there is not a store of ours, or was made by a newer version."""


class StoreUnavailable(Exception):
    """The store cannot be read or written now; `str()` is one sentence. Nothing of the transaction was kept."""


class Store:
    """One repository's store. Threads and processes may share it; writers wait for each other fairly."""

    def __init__(self, folder: Path, engine: "Engine") -> None:
        self.path = folder / DATABASE_FILE
        self._lock = folder / LOCK_FILE
        self._engine = engine
        self._thread_lock = threading.Lock()
        self.secret = b""

    def run(self, work: "Callable[[Tx], T]") -> T:
        """Run `work` in one transaction and return what it returned; any exception rolls everything back.

        `work` may be called twice and therefore touches nothing but the transaction. Raises `StoreUnavailable`.
        """
        from .sqlite import LockTimeout, write_lock

        with self._thread_lock:
            try:
                with write_lock(self._lock):
                    return self._retried(work, "BEGIN IMMEDIATE")
            except LockTimeout:
                raise StoreUnavailable(f"Another process has held {self._lock} for too long.") from None
            except OSError as exc:
                raise StoreUnavailable(f"The store's lock {self._lock} cannot be used: {exc.strerror}.") from exc

    def read(self, work: "Callable[[Tx], T]") -> T:
        """Like `run` for work that only reads: takes no write lock and sees one consistent state."""
        return self._retried(work, "BEGIN")

    def feed(self) -> Callable[[], bool]:
        """A cheap question whether anybody committed since it was last asked."""
        from .sqlite import open_feed

        return open_feed(self.path)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _retried(self, work: "Callable[[Tx], T]", begin: str) -> T:
        from sqlalchemy.exc import DatabaseError, OperationalError

        for attempt in range(TRIES_MAX):
            try:
                with self._engine.connect() as connection:
                    return _in_transaction(connection, work, begin)
            except OperationalError as exc:
                if attempt + 1 < TRIES_MAX and _is_busy(exc.orig):
                    continue
                raise StoreUnavailable(f"The store {self.path} cannot be used: {exc.orig}.") from exc
            except DatabaseError as exc:
                if _is_rule(exc.orig):
                    raise
                raise StoreUnavailable(f"The store {self.path} cannot be used: {exc.orig}.") from exc
        raise AssertionError("the loop returns or raises")


def open_store(folder: Path, *, create: bool) -> Store:
    """Open the store in `folder`, making it when `create`.

    Raises `StoreMissing` rather than making a second, empty store where one was expected; `StoreUnusable` for a file
    that is not ours or was made by a newer version; `StoreUnavailable` when the disk does not let it.
    """
    from .sqlite import make_engine

    path = folder / DATABASE_FILE
    exists = path.exists()
    if not exists and not create:
        raise StoreMissing(f"There is no gatewright store in {folder}; run `gatewright init` in the repository.")
    if exists and path.stat().st_size == 0 and not create:
        raise StoreUnusable(f"{path} is empty; move it away, or restore it from a backup.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _touch_private(path)
    except OSError as exc:
        raise StoreUnavailable(f"The store {path} cannot be made: {exc.strerror}.") from exc
    store = Store(folder, make_engine(path))
    _prepare(store)
    return store


def _touch_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _prepare(store: Store) -> None:
    from .schema import APPEND_ONLY, SCHEMA_VERSION, metadata

    def look(tx: "Tx") -> tuple[str | None, bytes | None]:
        return tx.meta_get("schema_version"), tx.meta_get_bytes("secret")

    def make(tx: "Tx") -> None:
        if tx.tables():
            return
        metadata.create_all(tx.connection)
        for statement in APPEND_ONLY:
            tx.connection.exec_driver_sql(statement)
        tx.meta_set("schema_version", str(SCHEMA_VERSION))
        tx.meta_set_bytes("secret", secrets.token_bytes(SECRET_BYTES))

    tables = _unusable_unless_read(store, lambda tx: tx.tables())
    if not tables:
        store.run(make)
    elif "meta" not in tables or "change" not in tables:
        raise StoreUnusable(f"{store.path} is a database, but not one of gatewright's; move it away.")
    version, secret = store.read(look)
    if version is None or secret is None:
        raise StoreUnusable(f"{store.path} is damaged: it has no schema version; restore it from a backup.")
    if int(version) > SCHEMA_VERSION:
        raise StoreUnusable(f"{store.path} was made by a newer gatewright (schema {version}); upgrade this one.")
    store.secret = secret


def _unusable_unless_read(store: Store, work: "Callable[[Tx], T]") -> T:
    try:
        return store.read(work)
    except StoreUnavailable as exc:
        if "not a database" in str(exc) or "malformed" in str(exc):
            raise StoreUnusable(f"{store.path} is not a database; move it away, or restore it from a backup.") from exc
        raise


def _in_transaction(connection: "Connection", work: "Callable[[Tx], T]", begin: str) -> T:
    from .tx import Tx

    connection.exec_driver_sql(begin)
    try:
        result = work(Tx(connection))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return result


def _is_busy(error: BaseException | None) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _is_rule(error: BaseException | None) -> bool:
    import sqlite3

    return isinstance(error, sqlite3.IntegrityError)
