"""What every store promises, whatever database it stands on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gatewright.gates.machine.commands import Claim
from gatewright.gates.machine.evolve import replay
from gatewright.schemas.records import ChangeState
from gatewright.server.store import PassedTree, Store, StoredReply
from gatewright.server.store.cache import CACHE_ROWS_MAX
from gatewright.server.store.tx import Tx

from .conftest import OpenStore
from .workbench import LATER, NOW, REPLY, RULE_BROKEN, claim_next, do, evaluation, evidence, start, started, write_each

SECOND = timedelta(seconds=1)


class Stop(Exception):
    """Raised in the middle of a transaction."""


def test_what_a_transaction_wrote_is_there_for_everybody_when_it_returned(store: Store, open_again: OpenStore) -> None:
    record = store.run(start)

    assert open_again().read(lambda tx: tx.find_change("c1")) == record


def test_an_exception_in_the_middle_leaves_nothing_of_the_transaction(store: Store) -> None:
    def work(tx: Tx) -> None:
        start(tx)
        tx.enqueue(evaluation())
        tx.add_evidence(evidence())
        tx.add_reply("ada", "key", REPLY, NOW)
        tx.cache_put("key", "value", NOW)
        tx.meta_set("target", "main")
        raise Stop

    with pytest.raises(Stop):
        store.run(work)

    def left(tx: Tx) -> tuple[object, ...]:
        kept = (tx.find_change("c1"), tx.find_evaluation("c1.e1"), tx.find_reply("ada", "key"), tx.cache_get("key"))
        return (*kept, tx.meta_get("target"), tx.position(), *tx.evidence_of("c1.e1"), *tx.openings(LATER, limit=9))

    assert store.read(left) == (None, None, None, None, None, 0)


def test_changes_are_numbered_from_one_and_an_id_that_was_not_used_is_given_again(store: Store) -> None:
    def give_up(tx: Tx) -> None:
        start(tx)
        raise Stop

    first = store.run(start)
    with pytest.raises(Stop):
        store.run(give_up)
    second = store.run(start)

    assert (first.id, second.id) == ("c1", "c2")


def test_replaying_a_changes_events_gives_its_record_and_no_number_is_missing(store: Store) -> None:
    """Invariant I9."""
    started(store)
    record = store.run(lambda tx: do(tx, "c1", Claim("code", "ada", "ada")))

    events = store.read(lambda tx: tx.events("c1", limit=99))

    assert [number for number, _ in events] == list(range(1, record.version + 1))
    assert replay([event for _, event in events]) == record == store.read(lambda tx: tx.find_change("c1"))


def test_events_are_read_in_pages_of_one_change_and_of_all(store: Store) -> None:
    started(store, 2)
    whole = store.read(lambda tx: tx.events("c2", limit=99))
    everything = store.read(lambda tx: tx.events_since(0, limit=99))

    page = store.read(lambda tx: tx.events("c2", after=1, limit=1))
    rest = store.read(lambda tx: tx.events_since(everything[1][0], limit=99))

    assert page == whole[1:2]
    assert rest == everything[2:]
    assert [change for _, change, _ in everything] == ["c1"] * len(whole) + ["c2"] * len(whole)
    assert store.read(lambda tx: tx.position()) == store.read(lambda tx: tx.position("c2")) == everything[-1][0]


def test_a_record_that_does_not_follow_the_stored_one_is_a_defect_and_writes_nothing(store: Store) -> None:
    record = store.run(start)
    (_, event), *_ = store.read(lambda tx: tx.events("c1", limit=1))
    position = store.read(lambda tx: tx.position())

    for wrong in (replace(record, version=record.version), replace(record, version=record.version + 2)):
        with pytest.raises(AssertionError, match="was not at version"):
            store.run(partial(Tx.save, record=wrong, events=[event]))

    assert store.read(lambda tx: (tx.find_change("c1"), tx.position())) == (record, position)


REWRITING = {"sqlite": "INSERT OR REPLACE INTO {0} SELECT * FROM {0}", "postgres": "TRUNCATE {0} CASCADE"}


@pytest.mark.parametrize("table", ["event", "evidence"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET change = change", None])
def test_history_cannot_be_rewritten_not_even_by_us(store: Store, kind: str, table: str, statement: str | None) -> None:
    started(store)
    store.run(lambda tx: tx.add_evidence(evidence()))

    with pytest.raises(RULE_BROKEN, match="append-only"):
        store.run(lambda tx: tx.connection.exec_driver_sql((statement or REWRITING[kind]).format(table)))

    assert store.read(lambda tx: tx.evidence_of("c1.e1")) == (evidence(),)


def test_evidence_of_one_gate_is_given_once(store: Store) -> None:
    write_each(store, Tx.add_evidence, [evidence("tests"), evidence("style")])

    with pytest.raises(RULE_BROKEN):
        store.run(lambda tx: tx.add_evidence(evidence("style")))

    assert [item.evidence.gate for item in store.read(lambda tx: tx.evidence_of("c1.e1"))] == ["tests", "style"]


def test_changes_are_listed_by_state_from_either_end(store: Store) -> None:
    started(store, 3)

    def ids(tx: Tx) -> list[list[str]]:
        asked = [
            tx.changes(limit=2),
            tx.changes([ChangeState.ACTIVE, ChangeState.LANDED], limit=2, newest_first=False),
            tx.changes([ChangeState.LANDED], limit=2),
            tx.changes([], limit=2),
            tx.changes_before(3, [ChangeState.ACTIVE], limit=1),
            tx.changes_before(3, [ChangeState.ACTIVE], limit=9),
            tx.changes_before(3, [ChangeState.LANDED], limit=9),
            tx.changes_before(1, [ChangeState.ACTIVE], limit=9),
        ]
        return [[record.id for record in records] for records in asked]

    assert store.read(ids) == [["c3", "c2"], ["c1", "c2"], [], [], ["c2"], ["c2", "c1"], [], []]
    assert store.read(lambda tx: tx.count_changes([ChangeState.ACTIVE, ChangeState.LANDED])) == 3


def test_the_oldest_change_is_opened_first_and_in_it_the_stage_furthest_on(store: Store) -> None:
    started(store, 2)

    found = store.read(lambda tx: tx.openings(NOW, limit=3))

    assert [(opening.change, opening.stage) for opening in found] == [("c1", "docs"), ("c1", "code"), ("c2", "docs")]


def test_openings_are_asked_for_by_change_stage_and_role(store: Store) -> None:
    started(store, 2)

    def names(tx: Tx) -> list[list[str]]:
        asked = [tx.openings(NOW, change="c2", limit=9), tx.openings(NOW, stage="code", limit=9)]
        asked += [tx.openings(NOW, role="coder", limit=9), tx.openings(NOW, change="c2", role="tester", limit=9)]
        return [[f"{opening.change}/{opening.stage}" for opening in found] for found in asked]

    assert store.read(names) == [["c2/docs", "c2/code"], ["c1/code", "c2/code"], ["c1/code", "c2/code"], []]


def test_a_claimed_stage_is_an_opening_again_when_its_lease_ends(store: Store) -> None:
    started(store)
    store.run(lambda tx: claim_next(tx, "ada"))

    def open_at(tx: Tx) -> list[list[str]]:
        return [[opening.stage for opening in tx.openings(now, limit=9)] for now in (LATER - SECOND, LATER)]

    assert store.read(open_at) == [["code"], ["docs", "code"]]
    assert store.read(lambda tx: (tx.next_expiry(NOW), tx.next_expiry(LATER))) == (LATER, None)


def test_one_key_of_one_principal_has_one_effect(store: Store) -> None:
    """Invariant I8."""
    write_each(store, lambda tx, who: tx.add_reply(who, "key", REPLY, NOW), ("ada", "bob"))

    def again(tx: Tx) -> None:
        start(tx)
        tx.add_reply("ada", "key", StoredReply("other", "{}"), NOW)

    with pytest.raises(RULE_BROKEN):
        store.run(again)

    assert store.read(lambda tx: (tx.find_reply("ada", "key"), tx.find_change("c1"))) == (REPLY, None)


def test_the_cache_keeps_the_newest_of_a_key_and_lets_the_oldest_keys_go(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for number in range(CACHE_ROWS_MAX):
            tx.cache_put(f"key-{number}", "old", NOW + number * SECOND)
        tx.cache_put("key-0", "new", LATER)
        tx.cache_put("one more", "value", LATER)

    store.run(fill)

    kept = store.read(lambda tx: [tx.cache_get(key) for key in ("key-0", "key-1", "key-2", "one more")])
    assert kept == ["new", None, "old", "value"]


def test_the_cache_is_searched_by_the_exact_beginning_of_a_key(store: Store) -> None:
    keys = ("a_b/1", "a_b/2", "axb/1", "A_b/1", "a_c/1")
    write_each(store, lambda tx, key: tx.cache_put(key, key, NOW), keys)

    assert sorted(store.read(lambda tx: tx.cache_find("a_b/"))) == ["a_b/1", "a_b/2"]


def test_a_tree_that_passed_is_remembered_with_its_first_verdict(store: Store) -> None:
    first = PassedTree("t" * 40, "policy", "c1", "c1.e1", "a" * 40, NOW)
    other = replace(first, policy_digest="other", at=LATER)
    again = replace(first, change="c2", at=LATER)

    write_each(store, Tx.add_passed_tree, [other, first, again])

    assert store.read(lambda tx: tx.passed_trees("t" * 40)) == (first, other)


def test_all_who_share_a_store_go_by_one_clock(store: Store, kind: str) -> None:
    """Those of several machines differ, and leases and heartbeats are judged by time."""
    wrong = datetime(2000, 1, 1, tzinfo=UTC)

    told = store.clock(lambda: wrong)()

    if kind == "sqlite":
        assert told == wrong
    else:
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_read_sees_one_state_whatever_is_committed_meanwhile(store: Store, open_again: OpenStore) -> None:
    """A commit may have to wait for the read's end, so it is begun from another thread."""
    started(store)
    other = open_again()

    with ThreadPoolExecutor(1) as pool:

        def work(tx: Tx) -> tuple[int, int]:
            before = tx.position()
            writing.append(pool.submit(other.run, start))
            return before, tx.position()

        writing: list[object] = []
        before, after = store.read(work)

    assert before == after < store.read(lambda tx: tx.position())
