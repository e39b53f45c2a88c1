"""Make the tables in PostgreSQL, and what they need there: history that stays, and positions in the order of commits.

A position is the number of the transaction that wrote the event, and the event's place in it. Transactions commit in
another order than they begin in, so whoever reads all events reads those below every transaction under way
(`settled_position`): none can appear behind the reader. The events of one change rise in any case, because its row is
locked before the first of them is written; where that failed, the transaction is begun again.
"""

from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from .postgres_rights import OF_WORKERS
from .schema import APPEND_ONLY, metadata

SCHEMA = "gatewright"
ORIGIN = "position_origin"
"""What is added to the numbers of transactions: they begin anew when the data is brought into another server."""
EVENTS_BITS = 20
"""Room for a million events in one transaction."""

# ruff: noqa: S608  # constants of ours, put into statements that are fixed
_FUNCTIONS = (
    f"""
    CREATE FUNCTION position_of(transaction_number xid8) RETURNS bigint LANGUAGE sql STABLE AS $$
        SELECT ((SELECT value::bigint FROM {SCHEMA}.meta WHERE name = '{ORIGIN}')
            + transaction_number::text::bigint) << {EVENTS_BITS}
    $$""",
    f"""
    CREATE FUNCTION settled_position() RETURNS bigint LANGUAGE sql STABLE AS $$
        SELECT {SCHEMA}.position_of(pg_snapshot_xmin(pg_current_snapshot()))
    $$""",
    f"""
    CREATE FUNCTION place_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        given text := current_setting('gatewright.position', true);
        newest bigint;
    BEGIN
        IF given IS NULL OR given = '' THEN
            NEW.position := {SCHEMA}.position_of(pg_current_xact_id());
        ELSE
            NEW.position := given::bigint + 1;
        END IF;
        PERFORM set_config('gatewright.position', NEW.position::text, true);
        SELECT e.position INTO newest FROM {SCHEMA}.event e
            WHERE e.change = NEW.change ORDER BY e.version DESC LIMIT 1;
        IF newest >= NEW.position THEN
            RAISE EXCEPTION 'the change was written to by a later transaction' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NEW;
    END $$""",
    """
    CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END $$""",
)
_FOR_WORKERS: tuple[LiteralString, ...] = (
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}}",
    "GRANT SELECT (name, value) ON meta TO {role}",
    *(f"GRANT {', '.join(rights)} ON {table} TO {{role}}" for table, rights in OF_WORKERS.items()),
    "GRANT USAGE ON SEQUENCE evidence_number_seq TO {role}",
)
_PLACING = (
    "CREATE TRIGGER event_is_placed BEFORE INSERT ON event FOR EACH ROW WHEN (NEW.position IS NULL) "
    "EXECUTE FUNCTION place_event()"
)
# These are few rows that are written all the time: what is dead in them is in the way of the next who looks.
_BUSY = ("opening", "evaluation", "change")


def make_tables(connection: Connection) -> None:
    """All of them, within the transaction of the connection, whose search path begins with our schema."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    metadata.create_all(connection, checkfirst=False)
    for statement in (*_FUNCTIONS, *_rules()):
        driver.execute(statement.encode())


def begin_positions(connection: Connection) -> None:
    """See to it that the next event comes after all that there are, when `positions_are_used_up`.

    They do not when they were written by another server's transactions, as after a restoration or a move.
    """
    connection.exec_driver_sql(
        f"UPDATE meta SET value = ((SELECT max(position) FROM event) >> {EVENTS_BITS}) + 1"
        f" - pg_current_xact_id()::text::bigint WHERE name = '{ORIGIN}'"
    )


def grant_to_worker(connection: Connection, role: str) -> None:
    """Let a role that is there do what a worker does, and no more."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    for statement in _FOR_WORKERS:
        driver.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def is_role(connection: Connection, name: str) -> bool:
    """Whether somebody of this name may be granted something."""
    question = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :name)")
    return bool(connection.execute(question, {"name": name}).scalar())


def positions_are_used_up(connection: Connection) -> bool:
    """Whether the next event would come before one that there is."""
    question = "SELECT max(position) >= position_of(pg_snapshot_xmax(pg_current_snapshot())) FROM event"
    return bool(connection.exec_driver_sql(question).scalar())


def _rules() -> tuple[str, ...]:
    append_only = tuple(
        f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()"
        for table in APPEND_ONLY
    )
    swept = tuple(
        f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200)"
        for table in _BUSY
    )
    return (_PLACING, *append_only, *swept)
