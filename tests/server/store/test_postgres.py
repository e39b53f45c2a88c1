"""What only PostgreSQL has: many who write at the same time, and a server that is not always there."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from threading import Barrier, Event

import psycopg
import pytest

from gatewright.gates.machine.commands import Because, Claim, Release, Renew
from gatewright.server.operations.repeating import Request, once
from gatewright.server.store import PassedTree, Store, StoreUnavailable, open_database, postgres, postgres_feed
from gatewright.server.store.tx import Tx
from tests.postgres import Cluster

from .conftest import OpenStore
from .hiring import WITHIN_S
from .opening import ON_POSTGRES
from .workbench import NOW, assert_whole, do, start, started

pytestmark = ON_POSTGRES
THREADS = 6
LOOK_EVERY_S = 0.005


def together(store: Store, *works: Callable[[Tx], object]) -> list[object]:
    """What each of these transactions returned, all begun at the same moment."""
    line = Barrier(len(works))

    def one(work: Callable[[Tx], object]) -> object:
        line.wait(WITHIN_S)
        return store.run(work)

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def wait_until(is_so: Callable[[], bool], within_s: float = WITHIN_S) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def is_waited_for(url: str) -> bool:
    """Whether some transaction waits for another one."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return found is not None and found[0] > 0


def test_everything_on_one_change_is_serial(store: Store) -> None:
    """The change's row is locked before it is read: else whoever is second would write over the first."""
    started(store)
    before = store.run(lambda tx: do(tx, "c1", Claim("code", "ada", "ada")))

    together(store, *[lambda tx: [do(tx, "c1", Renew("code", 1)) for _ in range(5)]] * THREADS)

    after = store.read(lambda tx: tx.find_change("c1"))
    assert after is not None
    assert after.version == before.version + 5 * THREADS
    assert_whole(store, "c1")


def test_changes_that_are_started_at_once_are_numbered_without_a_gap(store: Store) -> None:
    records = together(store, *[start] * THREADS)

    ids = store.read(lambda tx: tx.change_ids(after=0, limit=99))
    assert ids == tuple(f"c{number}" for number in range(1, THREADS + 1))
    assert len({str(record) for record in records}) == THREADS


def test_one_request_that_arrives_at_several_servers_at_once_has_one_effect(
    store: Store, open_again: OpenStore
) -> None:
    """Invariant I8, where the first has not committed when the others look: they are told the same, and not refused."""
    started(store)
    store.run(lambda tx: do(tx, "c1", Claim("code", "ada", "ada")))
    request = Request("ada", "release_stage", {"stage": "code"}, "key")
    stores = [store, open_again(), open_again()]
    line = Barrier(THREADS)

    def arrive(number: int) -> object:
        line.wait(WITHIN_S)
        return stores[number % 3].run(lambda tx: once(tx, request, NOW, lambda: let_go(tx)))

    def let_go(tx: Tx) -> dict[str, object]:
        return {"version": do(tx, "c1", Release("code", 1, Because.DONE_FOR_NOW, "done")).version}

    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(arrive, range(THREADS)))

    record = store.read(lambda tx: tx.find_change("c1"))
    assert record is not None
    assert told == [{"version": record.version}] * THREADS


def test_two_who_write_the_same_new_row_at_once_both_succeed_and_the_first_one_stays(store: Store) -> None:
    def keep(tx: Tx, change: str) -> None:
        tx.add_passed_tree(PassedTree("t" * 40, "policy", change, f"{change}.e1", "a" * 40, NOW))
        tx.cache_put("key", change, NOW)

    together(store, *[partial(keep, change=f"c{number}") for number in range(THREADS)])

    (kept,) = store.read(lambda tx: tx.passed_trees("t" * 40))
    assert kept.change in {f"c{number}" for number in range(THREADS)}


def test_settings_are_changed_one_after_the_other(store: Store) -> None:
    """As the register of people is: read, added to, and written as a whole."""

    def add(tx: Tx, name: str) -> None:
        known = tx.meta_get("people") or ""
        tx.meta_set("people", known + name)

    together(store, *[partial(add, name=name) for name in "abcdef"])

    assert sorted(store.read(lambda tx: tx.meta_get("people") or "")) == sorted("abcdef")


def test_a_deadlock_is_nobodys_end(store: Store) -> None:
    started(store, 2)
    line = Barrier(2)
    is_first = {"c1": True, "c2": True}

    def lock_both(tx: Tx, mine: str, other: str) -> None:
        do(tx, mine, Claim("code", "ada", "ada"))
        if is_first.pop(mine, False):
            line.wait(WITHIN_S)
        do(tx, other, Claim("docs", "ada", "ada"))

    together(store, partial(lock_both, mine="c1", other="c2"), partial(lock_both, mine="c2", other="c1"))

    for change in ("c1", "c2"):
        assert_whole(store, change)
    assert store.read(lambda tx: tx.openings(NOW, limit=9)) == ()


