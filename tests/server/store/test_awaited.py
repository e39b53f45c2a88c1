"""What waits for people is found without reading all that does not (our decision: benchmarks/bench_steady.py)."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite

from gatewright.gates.machine.commands import Because, Cancel, Claim, Release
from gatewright.server.store import Store
from gatewright.server.store import changes as changes_part
from gatewright.server.store.tx import Tx

from .opening import ON_SQLITE
from .workbench import do, start


@pytest.fixture
def changes(store: Store) -> tuple[str, str, str]:
    """One that waits for nobody, one with a stage that a person is asked about, and a cancelled one that was asked."""

    def make(tx: Tx) -> tuple[str, str, str]:
        quiet, asked, over = (start(tx).id for _ in range(3))
        for change in (asked, over):
            do(tx, change, Claim("code", "ada", "ada"))
            do(tx, change, Release("code", 1, Because.NEEDS_DECISION, "Which way?"))
        do(tx, over, Cancel("eve", "Not wanted."))
        return quiet, asked, over

    return store.run(make)


def test_only_active_changes_that_may_wait_for_people_are_read(store: Store, changes: tuple[str, str, str]) -> None:
    _, asked, _ = changes

    found = store.read(lambda tx: tx.changes_maybe_awaited(after=0, limit=10))

    assert [record.id for record in found] == [asked]


def test_a_page_goes_on_after_the_last_one(store: Store, changes: tuple[str, str, str]) -> None:
    _, asked, _ = changes

    found = store.read(lambda tx: tx.changes_maybe_awaited(after=int(asked[1:]), limit=10))

    assert found == ()


@ON_SQLITE
def test_what_waits_is_found_by_an_index_of_that_alone(store: Store, changes: tuple[str, str, str]) -> None:
    """SQLite uses it only where the condition is written as in the index, word for word."""
    text, values = changes_part._MAYBE_AWAITED.on(sqlite.dialect(), {"after": 0, "most": 10})

    with closing(sqlite3.connect(Path(store.place))) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", values)]

    assert plan == ["SEARCH change USING INDEX change_awaited (number>?)"]


@ON_SQLITE
def test_a_store_that_was_made_without_the_index_answers_the_same(store: Store, changes: tuple[str, str, str]) -> None:
    _, asked, _ = changes
    with closing(sqlite3.connect(Path(store.place), isolation_level=None)) as database:
        database.execute("DROP INDEX change_awaited")

    found = store.read(lambda tx: tx.changes_maybe_awaited(after=0, limit=10))

    assert [record.id for record in found] == [asked]
