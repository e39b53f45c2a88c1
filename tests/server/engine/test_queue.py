"""The queue: one job for each evaluation, by the same commit; nothing of it where one machine is enough."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from gatewright.server.store import (
    EvaluationRow,
    EvaluationState,
    Migration,
    Purpose,
    Store,
    create_database,
    open_database,
)
from gatewright.server.store.deliveries import queue_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(open_database(database_url)) as opened:
        yield opened


def evaluation(number: int = 1, *, not_before: datetime = NOW) -> EvaluationRow:
    state = EvaluationState.QUEUED
    return EvaluationRow(f"c1.e{number}", "c1", "code", Purpose.ATTEMPT, state, NOW, not_before, attempt=1)


def jobs(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT queueing_lock, queue_name, task_name, args, scheduled_at FROM gatewright.procrastinate_jobs"
        )
        return found.fetchall()


def test_an_evaluation_has_a_job_from_the_commit_on_that_decides_it(store: Store, database_url: str) -> None:
    def decide(tx: object) -> None:
        tx.enqueue(evaluation(), ["gpu", "big"])  # type: ignore[attr-defined]  # a transaction
        assert jobs(database_url) == []

    store.run(decide)

    assert jobs(database_url) == [("c1.e1", "evaluations+big+gpu", "evaluate", {"evaluation": "c1.e1"}, None)]


def test_what_only_warms_up_waits_for_what_somebody_waits_for(store: Store, database_url: str) -> None:
    warming = replace(evaluation(1), purpose=Purpose.WARM)
    for row in (warming, evaluation(2)):
        store.run(lambda tx, row=row: tx.enqueue(row))  # type: ignore[misc]  # no type

    with psycopg.connect(database_url) as connection:
        connection.execute("SET search_path = gatewright")
        ((first,),) = connection.execute("SELECT queueing_lock FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchall()

    assert first == "c1.e2"


def test_a_decision_that_is_rolled_back_leaves_no_job(store: Store, database_url: str) -> None:
    def fail(tx: object) -> None:
        tx.enqueue(evaluation())  # type: ignore[attr-defined]  # a transaction
        raise KeyError

    with pytest.raises(KeyError):
        store.run(fail)

    assert jobs(database_url) == []


def test_what_is_put_off_is_delivered_when_it_is_due(store: Store, database_url: str) -> None:
    later = NOW + timedelta(seconds=30)

    store.run(lambda tx: tx.enqueue(evaluation(not_before=later)))

    ((*_, at),) = jobs(database_url)
    assert at == later


def test_whoever_queues_an_evaluation_notifies_nobody_by_the_same_commit(store: Store, database_url: str) -> None:
    """PostgreSQL lets those who commit notifications through one by one: our own feed tells afterwards."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("LISTEN procrastinate_any_queue_v1")
        connection.execute('LISTEN "procrastinate_queue_v1#evaluations"')

        store.run(lambda tx: tx.enqueue(evaluation()))

        assert list(connection.notifies(timeout=0.3)) == []


def test_only_what_no_job_brings_anybody_is_undelivered(store: Store, database_url: str) -> None:
    for number in (1, 2, 3):
        store.run(lambda tx, number=number: tx.enqueue(evaluation(number)))  # type: ignore[misc]  # no type
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE gatewright.procrastinate_jobs SET status = 'doing' WHERE queueing_lock = 'c1.e1'")
        connection.execute("DELETE FROM gatewright.procrastinate_jobs WHERE queueing_lock = 'c1.e3'")

    found = store.run(lambda tx: tx.undelivered(NOW, stale_before=NOW, limit=9))
    early = store.run(lambda tx: tx.undelivered(NOW - timedelta(seconds=1), stale_before=NOW, limit=9))

    assert (found, early) == ((("c1.e3", "c1"),), ())


def test_the_queues_of_a_worker_are_named_by_what_is_needed() -> None:
    assert queue_of([]) == "evaluations"
    assert queue_of(["gpu", "big", "gpu"]) == "evaluations+big+gpu"


def test_a_store_from_before_the_queue_gets_one_by_migrate_and_no_other_way(new_database_url: str) -> None:
    create_database(new_database_url)
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute("SET search_path = gatewright")
        tables = "procrastinate_jobs, procrastinate_workers, procrastinate_events, procrastinate_periodic_defers"
        connection.execute(f"DROP TABLE {tables} CASCADE".encode())
        functions = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'procrastinate%'"
        ).fetchall()
        for (function,) in functions:
            connection.execute(f"DROP FUNCTION {function} CASCADE".encode())
        for name in ("job_status", "job_event_type", "job_to_defer_v1"):
            connection.execute(f"DROP TYPE procrastinate_{name} CASCADE".encode())
    with pytest.raises(Exception, match="has no queue of evaluations; run `gatewright migrate` once"):
        open_database(new_database_url)

    done = [create_database(new_database_url) for _ in range(2)]

    assert done == [Migration.QUEUED, Migration.CHECKED]
    with closing(open_database(new_database_url)) as store:
        store.run(lambda tx: tx.enqueue(evaluation()))
    assert len(jobs(new_database_url)) == 1


def test_a_queue_of_an_older_library_is_brought_up_to_date_and_one_of_a_newer_refused(new_database_url: str) -> None:
    create_database(new_database_url)
    comment = "COMMENT ON TABLE gatewright.procrastinate_jobs IS"
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute(f"{comment} '3.9.0'".encode())
        upgraded = create_database(new_database_url)
        connection.execute(f"{comment} '4.0.0'".encode())
        with pytest.raises(Exception, match=r"made by Procrastinate 4\.0\.0"):
            create_database(new_database_url)

    assert upgraded is Migration.QUEUED


@pytest.mark.slow
def test_one_machine_needs_neither_the_queue_nor_its_library() -> None:
    code = "import sys; import gatewright.server.app, gatewright.server.engine.embedded, gatewright.server.composition;"
    code += "from gatewright.server.store import sqlite; print([m for m in sys.modules if 'procrastinate' in m or"
    code += " m.startswith('psycopg')])"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