def test_what_somebody_is_writing_to_is_passed_over_at_once_and_waited_for_when_it_is_wanted(
    store: Store, address: str
) -> None:
    started(store, 2)
    is_inside, may_end = Event(), Event()

    def hold(tx: Tx) -> None:
        do(tx, "c1", Claim("code", "ada", "ada"))
        is_inside.set()
        assert may_end.wait(WITHIN_S)

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(store.run, hold)
        assert is_inside.wait(WITHIN_S)
        free = store.run(lambda tx: tx.free_opening(NOW))
        others = store.run(lambda tx: tx.free_opening(NOW, change="c1"))
        waiting = pool.submit(store.run, lambda tx: tx.find_change("c1"))
        assert wait_until(lambda: is_waited_for(address))
        may_end.set()
        holding.result(WITHIN_S)
        found = waiting.result(WITHIN_S)

    assert others is None
    assert free is not None
    assert (free[0].change, free[1].id) == ("c2", "c2")
    assert found is not None
    assert found.stage("code").lease is not None


def test_whoever_reads_all_events_misses_none_that_is_committed_later_than_it_was_begun(store: Store) -> None:
    """Transactions commit in another order than they begin in; a reader goes on after the last position it saw."""
    started(store, 2)
    seen = store.read(lambda tx: tx.position())
    is_inside, may_end = Event(), Event()

    def slow(tx: Tx) -> None:
        do(tx, "c1", Claim("code", "ada", "ada"))
        is_inside.set()
        assert may_end.wait(WITHIN_S)

    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(store.run, slow)
        assert is_inside.wait(WITHIN_S)
        store.run(lambda tx: do(tx, "c2", Claim("code", "bob", "bob")))
        meanwhile = store.read(lambda tx: (tx.events_since(seen, limit=9), tx.position()))
        own = store.read(lambda tx: tx.events_since(seen, change="c2", limit=9))
        may_end.set()
        under_way.result(WITHIN_S)

    assert meanwhile == ((), seen)
    assert [change for _, change, _ in own] == ["c2"]
    assert [change for _, change, _ in store.read(lambda tx: tx.events_since(seen, limit=9))] == ["c1", "c2"]


def test_a_server_that_is_restarted_in_the_middle_is_told_and_works_when_it_is_back(
    store: Store, postgres: Cluster
) -> None:
    started(store)
    calls: list[int] = []

    def work(tx: Tx) -> None:
        start(tx)
        calls.append(1)
        postgres.stop()
        tx.position()

    try:
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.run(work)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.read(lambda tx: tx.position())
    finally:
        postgres.start()

    assert store.read(lambda tx: tx.change_ids(after=0, limit=9)) == ("c1",)
    assert store.run(start).id == "c2"


def test_nobody_notices_a_restart_between_two_transactions(store: Store, postgres: Cluster) -> None:
    """Every connection that was kept is dead then."""
    with ThreadPoolExecutor(4) as pool:
        line = Barrier(4)
        list(pool.map(lambda _: store.read(lambda tx: line.wait(WITHIN_S)), range(4)))
    postgres.restart()

    assert store.run(start).id == "c1"
    assert [store.read(lambda tx: tx.position()) > 0 for _ in range(4)] == [True] * 4


def test_a_connection_that_ends_before_the_commit_is_no_loss(store: Store, address: str) -> None:
    calls: list[int] = []

    def work(tx: Tx) -> str:
        calls.append(1)
        change = start(tx).id
        if len(calls) == 1:
            end_connection(tx, address)
            tx.position()
        return change

    assert (store.run(work), len(calls)) == ("c1", 2)


def test_a_connection_that_ends_with_the_commit_is_told_and_nothing_is_done_twice(store: Store, address: str) -> None:
    """It may have been kept: the same again would have two effects, unless it is asked for under the same key."""
    calls: list[int] = []

    def work(tx: Tx) -> None:
        calls.append(1)
        start(tx)
        end_connection(tx, address)

    with pytest.raises(StoreUnavailable, match="whether it was kept is unknown"):
        store.run(work)

    assert calls == [1]
    assert store.run(start).id == "c1"


def end_connection(tx: Tx, address: str) -> None:
    """As the server's end, or somebody with a cable in their hand, does."""
    pid = tx.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with psycopg.connect(address) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)


