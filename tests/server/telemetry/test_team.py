"""One trace over servers and workers, whichever of them is killed: PostgreSQL and real processes."""

import re
import signal
from collections.abc import Callable, Iterator

import anyio
import httpx2
import pytest

from gatewright.schemas.records import ChangeRecord
from gatewright.server.telemetry.ids import trace_id_of

from ...acceptance.house import Server, solo
from ..engine.conftest import crew_of
from ..engine.crew import Crew, Worker, handed_in, settled, until
from ..engine.test_workers import attempt_of, begun, sleeping
from .collector import Collector, collecting
from .watching import Seen, ids_of

__all__ = ["crew_of"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Hire = Callable[..., Crew]
FILES = {"sub.py": "def sub(a, b):\n    return a - b\n"}
PASSWORD = "hunter2-of-the-database"
# Of a change of one stage that was handed in once: who ends what.
BY_SERVER = ["change", "claim code", "landing", "submit code", "unclaimed code"]
BY_WORKER = ["attempt code", "gate gate", "gate scope", "lease code", "stage code"]
# The merged tree's gates; the intent to land is decided by whoever judged it.
OF_LANDING = ["gate gate"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def hire(crew: Crew, name: str, collector: Collector, *options: str, **more: str) -> Worker:
    """A worker that exports; its database's address has a password in it."""
    url = crew.url.replace("@", f":{PASSWORD}@", 1)
    return crew.hire(name, *options, url=url, environment={**collector.environment, **more})


def spans_of(seen: Seen, collector: Collector, server: Server, record: ChangeRecord) -> dict[str, list[str]]:
    """The names of the spans of a change, of the server in this process and of all workers."""
    here = seen.of(record, server.services.store)
    trace_id = trace_id_of(record)
    there = [span for _, span in collector.of_changes() if int.from_bytes(span.trace_id) == trace_id]
    return {"server": sorted(span.name for span in here), "workers": sorted(span.name for span in there)}


async def test_server_and_worker_tell_one_trace_and_each_thing_once(
    crew_of: Hire, seen: Seen, collector: Collector
) -> None:
    crew = crew_of(solo(sleeping(0)))
    worker = await hire(crew, "one", collector, "--metrics", "127.0.0.1:0", "--log-format", "json").ready()
    port = re.search(r"Showing metrics on port (\d+)", worker.said())
    assert port is not None
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        record = await server.landed(change)
        with anyio.fail_after(20):
            await until(lambda: "lease code" in spans_of(seen, collector, server, record)["workers"])
        async with httpx2.AsyncClient() as http:
            page = (await http.get(f"http://127.0.0.1:{port[1]}/metrics")).text
        assert worker.end() == 0
        told = spans_of(seen, collector, server, record)

    assert told == {"server": BY_SERVER, "workers": sorted(BY_WORKER + OF_LANDING)}
    ids = {ids_of(span)[1] for span in seen.of(record, server.services.store)}
    others = [span for _, span in collector.of_changes()]
    assert {int.from_bytes(span.parent_span_id) for span in others} <= ids | {
        int.from_bytes(span.span_id) for span in others
    }
    assert 'gatewright_slots{gatewright_state="used"}' in page
    assert 'gatewright_gate_duration_seconds_count{gatewright_gate_cached="false"' in page
    for text in (worker.said(), page, b"".join(body for _, body in collector.bodies).decode("latin-1")):
        assert PASSWORD not in text


async def test_what_a_killed_worker_began_is_told_once_by_whoever_ended_it(
    crew_of: Hire, seen: Seen, collector: Collector
) -> None:
    crew = crew_of(solo(sleeping(4)))
    one = await hire(crew, "one", collector).ready()
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        row = await begun(server, change)
        one.send(signal.SIGKILL)
        two = await hire(crew, "two", collector).ready()
        await settled(server, row.id)
        record = await server.landed(change)
        assert two.end() == 0
        told = spans_of(seen, collector, server, record)

    assert told == {"server": BY_SERVER, "workers": sorted(BY_WORKER + OF_LANDING)}
    assert len({process for process, _ in collector.of_changes()}) == 1


async def test_killed_between_the_commit_and_the_export_a_worker_takes_its_last_spans_along_and_no_others(
    crew_of: Hire, seen: Seen, collector: Collector
) -> None:
    """The record has them; the trace lacks them, and what is in it stays where it was."""
    crew = crew_of(solo(sleeping(0)))
    one = await hire(crew, "one", collector, OTEL_BSP_SCHEDULE_DELAY="60000").ready()
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        await settled(server, (await attempt_of(server, change)).id)
        record = await server.landed(change)
        one.kill()
        told = spans_of(seen, collector, server, record)
        spans = seen.of(record, server.services.store)

    assert told == {"server": BY_SERVER, "workers": []}
    (submit,) = [span for span in spans if span.name == "submit code"]
    assert submit.parent is not None
    assert submit.parent.span_id not in {ids_of(span)[1] for span in spans}
