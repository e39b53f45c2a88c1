"""Writers are killed, connections cut and the server restarted in the middle of everything; the truth stays one."""

import time
from collections import defaultdict
from contextlib import closing, suppress
from random import Random
from threading import Event, Thread

import psycopg
import pytest

from gatewright.server.store import StoreUnavailable, open_database
from tests.postgres import Cluster

from .conftest import OpenStore
from .hiring import WITHIN_S, Hire, Worker, let_begin
from .opening import ON_POSTGRES
from .workbench import assert_whole, start

WRITERS = 3
BLOWS = 10
PAUSE_S = 0.1
SEED = 7
EVENTS_AT_ONCE = 500


class Reader(Thread):
    """Follows all events from the first on, as a server that tells of changes does, and notes each."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, str]] = []
        self._address = address
        self._is_over = Event()

    def run(self) -> None:
        with closing(open_database(self._address)) as store:
            is_last = False
            while not is_last:
                is_last = self._is_over.is_set()
                with suppress(StoreUnavailable):
                    while page := store.read(lambda tx: tx.events_since(self.position, limit=EVENTS_AT_ONCE)):
                        self.seen += [(position, change) for position, change, _ in page]

    @property
    def position(self) -> int:
        return self.seen[-1][0] if self.seen else 0

    def end(self) -> None:
        """After it has read what there is."""
        self._is_over.set()
        self.join(WITHIN_S)


@pytest.mark.slow
@ON_POSTGRES
def test_whatever_is_killed_nothing_acknowledged_is_lost_and_no_event_is_missed_or_told_twice(
    open_again: OpenStore, hire: Hire, address: str, postgres: Cluster
) -> None:
    store, chance = open_again(), Random(SEED)
    store.run(start)
    reader = Reader(address)
    reader.start()
    writers, said = [begun(hire, number) for number in range(WRITERS)], defaultdict[str, int](int)
    for blow in range(BLOWS):
        time.sleep(PAUSE_S)
        if blow % 6 == 3:
            postgres.restart()
        elif blow % 2:
            cut_a_connection(address)
        else:
            heard(writers.pop(chance.randrange(len(writers))), said)
            writers.append(begun(hire, 1000 + blow))
    for writer in writers:
        heard(writer, said)

    reader.end()

    ids = store.read(lambda tx: tx.change_ids(after=0, limit=99))
    assert ids == tuple(f"c{number}" for number in range(1, len(ids) + 1))
    for change in ids:
        assert_whole(store, change)
    versions = {record.id: record.version for record in store.read(lambda tx: tx.changes(limit=99))}
    assert sum(said.values()) > BLOWS
    assert {change: version for change, version in said.items() if versions[change] < version} == {}
    assert [position for position, _ in reader.seen] == sorted({position for position, _ in reader.seen})
    assert {change: sum(name == change for _, name in reader.seen) for change in ids} == versions


def begun(hire: Hire, seed: int) -> Worker:
    writer = hire("churn", str(seed))
    let_begin(writer)
    return writer


def heard(writer: Worker, said: dict[str, int]) -> None:
    """Kill it, and note the highest version of each change that it was told of. Its last word may be half a word."""
    writer.kill()
    told, _ = writer.communicate(timeout=WITHIN_S)
    for line in told.splitlines()[: told.count("\n")]:
        change, version = line.split()
        said[change] = max(said[change], int(version))


def cut_a_connection(address: str) -> None:
    with suppress(psycopg.OperationalError), psycopg.connect(address) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
        )
