"""The queue of evaluations in PostgreSQL: Procrastinate's own tables and functions, beside ours.

Its triggers notify whoever works, within the transaction that adds a job. PostgreSQL lets those who commit
notifications through one by one, so this one trigger is turned off: workers hear of what was committed from our own
feed, which tells it afterwards. Source: docs/decisions/0022-procrastinate-delivers.md
"""

from importlib import resources
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from .problems import EXTRA, StoreUnusable

if TYPE_CHECKING:
    from sqlalchemy import Connection

TABLE = "procrastinate_jobs"

_NOTIFYING = "procrastinate_jobs_notify_queue_job_inserted_v1"
_OF_WORKERS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_workers TO {role}",
    # Written by triggers as jobs come and go.
    "GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_events, procrastinate_periodic_defers TO {role}",
    "GRANT USAGE ON SEQUENCE procrastinate_jobs_id_seq, procrastinate_events_id_seq TO {role}",
)


def bring_queue(connection: "Connection") -> bool:
    """Make the queue, or bring it to the version of the library that is installed; whether there was anything to do.

    Raises `StoreUnusable` without the library, and for a queue of a newer one.
    """
    try:
        from procrastinate import __version__ as installed
    except ModuleNotFoundError as exc:
        raise StoreUnusable(f"The queue of evaluations needs a library that is not installed: {EXTRA}.") from exc
    driver = _driver(connection)
    present = _find_version(driver)
    if present == installed:
        return False
    if present is not None and _parts(present) > _parts(installed):
        raise StoreUnusable(f"The queue was made by Procrastinate {present}, and {installed} is installed: {EXTRA}.")
    for statements in [_schema()] if present is None else _migrations(present):
        driver.execute(statements.encode())
    driver.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER {_NOTIFYING}".encode())
    driver.execute(
        f"ALTER TABLE {TABLE} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200)"
    )
    driver.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(TABLE), installed))
    return True


def grant_queue_to_worker(connection: "Connection", role: str) -> None:
    """Let a role that is there take jobs, and no more."""
    for statement in _OF_WORKERS:
        _driver(connection).execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def _find_version(driver: psycopg.Connection[tuple[object, ...]]) -> str | None:
    """Of which version of the library the tables are; None when there are none."""
    found = driver.execute(f"SELECT obj_description(to_regclass('{TABLE}'), 'pg_class')".encode()).fetchone()
    return None if found is None or found[0] is None else str(found[0])


def _schema() -> str:
    return (resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")


def _migrations(present: str) -> list[str]:
    """The library's own steps after a version; their names begin with the version that they lead to."""
    found = (resources.files("procrastinate.sql") / "migrations").iterdir()
    steps = sorted((file for file in found if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in steps if _parts(file.name.split("_")[0]) > _parts(present)]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _driver(connection: "Connection") -> psycopg.Connection[tuple[object, ...]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
