"""Several processes on one store, and their deaths: nothing lost, nothing twice, nobody left waiting."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatewright.gates.evolve import replay
from gatewright.server.store import Store
from gatewright.server.store.tx import Tx

from .workbench import NOW, start, started

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 30.0
PROCESSES = 6
# Loose, because the machine that tests run on has other work: without turns it is hundreds, and all of the run.
FAIRNESS = 4
LONGEST_WAIT_S = 2.0

Worker = subprocess.Popen[str]
Hire = Callable[..., Worker]


@pytest.fixture
def hire(store: Store) -> Iterator[Hire]:
    """Start a worker process on the store, not yet at work; whatever still runs at the end is killed."""
    with ExitStack() as hired:

        def begin(*task: str) -> Worker:
            command = [sys.executable, "-m", "tests.server.store.worker", str(store.path.parent), *task]
            worker = hired.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            )
            hired.callback(worker.kill)
            return worker

        yield begin


def hear(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def let_begin(*workers: Worker) -> None:
    for worker in workers:
        assert hear(worker) == "ready"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def finish(worker: Worker) -> list[str]:
    said, _ = worker.communicate(timeout=WITHIN_S)
    assert worker.returncode == 0
    return said.splitlines()


def test_six_processes_claim_everything_and_nothing_twice_and_take_turns(store: Store, hire: Hire) -> None:
    """Invariant I2, between processes. With the database's own waiting, one of them waits for the others to finish."""
    started(store, 60)
    workers = [hire("claim", f"agent-{number}") for number in range(PROCESSES)]
    let_begin(*workers)

    told = [[line.split() for line in finish(worker)] for worker in workers]

    claimed = sorted(stage for mine in told for stage, _ in mine)
    assert claimed == sorted(f"c{change}/{stage}" for change in range(1, 61) for stage in ("code", "docs"))
    assert store.read(lambda tx: tx.openings(NOW, limit=1)) == ()
    records = store.read(lambda tx: tx.changes(limit=99))
    holders = Counter(stage.lease.holder for record in records for stage in record.stages if stage.lease)
    assert holders == {f"agent-{number}": len(mine) for number, mine in enumerate(told)}
    assert min(holders.values()) >= max(holders.values()) / FAIRNESS, holders
    assert max(float(seconds) for mine in told for _, seconds in mine) <= LONGEST_WAIT_S


def test_ids_of_changes_are_unique_and_without_gaps_over_processes(store: Store, hire: Hire) -> None:
    workers = [hire("start", "10") for _ in range(3)]
    let_begin(*workers)

    ids = [name for worker in workers for name in finish(worker)]

    assert sorted(ids) == sorted(f"c{number}" for number in range(1, 31))


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


def test_whoever_reads_is_not_held_up_by_a_transaction_under_way(store: Store, hire: Hire) -> None:
    worker = hire("hang")
    let_begin(worker)
    assert hear(worker) == "inside"

    assert store.read(lambda tx: tx.find_change("c1")) is None

    let_go_on(worker)
    assert store.read(lambda tx: tx.find_change("c1")) is not None


def let_go_on(worker: Worker) -> None:
    worker.communicate("\n", timeout=WITHIN_S)
    assert worker.returncode == 0


def assert_whole(store: Store, change: str) -> None:
    """The record is there, and is what its events make of it (invariant I9)."""

    def look(tx: Tx) -> None:
        record = tx.find_change(change)
        events = tx.events(change, limit=99)
        assert record is not None
        assert [number for number, _ in events] == list(range(1, record.version + 1))
        assert replay([event for _, event in events]) == record

    store.read(look)
