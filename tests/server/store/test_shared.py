"""A shared store is made by whoever asks for that, whole or not at all; what cannot be trusted is refused."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import psycopg
import pytest

from gatewright.schemas.decisions import POSITION_MAX, Paging
from gatewright.server.operations.looking import look_back
from gatewright.server.store import (
    Migration,
    NotMigrated,
    StoreUnavailable,
    StoreUnusable,
    create_database,
    open_database,
)
from gatewright.server.store.schema import VERSION
from tests.postgres import Cluster

from .hiring import WITHIN_S
from .workbench import NOW, assert_whole, claim_next, evaluation, evidence, start, started

ROLE = "limited"


def sql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO gatewright")
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def limited(postgres: Cluster) -> Iterator[str]:
    """A role that may do nothing yet."""
    postgres.do(f"CREATE ROLE {ROLE} LOGIN")
    yield ROLE
    postgres.do(f"ALTER ROLE {ROLE} RENAME TO gone_{time.monotonic_ns()}")


def test_no_store_is_made_where_one_was_expected(new_database_url: str) -> None:
    with pytest.raises(NotMigrated, match="`gatewright migrate` makes one"):
        open_database(new_database_url)

    assert create_database(new_database_url) is Migration.MADE


def test_a_workers_role_that_is_not_there_is_named_and_no_store_is_made(new_database_url: str) -> None:
    with pytest.raises(StoreUnusable, match="There is no role 'gatewright_wrker'"):
        create_database(new_database_url, worker_role="gatewright_wrker")

    with pytest.raises(NotMigrated):
        open_database(new_database_url)


def test_many_who_make_a_store_at_once_make_one(new_database_url: str) -> None:
    line = Barrier(4)

    def make(_: int) -> Migration:
        line.wait(WITHIN_S)
        return create_database(new_database_url)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))

    assert sorted(made) == [*[Migration.CHECKED] * 3, Migration.MADE]


def test_events_are_asked_for_after_any_position(new_database_url: str) -> None:
    create_database(new_database_url)
    with closing(open_database(new_database_url)) as store:
        started(store)
        for change in (None, "c1"):
            asked = Paging(change=change, after=POSITION_MAX)
            assert store.read(lambda tx, asked=asked: look_back(tx, asked)) == ()  # type: ignore[misc]  # no type


def test_what_others_keep_in_the_same_database_stays_theirs(new_database_url: str) -> None:
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.change (of_theirs text)")

    create_database(new_database_url)

    with closing(open_database(new_database_url)) as store:
        assert store.run(start).id == "c1"


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (f"UPDATE meta SET value = '{VERSION + 1}' WHERE name = 'schema_version'", "by a newer gatewright .* upgrade"),
        ("DROP TABLE opening", "lacks the table opening"),
        ("DELETE FROM meta WHERE name = 'schema_version'", "its version or its secret is gone"),
        ("UPDATE meta SET data = substr(data, 1, 16) WHERE name = 'secret'", "its version or its secret is gone"),
        ("DELETE FROM meta WHERE name = 'secret'", "its version or its secret is gone"),
    ],
)
def test_what_is_not_a_sound_store_of_ours_is_refused_and_left_as_it_is(
    new_database_url: str, harm: str, sentence: str
) -> None:
    create_database(new_database_url)
    sql(new_database_url, harm)

    for refused in (open_database, create_database):
        with pytest.raises(StoreUnusable, match=sentence):
            refused(new_database_url)


def test_data_that_came_from_another_server_is_numbered_on_once_that_was_asked_for(new_database_url: str) -> None:
    """Positions of events begin with the number of a transaction, and a restored server counts from the start."""
    create_database(new_database_url)
    sql(new_database_url, "UPDATE meta SET value = '1000000' WHERE name = 'position_origin'")
    with closing(open_database(new_database_url)) as store:
        started(store, 2)
        newest = store.read(lambda tx: tx.position())
    sql(new_database_url, "UPDATE meta SET value = '0' WHERE name = 'position_origin'")

    with pytest.raises(StoreUnusable, match="came from another server"):
        open_database(new_database_url)
    mended = [create_database(new_database_url), create_database(new_database_url)]

    assert mended == [Migration.RENUMBERED, Migration.CHECKED]
    with closing(open_database(new_database_url)) as store:
        store.run(lambda tx: claim_next(tx, "ada"))
        assert [change for _, change, _ in store.read(lambda tx: tx.events_since(newest, limit=9))] == ["c1"]
        assert_whole(store, "c1")


def test_a_worker_may_judge_and_settle_and_sees_neither_the_secret_nor_tokens(
    new_database_url: str, limited: str
) -> None:
    as_worker = new_database_url.replace("gatewright@", f"{limited}@")
    create_database(new_database_url)
    with closing(open_database(new_database_url)) as store:
        started(store)
        store.run(lambda tx: tx.enqueue(evaluation()))
    with pytest.raises(StoreUnavailable, match="keeps it from this role"):
        open_database(as_worker, is_worker=True)

    create_database(new_database_url, worker_role=limited)

    with closing(open_database(as_worker, is_worker=True)) as store:
        assert store.secret == b""
        assert store.run(lambda tx: tx.start_evaluation("c1.e1", "token", NOW, stale_before=NOW))
        store.run(lambda tx: tx.add_evidence(evidence()))
        store.run(lambda tx: tx.cache_put("key", "value", NOW))
        assert store.run(lambda tx: claim_next(tx, "ada")) == "c1/docs"
        assert store.run(lambda tx: tx.finish_evaluation("c1.e1", "token", NOW))
        assert_whole(store, "c1")
        for hidden in ("SELECT data FROM meta", "SELECT * FROM token", "SELECT * FROM reply", "DELETE FROM change"):
            with pytest.raises(StoreUnavailable, match="does not permit this"):
                store.run(lambda tx, hidden=hidden: tx._cursor.execute(hidden))  # type: ignore[misc]  # no type
    with pytest.raises(StoreUnavailable, match="does not permit this"):
        open_database(as_worker)
