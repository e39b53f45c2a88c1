"""A store is whole or not there, and what cannot be trusted is refused in a sentence."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from gatewright.server.store import StoreMissing, StoreUnavailable, StoreUnusable, open_store
from gatewright.server.store.creation import DATABASE_FILE, SECRET, SECRET_BYTES, UNFINISHED_FILE
from gatewright.server.store.schema import VERSION, meta

from .workbench import start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store that was made and used, and is closed."""
    with closing(open_store(tmp_path / "store", create=True)) as store:
        store.run(start)
    return tmp_path / "store"


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def secret_of(folder: Path, *, create: bool = False) -> bytes:
    with closing(open_store(folder, create=create)) as store:
        return store.secret


def test_importing_the_store_imports_no_database_library() -> None:
    program = "import sys, gatewright.server.store as s; sys.exit('sqlalchemy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_store_is_made_where_one_was_expected(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="no gatewright store"):
        open_store(tmp_path / "store", create=False)

    assert list(tmp_path.iterdir()) == []


def test_a_store_is_for_its_owner_alone(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}

    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_a_store_that_became_readable_for_others_is_made_private_again(folder: Path) -> None:
    (folder / DATABASE_FILE).chmod(0o644)

    secret_of(folder)

    assert (folder / DATABASE_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["a b", "what?x=1", "50%25", "#1", "ünï", "a&mode=ro", "'"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    secret = secret_of(tmp_path / name, create=True)

    assert secret_of(tmp_path / name) == secret
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_each_store_has_a_secret_of_its_own_that_stays(folder: Path, tmp_path: Path) -> None:
    secret = secret_of(folder)

    assert len(secret) == SECRET_BYTES
    assert secret_of(folder, create=True) == secret
    assert secret_of(tmp_path / "other", create=True) != secret


def test_the_secret_is_neither_a_setting_nor_in_what_is_shown_or_raised(folder: Path) -> None:
    with closing(open_store(folder, create=False)) as store:
        values = {"name": SECRET, "data": store.secret}

        with pytest.raises(IntegrityError) as caught:
            store.run(lambda tx: tx.connection.execute(insert(meta), values))

        shown = f"{caught.value} {caught.value!r} {store!r}"
        assert str(store.secret)[2:10] not in shown
        assert store.read(lambda tx: tx.meta_get(SECRET)) is None


def test_many_who_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    together = Barrier(4)

    def make(_: int) -> bytes:
        together.wait()
        return secret_of(tmp_path / "store", create=True)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1


def test_a_making_that_was_cut_short_leaves_no_store_and_the_next_one_begins_afresh(tmp_path: Path) -> None:
    """What a kill leaves: half a file under the other name, and its journal."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / UNFINISHED_FILE).write_bytes(b"SQLite format 3\0 and half a page")
    (folder / f"{UNFINISHED_FILE}-journal").write_bytes(b"half a journal")
    with pytest.raises(StoreMissing):
        open_store(folder, create=False)

    secret_of(folder, create=True)

    assert {path.name for path in folder.iterdir()} == {DATABASE_FILE, "state.lock", "state.turn"}


def test_the_journal_of_a_database_that_is_gone_is_not_played_into_a_new_one(folder: Path) -> None:
    (folder / DATABASE_FILE).unlink()
    (folder / f"{DATABASE_FILE}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\xff" * 8_000)

    with closing(open_store(folder, create=True)) as store:
        assert store.run(start).id == "c1"


def test_a_making_that_the_disk_refuses_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="cannot be opened: Not a directory"):
        open_store(tmp_path / "file" / "store", create=True)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_text(path: Path) -> None:
    path.write_text("not a database\n" * 100)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut_short(path: Path) -> None:
    os.truncate(path, 100)


def without_tables(path: Path) -> None:
    path.unlink()
    sql(path.parent, "CREATE TABLE t (x)", "DROP TABLE t")


def foreign(path: Path) -> None:
    path.unlink()
    sql(path.parent, "PRAGMA journal_mode=wal", "CREATE TABLE meta (name, value)", "CREATE TABLE change (id)")


def newer(path: Path) -> None:
    sql(path.parent, "DROP TABLE cache", f"UPDATE meta SET value = '{VERSION + 1}' WHERE name = 'schema_version'")


def without_a_table(path: Path) -> None:
    sql(path.parent, "DROP TABLE opening")


def without_a_version(path: Path) -> None:
    sql(path.parent, "DELETE FROM meta WHERE name = 'schema_version'")


def with_half_a_secret(path: Path) -> None:
    sql(path.parent, "UPDATE meta SET data = substr(data, 1, 16) WHERE name = 'secret'")


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (empty, "is empty"),
        (a_folder, "not a file"),
        (a_text, "is not a database"),
        (cut_short, "is not a database"),
        (without_tables, "not one of gatewright's"),
        (foreign, "not one of gatewright's"),
        (newer, "made by a newer gatewright .* upgrade"),
        (without_a_table, "lacks the table opening"),
        (without_a_version, "its version or its secret is gone"),
        (with_half_a_secret, "its version or its secret is gone"),
    ],
)
def test_what_is_not_a_sound_store_of_ours_is_refused_and_left_as_it_is(
    folder: Path, harm: Callable[[Path], None], sentence: str, create: bool
) -> None:
    path = folder / DATABASE_FILE
    harm(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(StoreUnusable, match=sentence):
        open_store(folder, create=create)

    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_store_from_before_there_were_tokens_gets_their_table_and_keeps_everything(folder: Path) -> None:
    """Regression: it was refused as damaged."""
    secret = secret_of(folder)
    sql(folder, "DROP TABLE token")

    with closing(open_store(folder, create=False)) as store:
        assert store.secret == secret
        assert store.read(lambda tx: tx.tokens(limit=1)) == ()
        assert store.run(start).id == "c2"


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_still_there(folder: Path) -> None:
    with closing(open_store(folder, create=False)) as store:
        store.run(start)
        sql(folder, "UPDATE change SET record = '{\"id\": \"c1\"}' WHERE id = 'c1'")

        with pytest.raises(StoreUnavailable, match="cannot read"):
            store.read(lambda tx: tx.find_change("c1"))

        assert store.read(lambda tx: tx.find_change("c2")) is not None


def test_a_store_that_was_replaced_while_in_use_takes_nothing_more(folder: Path) -> None:
    """Otherwise what is acknowledged would go into a file that nobody finds again."""
    with closing(open_store(folder, create=False)) as store:
        folder.rename(folder.with_name("moved"))
        with pytest.raises(StoreUnavailable, match="moved away or replaced"):
            store.run(start)
        secret_of(folder, create=True)

        with pytest.raises(StoreUnavailable, match="moved away or replaced"):
            store.run(start)
        with pytest.raises(StoreUnavailable, match="moved away or replaced"):
            store.read(lambda tx: tx.position())
