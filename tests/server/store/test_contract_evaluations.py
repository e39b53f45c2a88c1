"""What every store promises of evaluations: each step of one has at most one winner."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from gatewright.server.store import EvaluationState, Purpose, Store
from gatewright.server.store.tx import Tx

from .workbench import LATER, NOW, evaluation, write_each

SECOND = timedelta(seconds=1)
SOON = NOW + 10 * SECOND


def test_an_evaluation_is_started_by_exactly_one_of_many(store: Store) -> None:
    store.run(lambda tx: tx.enqueue(evaluation()))
    together = Barrier(6)

    def race(token: str) -> bool:
        together.wait()
        return store.run(lambda tx: tx.start_evaluation("c1.e1", token, NOW, stale_before=NOW - SECOND))

    with ThreadPoolExecutor(6) as pool:
        won = dict(zip("abcdef", pool.map(race, "abcdef"), strict=True))

    assert sorted(won.values()) == [False] * 5 + [True]
    row = store.read(lambda tx: tx.find_evaluation("c1.e1"))
    assert row is not None
    assert (row.state, row.tries, won[row.token or ""]) == (EvaluationState.RUNNING, 1, True)


def test_a_lost_runner_is_replaced_and_what_it_says_afterwards_counts_for_nothing(store: Store) -> None:
    """Invariant I3: a result for a lost evaluation changes no state."""

    def work(tx: Tx) -> list[bool]:
        tx.enqueue(evaluation())
        return [
            tx.start_evaluation("c1.e1", "old", NOW, stale_before=NOW),
            tx.heartbeat("c1.e1", "old", NOW, "halfway"),
            tx.start_evaluation("c1.e1", "new", NOW + SECOND, stale_before=NOW + SECOND),
            tx.heartbeat("c1.e1", "old", NOW + SECOND, "done"),
            tx.finish_evaluation("c1.e1", "old", NOW + SECOND),
            tx.requeue_evaluation("c1.e1", "old", NOW),
            tx.finish_evaluation("c1.e1", "new", NOW + SECOND),
            tx.finish_evaluation("c1.e1", "new", NOW + SECOND),
        ]

    assert store.run(work) == [True, True, True, False, False, False, True, False]
    row = store.read(lambda tx: tx.find_evaluation("c1.e1"))
    assert row is not None
    assert (row.state, row.token, row.tries, row.progress) == (EvaluationState.SETTLED, "new", 2, "")


def test_a_cancelled_evaluation_is_neither_settled_nor_run_and_a_settled_one_not_cancelled(store: Store) -> None:
    def work(tx: Tx) -> tuple[bool, bool, int]:
        for name in ("c1.e1", "c1.e2"):
            tx.enqueue(evaluation(name))
            tx.start_evaluation(name, "token", NOW, stale_before=NOW)
        assert tx.finish_evaluation("c1.e2", "token", NOW)
        tx.cancel_evaluation("c1.e1")
        tx.cancel_evaluation("c1.e2")
        alive = tx.heartbeat("c1.e1", "token", NOW, ""), tx.finish_evaluation("c1.e1", "token", NOW)
        return (*alive, len(tx.due_evaluations(LATER, stale_before=LATER, limit=9)))

    assert store.run(work) == (False, False, 0)
    states = [row.state for row in store.read(lambda tx: tx.evaluations(change="c1", states=EvaluationState))]
    assert states == [EvaluationState.CANCELLED, EvaluationState.SETTLED]


def test_what_was_queued_before_the_clock_was_set_back_is_due(store: Store) -> None:
    write_each(store, Tx.enqueue, [evaluation("c1.e1")])
    set_back = NOW - timedelta(hours=1)

    due = store.read(lambda tx: tx.due_evaluations(set_back, stale_before=set_back, limit=9))

    assert [row.id for row in due] == ["c1.e1"]


def test_what_somebody_waits_for_is_due_before_what_warms_up_and_nothing_before_its_time(store: Store) -> None:
    rows = [
        evaluation("c1.w1", purpose=Purpose.WARM),
        evaluation("c1.d1", purpose=Purpose.DRY, not_before=SOON),
        evaluation("c1.e1"),
    ]
    write_each(store, Tx.enqueue, rows)

    due = store.read(lambda tx: [tx.due_evaluations(now, stale_before=NOW, limit=9) for now in (NOW, SOON)])

    assert [[row.id for row in found] for found in due] == [["c1.e1", "c1.w1"], ["c1.e1", "c1.d1", "c1.w1"]]
    assert store.read(lambda tx: (tx.next_due(), tx.next_dry_run("c1"), tx.next_dry_run("c2"))) == (
        NOW,
        "c1.d2",
        "c2.d1",
    )
    assert store.read(lambda tx: tx.find_evaluation("c1.d1")) == rows[1]
