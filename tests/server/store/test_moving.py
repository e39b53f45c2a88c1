"""A store is brought into PostgreSQL with nothing lost, or not at all."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gatewright.gates.machine.commands import Because, Claim, Release
from gatewright.server.store import (
    Purpose,
    StoreMissing,
    StoreUnavailable,
    StoreUnusable,
    TokenRow,
    create_database,
    moving,
    open_database,
    open_store,
)
from gatewright.server.store.creation import DATABASE_FILE
from gatewright.server.store.moving import move_store, take_back
from gatewright.server.store.tx import Tx

from .workbench import LATER, NOW, REPLY, assert_whole, claim_next, do, evaluation, evidence, start

Said = Callable[[str], None]


def silent(_: str) -> None:
    """Nobody looks."""


def fill(tx: Tx) -> None:
    """Something in every table."""
    for _ in range(3):
        start(tx)
    do(tx, "c2", Claim("code", "ada", "ada"))
    do(tx, "c2", Release("code", 1, Because.NEEDS_DECISION, "Which way? \N{SNOWMAN} \\ \t \n %s {}"))
    claim_next(tx, "bob")
    tx.enqueue(evaluation("c1.d1", purpose=Purpose.DRY))
    tx.add_evidence(evidence())
    tx.add_reply("ada", "a key \0 of an agent", REPLY, NOW)
    tx.cache_put("key", "value", NOW)
    tx.meta_set("target", "main")
    tx.add_token(TokenRow("ab" * 32, "tk-abab", "ada", ("work",), NOW, "person:ann", LATER))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(open_store(tmp_path / "store", create=True)) as store:
        store.run(fill)
    return tmp_path / "store"


def told(tx: Tx) -> object:
    """What a store says of itself."""
    return (
        tx.changes(limit=9),
        [tx.events(change, limit=99) for change in ("c1", "c2", "c3")],
        tx.events_since(0, limit=99),
        tx.openings(LATER, limit=9),
        tx.changes_maybe_awaited(after=0, limit=9),
        tx.find_evaluation("c1.d1"),
        tx.evidence_of("c1.e1"),
        tx.find_reply("ada", "a key \0 of an agent"),
        (tx.cache_get("key"), tx.meta_get("target"), tx.tokens(limit=9)),
    )


def dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        return list(database.iterdump())


def rows_in(url: str) -> int:
    """How many changes there are, of a store or of none."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('gatewright.change')").fetchone()
        if found == (None,):
            return 0
        counted = connection.execute("SELECT count(*) FROM gatewright.change").fetchone()
        assert counted is not None
        return int(counted[0])


def test_everything_arrives_and_goes_on_from_there(folder: Path, new_database_url: str) -> None:
    with closing(open_store(folder, create=False)) as before:
        secret, expected, position = before.secret, before.read(told), before.read(lambda tx: tx.position())

    moved = move_store(folder, new_database_url, silent)

    assert (moved.changes, moved.rows["change"], moved.rows["token"]) == (3, 3, 1)
    with closing(open_database(new_database_url)) as after:
        assert after.secret == secret
        assert after.read(told) == expected
        assert after.run(start).id == "c4"
        after.run(lambda tx: tx.add_evidence(evidence("style")))
        assert_whole(after, "c4")
        assert after.read(lambda tx: tx.position()) > position


def test_what_was_moved_is_not_written_to_any_more_not_even_by_who_has_it_open(
    folder: Path, new_database_url: str
) -> None:
    """Else two would go on from the same store, each with a truth of its own."""
    with closing(open_store(folder, create=False)) as still_open:
        move_store(folder, new_database_url, silent)

        with pytest.raises(StoreUnavailable, match="was moved into a database"):
            still_open.run(start)
    with pytest.raises(StoreUnusable, match="was moved to PostgreSQL's database"):
        open_store(folder, create=True)


def test_what_was_moved_can_be_taken_back_as_it_was(folder: Path, new_database_url: str) -> None:
    move_store(folder, new_database_url, silent)

    take_back(folder)

    with closing(open_store(folder, create=False)) as store:
        assert store.run(start).id == "c4"
    with pytest.raises(StoreUnusable, match="in use"):
        move_store(folder, new_database_url, silent)


@pytest.mark.parametrize("step", ["copying evidence", "comparing reply", "replaying the changes from c1 on"])
def test_a_move_that_is_cut_short_leaves_the_file_as_it_was_and_the_database_empty(
    folder: Path, new_database_url: str, step: str
) -> None:
    before = dump(folder)

    def cut(said: str) -> None:
        if said == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_store(folder, new_database_url, cut)

    assert dump(folder) == before
    assert rows_in(new_database_url) == 0
    assert move_store(folder, new_database_url, silent).changes == 3


def test_a_database_that_is_in_use_takes_no_second_store(folder: Path, new_database_url: str) -> None:
    create_database(new_database_url)
    with closing(open_database(new_database_url)) as store:
        store.run(start)
    before = dump(folder)

    with pytest.raises(StoreUnusable, match="holds a store that is in use"):
        move_store(folder, new_database_url, silent)

    assert dump(folder) == before


def test_what_arrives_otherwise_than_it_was_sent_is_not_kept(
    folder: Path, new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(folder)
    monkeypatch.setattr(moving, "_kept", lambda value: value.upper() if isinstance(value, str) else value)

    with pytest.raises(StoreUnusable, match="is not what was sent"):
        move_store(folder, new_database_url, silent)

    assert (dump(folder), rows_in(new_database_url)) == (before, 0)


def test_a_record_that_is_not_what_its_events_make_of_it_is_not_moved(folder: Path, new_database_url: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database, database:
        database.execute("""UPDATE change SET record = replace(record, '"title":"title"', '"title":"other"')""")

    with pytest.raises(StoreUnavailable, match="c1 is not what its events make of it"):
        move_store(folder, new_database_url, silent)

    assert rows_in(new_database_url) == 0


def test_where_there_is_nothing_to_move_or_nowhere_to_move_it_nothing_is_made(
    folder: Path, tmp_path: Path, new_database_url: str
) -> None:
    before = dump(folder)

    with pytest.raises(StoreMissing):
        move_store(tmp_path / "elsewhere", new_database_url, silent)
    with pytest.raises(StoreUnavailable, match="no such database or role"):
        move_store(folder, new_database_url.replace("?", "_not?"), silent)

    assert rows_in(new_database_url) == 0
    assert dump(folder) == before


def test_nobody_writes_while_a_store_is_moved(folder: Path, new_database_url: str) -> None:
    """What was acknowledged in between would be lost."""
    from gatewright.server.store import write_lock

    tried: list[str] = []

    def try_to_write(said: str) -> None:
        with pytest.MonkeyPatch.context() as patch, closing(open_store(folder, create=False)) as other:
            patch.setattr(write_lock, "LOCK_TIMEOUT_S", 0.01)
            with pytest.raises(StoreUnavailable, match="has been writing"):
                other.run(start)
        tried.append(said)

    move_store(folder, new_database_url, try_to_write)

    assert len(tried) > 3
