"""Several processes on one store, and their deaths: nothing lost, nothing twice, nobody left waiting."""

from collections import Counter
from itertools import pairwise

import pytest

from gatewright.schemas.events import StageClaimed
from gatewright.server.store import Store

from .hiring import WITHIN_S, Hire, finish, hear, let_begin, let_go_on
from .opening import ON_POSTGRES, ON_SQLITE, SLOW_ON_POSTGRES
from .workbench import NOW, assert_whole, start, started

PROCESSES = 6
CHANGES = 30
# Loose, because the machine that tests run on has other work.
TIMES_AS_OFTEN_MAX = 4


@pytest.mark.slow
@ON_POSTGRES
def test_six_processes_claim_everything_and_nothing_twice(store: Store, hire: Hire) -> None:
    """Invariant I2, between processes that write at the same time."""
    claim_everything(store, hire)


@ON_SQLITE
def test_six_processes_claim_everything_and_nothing_twice_and_take_turns(store: Store, hire: Hire) -> None:
    """Invariant I2, between processes. With the database's own waiting, one of them waits for the others to finish."""
    holders = claim_everything(store, hire)

    assert max(holders.values()) <= TIMES_AS_OFTEN_MAX * min(holders.values()), holders
    events = [event for _, _, event in store.read(lambda tx: tx.events_since(0, limit=999))]
    order = [event.lease.holder for event in events if isinstance(event, StageClaimed)]
    for holder in holders:
        turns = [place for place, name in enumerate(order) if name == holder]
        assert max(after - before for before, after in pairwise(turns)) <= CHANGES, (holder, order)


def claim_everything(store: Store, hire: Hire) -> Counter[str]:
    """How much each of six processes got of all that there is."""
    started(store, CHANGES)
    workers = [hire("claim", f"agent-{number}") for number in range(PROCESSES)]
    let_begin(*workers)

    told = [finish(worker) for worker in workers]

    claimed = sorted(stage for mine in told for stage in mine)
    assert claimed == sorted(f"c{change}/{stage}" for change in range(1, CHANGES + 1) for stage in ("code", "docs"))
    assert store.read(lambda tx: tx.openings(NOW, limit=1)) == ()
    records = store.read(lambda tx: tx.changes(limit=99))
    holders = Counter(stage.lease.holder for record in records for stage in record.stages if stage.lease)
    assert holders == {f"agent-{number}": len(mine) for number, mine in enumerate(told) if mine}
    return holders


@SLOW_ON_POSTGRES
@pytest.mark.slow
def test_ids_of_changes_are_unique_and_without_gaps_over_processes(store: Store, hire: Hire) -> None:
    workers = [hire("start", "10") for _ in range(3)]
    let_begin(*workers)

    ids = [name for worker in workers for name in finish(worker)]

    assert sorted(ids) == sorted(f"c{number}" for number in range(1, 31))


@SLOW_ON_POSTGRES
@pytest.mark.parametrize("heard", [1, 7, 13])
def test_a_writer_that_is_killed_loses_nothing_that_it_acknowledged(store: Store, hire: Hire, heard: int) -> None:
    worker = hire("start", "10000")
    let_begin(worker)
    acknowledged = [hear(worker) for _ in range(heard)]

    worker.kill()
    said, _ = worker.communicate(timeout=WITHIN_S)

    acknowledged += said.splitlines()[: said.count("\n")]
    for change in acknowledged:
        assert_whole(store, change)
    # The last commit may have been made and not yet told.
    assert store.run(start).id in {f"c{len(acknowledged) + 1}", f"c{len(acknowledged) + 2}"}


def test_a_writer_that_is_killed_in_the_middle_leaves_nothing_and_no_lock(store: Store, hire: Hire) -> None:
    worker = hire("hang")
    let_begin(worker)
    assert hear(worker) == "inside"

    worker.kill()
    worker.wait(WITHIN_S)

    assert store.run(start).id == "c1"


@SLOW_ON_POSTGRES
@pytest.mark.slow
def test_whoever_reads_is_not_held_up_by_a_transaction_under_way(store: Store, hire: Hire) -> None:
    worker = hire("hang")
    let_begin(worker)
    assert hear(worker) == "inside"

    assert store.read(lambda tx: tx.find_change("c1")) is None

    let_go_on(worker)
    assert store.read(lambda tx: tx.find_change("c1")) is not None
