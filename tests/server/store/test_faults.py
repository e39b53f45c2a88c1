"""What goes wrong outside is told in a sentence, loses nothing, and is over when its cause is."""

import fcntl
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from gatewright.server.store import Store, StoreUnavailable, StoreUnusable, open_store, sqlite, write_lock
from gatewright.server.store.tx import Tx

from .conftest import OpenStore
from .hiring import Hire, finish, let_begin
from .opening import ON_SQLITE
from .workbench import NOW, assert_whole, start, started

Remount = Callable[[str], None]
DISK_BYTES = 1_000_000
HAS_ROLLBACK_JOURNAL = sqlite3.sqlite_version_info < sqlite.WAL_SINCE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Remount]]:
    """A file system of a megabyte, and a way to mount it otherwise."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=False)
    if made.returncode != 0:
        pytest.skip("to mount a file system needs more rights than this test has")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)

    try:
        yield disk, remount
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def start_until_refused(store: Store) -> tuple[list[str], str]:
    ids: list[str] = []
    while True:
        try:
            ids.append(store.run(start).id)
        except StoreUnavailable as exc:
            return ids, str(exc)


def test_a_full_disk_loses_nothing_and_when_there_is_room_again_it_goes_on(small_disk: tuple[Path, Remount]) -> None:
    disk, _ = small_disk
    with closing(open_store(disk / "store", create=True)) as store:
        filler = disk / "filler"
        filler.write_bytes(b"x" * (DISK_BYTES - 400_000))
        ids, sentence = start_until_refused(store)
        again = start_until_refused(store)
        filler.unlink()
        after = store.run(start)

        assert "The disk is full" in sentence
        assert again == ([], sentence)
        assert after.id == f"c{len(ids) + 1}"
        for name in (*ids, after.id):
            assert_whole(store, name)


@pytest.mark.slow
@ON_SQLITE
def test_a_file_that_may_not_grow_loses_nothing(store: Store, hire: Hire) -> None:
    worker = hire("overflow", str(Path(store.place).stat().st_size + 100_000))
    let_begin(worker)

    *ids, last = finish(worker)

    assert last.startswith("unavailable: The disk failed to read or write")
    assert len(ids) > 3
    for name in ids:
        assert_whole(store, name)
    assert store.run(start).id == f"c{len(ids) + 1}"


@pytest.mark.skipif(not HAS_ROLLBACK_JOURNAL, reason="a write-ahead log cannot be read there, which is told on opening")
def test_a_read_only_disk_is_read_and_not_written(small_disk: tuple[Path, Remount]) -> None:
    disk, remount = small_disk
    with closing(open_store(disk / "store", create=True)) as store:
        store.run(start)
    remount("ro")

    with closing(open_store(disk / "store", create=False)) as store:
        assert store.read(lambda tx: tx.find_change("c1")) is not None
        with pytest.raises(StoreUnavailable, match="Read-only file system"):
            store.run(start)
        remount("rw")
        with closing(open_store(disk / "store", create=False)) as again:
            assert again.run(start).id == "c2"


@ON_SQLITE
def test_a_lock_that_is_held_too_long_is_told_and_works_when_it_is_free(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_lock, "LOCK_TIMEOUT_S", 0.05)
    holder = os.open(Path(store.place).with_name(write_lock.LOCK_FILE), os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="writing to the store for too long"):
            store.run(start)

    assert store.read(lambda tx: tx.find_change("c1")) is None
    os.close(holder)
    monkeypatch.undo()

    assert store.run(start).id == "c1"


@ON_SQLITE
def test_another_program_that_keeps_the_database_is_told_and_works_when_it_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITE_BUSY_TIMEOUT_MS", 10)
    with closing(sqlite3.connect(Path(store.place), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="Another program has held"):
            store.run(start)
        if HAS_ROLLBACK_JOURNAL:
            with pytest.raises(StoreUnavailable, match="Another program has held"):
                store.read(lambda tx: tx.position())

    assert store.run(start).id == "c1"


@pytest.mark.skipif(not HAS_ROLLBACK_JOURNAL, reason="with a write-ahead log readers are in nobody's way")
@ON_SQLITE
def test_a_commit_that_readers_are_in_the_way_of_is_done_anew_and_has_one_effect(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITE_BUSY_TIMEOUT_MS", 10)
    calls: list[str] = []
    with closing(sqlite3.connect(Path(store.place), isolation_level=None)) as reader:

        def work(tx: Tx) -> str:
            if not calls:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM meta").fetchall()
            else:
                reader.execute("COMMIT")
            calls.append(start(tx).id)
            return calls[-1]

        assert store.run(work) == "c1"

    assert calls == ["c1", "c1"]
    assert store.read(lambda tx: len(tx.changes(limit=9))) == 1


@ON_SQLITE
def test_a_damaged_page_is_told_and_is_no_reason_to_die(open_again: OpenStore) -> None:
    store = open_again()
    started(store, 30)
    store.run(lambda tx: tx.cache_put("key", "x" * 50_000, NOW))
    store.close()
    size = Path(store.place).stat().st_size
    with Path(store.place).open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * (size - 8 * 4096))

    with pytest.raises((StoreUnusable, StoreUnavailable), match=r"damaged|not a database"):
        open_again().read(lambda tx: [tx.changes(limit=99), tx.events_since(0, limit=999), tx.cache_get("key")])


@ON_SQLITE
def test_eight_threads_read_with_fewer_connections_while_another_writes(store: Store) -> None:
    started(store)
    together = Barrier(9)

    def read_often(_: int) -> bool:
        together.wait()
        return all(
            store.read(lambda tx: tx.position() == sum(1 for _ in tx.events_since(0, limit=9_999))) for _ in range(20)
        )

    def write_often() -> None:
        together.wait()
        for _ in range(20):
            store.run(start)

    with ThreadPoolExecutor(9) as pool:
        writing = pool.submit(write_often)
        assert all(pool.map(read_often, range(8)))
        writing.result()

    assert store.read(lambda tx: len(tx.changes(limit=99))) == 21


def test_too_many_readers_at_once_are_told_after_a_bounded_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CONNECTION_TIMEOUT_S", 0.05)
    with closing(open_store(tmp_path / "store", create=True)) as store:

        def read_within(depth: int) -> None:
            store.read(lambda tx: read_within(depth - 1) if depth else None)

        read_within(sqlite.CONNECTIONS_MAX - 1)
        with pytest.raises(StoreUnavailable, match="Too much is being done at once"):
            read_within(sqlite.CONNECTIONS_MAX)

        read_within(0)


@ON_SQLITE
def test_an_error_of_the_work_itself_is_not_dressed_up(store: Store) -> None:
    """A broken invariant is our bug, and an OSError of something else is not the disk under the store."""
    for error in (OSError("of something else"), AssertionError("ours"), sqlite3.ProgrammingError("ours")):

        def work(tx: Tx, error: Exception = error) -> None:
            start(tx)
            raise error

        with pytest.raises(type(error)):
            store.run(work)

    assert store.run(start).id == "c1"
