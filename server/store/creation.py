"""Open a store: make it whole or not at all, and refuse what cannot be trusted."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .problems import StoreMissing, StoreUnavailable, StoreUnusable
from .store import Store
from .write_lock import write_lock

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .tx import Tx

DATABASE_FILE = "state.db"
UNFINISHED_FILE = "state.new"
JOURNAL_SUFFIXES = ("-journal", "-wal", "-shm")
SECRET = "secret"
SECRET_BYTES = 32
SCHEMA_VERSION = "schema_version"
MOVED_TO = "moved_to"
"""Where a store was moved to: what was left behind is not the truth any more."""


def open_store(folder: Path, *, create: bool, even_moved: bool = False) -> Store:
    """Open the store in `folder`, making it when `create` and there is none.

    Raises `StoreMissing` rather than making a second, empty store where one was expected; `StoreUnusable` for a file
    that is not ours, is damaged, was made by a newer version or, unless `even_moved`, was moved into a database;
    `StoreUnavailable` when the disk does not let it.
    """
    path = folder / DATABASE_FILE
    try:
        if not path.exists():
            if not create:
                raise StoreMissing(f"There is no gatewright store in {folder}; `gatewright init` makes one.")
            _make(folder)
        if not path.is_file() or path.stat().st_size == 0:
            raise StoreUnusable(f"{path} is empty or not a file; move it away, or restore it from a backup.")
        _make_private(path)
    except OSError as exc:
        raise StoreUnavailable(f"The store {path} cannot be opened: {exc.strerror}.") from exc
    from .sqlite import Sqlite

    store = Store(Sqlite(path, even_moved=even_moved))
    try:
        store.secret = _checked_secret(store, even_moved=even_moved)
    except BaseException:
        store.close()
        raise
    return store


def _make(folder: Path) -> None:
    """Make the store under another name and rename it: after a crash there is a whole one or none."""
    path, unfinished = folder / DATABASE_FILE, folder / UNFINISHED_FILE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with write_lock(folder):
        if path.exists():
            return
        # What is left beside a database that is gone would be played back into the new one.
        for name in (path, unfinished):
            _remove(*(name.with_name(name.name + suffix) for suffix in JOURNAL_SUFFIXES))
        _remove(unfinished)
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _fill(unfinished)
        _remove(*(unfinished.with_name(unfinished.name + suffix) for suffix in JOURNAL_SUFFIXES))
        unfinished.rename(path)
        for changed in (folder, folder.parent):
            _sync_folder(changed)


def _fill(path: Path) -> None:
    from sqlalchemy import insert

    from .schema import VERSION, meta, metadata
    from .sqlite import APPEND_ONLY_RULES, begin_write, make_engine, mark
    from .sqlite_errors import ERRORS, sentence_of

    def fill(connection: "Connection") -> None:
        metadata.create_all(connection)
        for statement in APPEND_ONLY_RULES:
            connection.exec_driver_sql(statement)
        secret = secrets.token_bytes(SECRET_BYTES)
        connection.execute(insert(meta), {"name": SCHEMA_VERSION, "value": str(VERSION), "data": None})
        connection.execute(insert(meta), {"name": SECRET, "value": None, "data": secret})
        mark(connection)

    engine = make_engine(path)
    try:
        with engine.connect() as connection, connection.begin():
            begin_write(connection)
            fill(connection)
    except ERRORS as exc:
        raise StoreUnavailable(sentence_of(exc, path) or f"{path} cannot be made.") from exc
    finally:
        engine.dispose()


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """A file that was copied back from elsewhere may have become readable for all; it holds the secret."""
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


class _Header(NamedTuple):
    is_ours: bool
    version: str | None = None
    tables: frozenset[str] = frozenset()
    moved_to: str | None = None
    secret: bytes | None = None


def _checked_secret(store: Store, *, even_moved: bool) -> bytes:
    """Look at the file before it is trusted."""
    from .schema import ADDED_LATER, VERSION, metadata

    header = _unusable_when_damaged(store, _read_header)
    if not header.is_ours:
        raise StoreUnusable(f"{store.place} is a database, but not one of gatewright's; move it away.")
    if header.version is not None and header.version.isdigit() and int(header.version) > VERSION:
        newer = f"{store.place} was made by a newer gatewright (schema {header.version}, this one knows {VERSION})"
        raise StoreUnusable(f"{newer}; upgrade this one.")
    missing = sorted(set(metadata.tables) - header.tables - ADDED_LATER)
    if header.version != str(VERSION) or missing or header.secret is None or len(header.secret) != SECRET_BYTES:
        what = f"it lacks the table {missing[0]}" if missing else "its version or its secret is gone"
        raise StoreUnusable(f"{store.place} is damaged: {what}; restore it from a backup.")
    if header.moved_to and not even_moved:
        raise StoreUnusable(f"{store.place} was moved to {header.moved_to}; serve that with `gatewright serve`.")
    if not header.tables >= ADDED_LATER:
        store.run(_add_tables)
    return header.secret


def _add_tables(tx: "Tx") -> None:
    from .schema import ADDED_LATER, metadata

    metadata.create_all(tx.connection, [metadata.tables[name] for name in sorted(ADDED_LATER)])


def _read_header(tx: "Tx") -> _Header:
    from sqlalchemy import inspect, select

    from .schema import meta
    from .sqlite import is_marked

    if not is_marked(tx.connection):
        return _Header(is_ours=False)
    tables = frozenset(inspect(tx.connection).get_table_names())
    if meta.name not in tables:
        return _Header(is_ours=True, tables=tables)
    secret = tx.connection.execute(select(meta.c.data).where(meta.c.name == SECRET)).scalar()
    return _Header(
        is_ours=True, version=tx.meta_get(SCHEMA_VERSION), tables=tables, moved_to=tx.meta_get(MOVED_TO), secret=secret
    )


def _unusable_when_damaged(store: Store, work: "Callable[[Tx], _Header]") -> _Header:
    from .sqlite_errors import ERRORS, is_damage

    try:
        return store.read(work)
    except StoreUnavailable as exc:
        cause = exc.__cause__
        if isinstance(cause, ERRORS) and is_damage(cause):
            raise StoreUnusable(f"{store.place} is not a database; move it away, or restore it from a backup.") from exc
        raise
