"""PostgreSQL ends in the middle of a gate, and comes back."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from gatewright.server.store import create_database
from tests.acceptance.house import solo
from tests.postgres import DURABLE, Cluster, new_cluster, remove

from .crew import Crew, handed_in
from .test_workers import FILES, begun, evidence_of, sleeping

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = new_cluster(DURABLE)
    try:
        yield found
    finally:
        remove(found)


async def test_a_gate_outlives_a_restart_of_the_database_and_is_settled_by_who_ran_it(
    tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.url(cluster.new_database())
    create_database(url)
    crew = Crew(tmp_path, url, solo(sleeping(6)))
    try:
        worker = crew.hire("one")
        async with crew.serving() as server:
            change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
            row = await begun(server, change)
            cluster.stop()
            # Longer than a worker is waited for before it is taken for gone, and until after the gate has ended.
            await anyio.sleep(9)
            cluster.start()
            record = await server.landed(change)
            gates = await evidence_of(server, row.id)
            done = await server.services.read(lambda tx: tx.find_evaluation(row.id))
        status = worker.end()
    finally:
        crew.dismiss()

    assert record.landed_commit == crew.team.tip()
    assert gates == ["scope", "gate"]
    assert done is not None
    assert (done.token, done.tries) == (row.token, 1)
    assert status == 0
