"""The feed says cheaply that somebody committed: never late for ever, never in the way."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from gatewright.server.store import Store

from .conftest import OpenStore
from .opening import ON_SQLITE
from .workbench import start

SOON_S = 1.0
LOOK_EVERY_S = 0.002


def is_told_soon(has_changed: Callable[[], bool]) -> bool:
    """Between machines news travels; in a file it is there at once."""
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if has_changed():
            return True
        time.sleep(LOOK_EVERY_S)
    return False


def test_a_commit_of_anybody_is_told_once(store: Store, open_again: OpenStore) -> None:
    has_changed = store.feed()
    before = has_changed()

    store.run(start)
    after_ours = [has_changed(), has_changed()]
    open_again().run(start)
    after_theirs = [is_told_soon(has_changed), has_changed()]

    assert (before, after_ours, after_theirs) == (False, [True, False], [True, False])


def test_a_read_and_a_transaction_that_was_rolled_back_are_no_news(store: Store) -> None:
    has_changed = store.feed()

    store.read(lambda tx: tx.position())
    with suppress(ZeroDivisionError):
        store.run(lambda tx: [start(tx), 1 / 0])

    assert not has_changed()


def test_two_who_listen_are_both_told(store: Store) -> None:
    feeds = [store.feed(), store.feed()]

    store.run(start)

    assert [has_changed() for has_changed in feeds] == [True, True]


@ON_SQLITE
def test_whoever_holds_the_file_does_not_hold_up_who_asks_and_is_told_of_afterwards(store: Store) -> None:
    """With a rollback journal the end of a commit keeps all readers out. The event loop asks, so it must not wait."""
    has_changed = store.feed()
    with closing(sqlite3.connect(Path(store.place), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO meta VALUES ('a', 'b', NULL)")
        meanwhile = has_changed()
        other.execute("COMMIT")

    assert (meanwhile, has_changed()) == (False, True)


def test_a_feed_whose_store_was_closed_is_silent(store: Store) -> None:
    has_changed = store.feed()

    store.close()

    assert not has_changed()