def test_whoever_stops_in_the_middle_keeps_nobody_waiting_for_long(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped holds its locks until its connection is ended for it."""
    monkeypatch.setitem(postgres.SETTINGS, "idle_in_transaction_session_timeout", "100")
    with closing(open_database(address)) as store:
        started(store)
        is_over = Event()
        calls: list[int] = []

        def stop(tx: Tx) -> None:
            do(tx, "c1", Claim("code", "ada", "ada"))
            calls.append(1)
            if len(calls) == 1:
                assert is_over.wait(WITHIN_S)

        with ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(store.run, stop)
            assert wait_until(lambda: bool(calls))
            store.run(lambda tx: do(tx, "c1", Claim("docs", "bob", "bob")))
            is_over.set()
            # What it did is gone, and on top of what the other one did it is done anew; or it was told.
            with suppress(StoreUnavailable):
                stopped.result(WITHIN_S)

        assert_whole(store, "c1")


def test_a_lock_that_is_held_too_long_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres.SETTINGS, "lock_timeout", "50")
    with closing(open_database(address)) as store:
        started(store)

        def hold(tx: Tx) -> None:
            do(tx, "c1", Claim("code", "ada", "ada"))
            with pytest.raises(StoreUnavailable, match="has been writing to the same change"):
                store.run(lambda inner: inner.find_change("c1"))

        store.run(hold)

        assert store.run(lambda tx: tx.find_change("c1")) is not None


def test_too_many_readers_at_once_are_told_after_a_bounded_wait(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "CONNECTION_TIMEOUT_S", 0.05)
    monkeypatch.setattr(postgres, "CONNECTIONS_MAX", 3)
    with closing(open_database(address)) as store:

        def read_within(depth: int) -> None:
            store.read(lambda tx: read_within(depth - 1) if depth else None)

        read_within(2)
        with pytest.raises(StoreUnavailable, match="Too much is being done at once"):
            read_within(3)

        read_within(0)


def test_whoever_reads_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="can only be read"):
        store.read(lambda tx: tx.meta_set("name", "value"))


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is notified, as when a server is killed after the commit and before it could tell."""

    def forget(feed: postgres_feed.Feed, _: object) -> None:
        feed._has_to_tell = False

    monkeypatch.setattr(postgres_feed.Feed, "_notify", forget)
    monkeypatch.setattr(postgres_feed, "POLL_S", 0.05)


@pytest.mark.usefixtures("deaf")
def test_news_that_could_not_be_told_is_found(store: Store, open_again: OpenStore) -> None:
    has_changed = store.feed()

    open_again().run(start)

    assert wait_until(has_changed, within_s=5)


def test_whoever_commits_and_ends_has_told_and_keeps_nobody_waiting(store: Store, open_again: OpenStore) -> None:
    """As each command of the command line does."""
    has_changed = store.feed()
    begun = time.monotonic()

    for _ in range(5):
        other = open_again()
        other.run(start)
        other.close()
        assert wait_until(has_changed, within_s=1)

    assert time.monotonic() - begun < postgres_feed.END_WITHIN_S


def test_two_servers_wake_each_other_also_after_a_restart_of_the_database(
    store: Store, open_again: OpenStore, postgres: Cluster
) -> None:
    one, two = store, open_again()
    feeds = {one: one.feed(), two: two.feed()}
    postgres.restart()
    # What happened while nobody listened is unknown, so each is told once that something may have.
    assert all(wait_until(has_changed) for has_changed in feeds.values())

    for here, there in ((one, two), (two, one)):
        here.run(start)
        assert wait_until(feeds[there], within_s=2)


def test_the_clock_goes_on_while_the_database_is_away_and_follows_it_when_it_is_set(
    store: Store, postgres: Cluster
) -> None:
    """NOW is in the past, and what a server without any knowledge of the time would go by."""
    clock = store.clock(lambda: NOW)
    before = clock()
    postgres.stop()
    try:
        meanwhile = clock()
    finally:
        postgres.start()

    assert before <= meanwhile <= before + timedelta(seconds=WITHIN_S)
    store._database._feed._time = (NOW, time.monotonic())  # type: ignore[attr-defined]  # as if it had been set
    assert wait_until(lambda: clock() > before, within_s=10)


def test_nothing_that_is_said_or_logged_holds_the_password_or_the_secret(
    store: Store, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = address.replace("gatewright@", "nobody:s3cret@").replace("host=", "sslmode=disable&host=")

    with pytest.raises(StoreUnavailable) as caught:
        open_database(wrong)
    with pytest.raises(psycopg.errors.UniqueViolation) as broken:
        store.run(lambda tx: tx._cursor.execute("INSERT INTO meta (name, data) VALUES ('secret', %s)", (store.secret,)))

    shown = f"{caught.value!r} {caught.value.__cause__!r} {broken.value!r} {store!r} {vars(store)!r} {caplog.text}"
    assert "no such database or role" in str(caught.value)
    for hidden in ("s3cret", store.secret.hex()):
        assert hidden not in shown.replace(repr(store.secret), "")
