"""Open a store in PostgreSQL: made by `create_database` alone, looked at before it is trusted."""

import secrets
from contextlib import closing
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .creation import SCHEMA_VERSION, SECRET, SECRET_BYTES
from .problems import EXTRA, NotMigrated, StoreUnusable
from .store import Store

if TYPE_CHECKING:
    from .tx import Tx

MAKING = "make or check the store"


def open_database(url: str, *, is_worker: bool = False) -> Store:
    """Open the store in the database at `url`, which was made by `create_database`.

    A worker's role may not read the secret that leases are derived from: `secret` is empty then.
    Raises `NotMigrated`, `StoreUnusable` for one that is not ours, is damaged, or is of another version, and
    `StoreUnavailable`. No sentence shows the address's password.
    """
    store = store_at(url)
    try:
        header = store.read(partial(_read_header, has_secret=not is_worker))
        store.secret = _checked(store, header)
    except BaseException:
        store.close()
        raise
    return store


class Migration(StrEnum):
    """What `create_database` did."""

    MADE = "made"
    CHECKED = "checked"
    RENUMBERED = "renumbered"
    """The data came from another server, whose numbers of events were higher than its own would be."""
    QUEUED = "queued"
    """The store had no queue of evaluations, or one of an older library."""


def create_database(url: str, *, worker_role: str | None = None) -> Migration:
    """Make the store in the database at `url`, whole or not at all, or look whether the one that is there is sound.

    `worker_role` names a role that is given what a worker needs; `StoreUnusable` is raised when there is none.
    Raises like `open_database`.
    """
    with closing(store_at(url)) as store:
        return store.run(lambda tx: _make_or_mend(tx, store, worker_role))


def store_at(url: str) -> Store:
    """A store in this database, of which nothing is known yet."""
    try:
        from .postgres import Postgres
        from .postgres_place import place_of
    except ModuleNotFoundError as exc:
        if exc.name != "psycopg":
            raise
        raise StoreUnusable(f"PostgreSQL needs a library that is not installed: {EXTRA}.") from None
    return Store(Postgres(place_of(url)))


class _Header(NamedTuple):
    is_there: bool
    version: str | None = None
    missing: tuple[str, ...] = ()
    secret: bytes | None = None
    is_out_of_order: bool = False
    has_queue: bool = True


def _make_or_mend(tx: "Tx", store: Store, worker_role: str | None) -> Migration:
    from .postgres_queue import bring_queue, grant_queue_to_worker
    from .postgres_schema import begin_positions, grant_to_worker, is_role

    # Two who migrate at once would both find nothing.
    tx.hold(MAKING)
    if worker_role is not None and not is_role(tx.connection, worker_role):
        raise StoreUnusable(f"There is no role '{worker_role}' in {store.place}; CREATE ROLE makes one.")
    header = _read_header(tx)
    done = Migration.CHECKED
    if not header.is_there:
        _make(tx)
        done = Migration.MADE
    else:
        _checked(store, header._replace(is_out_of_order=False, has_queue=True))
    if bring_queue(tx.connection) and header.is_there:
        done = Migration.QUEUED
    if header.is_out_of_order:
        begin_positions(tx.connection)
        done = Migration.RENUMBERED
    if worker_role is not None:
        grant_to_worker(tx.connection, worker_role)
        grant_queue_to_worker(tx.connection, worker_role)
    return done


def _make(tx: "Tx") -> None:
    from sqlalchemy import insert

    from .postgres_schema import ORIGIN, make_tables
    from .schema import VERSION, meta

    make_tables(tx.connection)
    tx.meta_set(SCHEMA_VERSION, str(VERSION))
    tx.meta_set(ORIGIN, "0")
    secret = secrets.token_bytes(SECRET_BYTES)
    tx.connection.execute(insert(meta), {"name": SECRET, "value": None, "data": secret})


def _read_header(tx: "Tx", *, has_secret: bool = True) -> _Header:
    from sqlalchemy import inspect, select

    from .postgres_queue import TABLE
    from .postgres_schema import SCHEMA, positions_are_used_up
    from .schema import VERSION, meta, metadata

    tables = frozenset(inspect(tx.connection).get_table_names(schema=SCHEMA))
    if meta.name not in tables:
        return _Header(is_there=False)
    version = tx.meta_get(SCHEMA_VERSION)
    missing = tuple(sorted(set(metadata.tables) - tables))
    if missing or version != str(VERSION):
        return _Header(is_there=True, version=version, missing=missing)
    secret = tx.connection.execute(select(meta.c.data).where(meta.c.name == SECRET)).scalar() if has_secret else b""
    is_out_of_order = positions_are_used_up(tx.connection)
    return _Header(True, version, missing, secret, is_out_of_order, TABLE in tables)


def _checked(store: Store, header: _Header) -> bytes:
    from .schema import VERSION

    if not header.is_there:
        raise NotMigrated(f"There is no gatewright store in {store.place}; `gatewright migrate` makes one.")
    if header.version is not None and header.version.isdigit() and int(header.version) > VERSION:
        newer = f"was made by a newer gatewright (schema {header.version}, this one knows {VERSION})"
        raise StoreUnusable(f"The store in {store.place} {newer}; upgrade this one.")
    if header.version != str(VERSION) or header.missing or not _is_secret(header.secret):
        what = f"it lacks the table {header.missing[0]}" if header.missing else "its version or its secret is gone"
        raise StoreUnusable(f"The store in {store.place} is damaged: {what}; restore it from a backup.")
    if header.is_out_of_order:
        came = "came from another server, which numbered its events otherwise"
        raise StoreUnusable(f"The store in {store.place} {came}; run `gatewright migrate` once.")
    if not header.has_queue:
        what = "has no queue of evaluations"
        raise StoreUnusable(f"The store in {store.place} {what}; run `gatewright migrate` once.")
    assert header.secret is not None, "it was looked at"
    return header.secret


def _is_secret(found: bytes | None) -> bool:
    """Whether it can be one; nothing was read for a worker."""
    return found is not None and len(found) in {0, SECRET_BYTES}
