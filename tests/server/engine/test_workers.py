"""Workers are real processes that get killed, stopped, drained and cut off: every evaluation is settled once."""

import re
import signal
from pathlib import Path

import anyio
import pytest

from gatewright.gates.machine import commands as c
from gatewright.schemas.events import Event
from gatewright.server.operations.deciding import get_change
from gatewright.server.store import EvaluationRow
from tests.acceptance.house import Server, solo

from .conftest import Hire
from .crew import Crew, Worker, handed_in, settled, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FILES = {"sub.py": "def sub(a, b):\n    return a - b\n"}
PIPELINE = """\
version: 1
target: main
stages:
  code:
    gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]
  made:
    needs: [code]
    run: "wc -l sub.py > made.txt"
    writes: ["made.txt"]
    gates: [{command: {name: there, run: "test -e made.txt"}}]
land: {needs: [made], gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]}
"""


def sleeping(seconds: int) -> str:
    """A gate that takes its time over work, and none over what a change begins with."""
    return f'{{command: {{name: gate, run: "test ! -e sub.py || sleep {seconds}"}}}}'


async def attempt_of(server: Server, change: str) -> EvaluationRow:
    """The evaluation of the one attempt, as it stands."""
    (row,) = [row for row in await rows_of(server, change) if row.purpose == "attempt"]
    return row


async def rows_of(server: Server, change: str) -> tuple[EvaluationRow, ...]:
    states = ("queued", "running", "settled", "cancelled")
    return await server.services.read(lambda tx: tx.evaluations(change=change, states=states))  # type: ignore[arg-type]  # their texts


async def events_of(server: Server, change: str) -> tuple[tuple[int, Event], ...]:
    return await server.services.read(lambda tx: tx.events(change, limit=200))


async def begun(server: Server, change: str, *, after: str | None = None) -> EvaluationRow:
    """The attempt once its gate runs, under another token than `after`."""
    with anyio.fail_after(40):
        while True:
            row = await attempt_of(server, change)
            if row.state == "running" and row.token != after and "is running" in row.progress:
                return row
            await anyio.sleep(0.05)


def doers(crew: Crew, *workers: Worker) -> dict[str, Worker]:
    """Each worker by the name that it puts into tokens."""
    named = [(re.findall(r"working as (w\d+)", worker.said()), worker) for worker in workers]
    return {name: worker for names, worker in named for name in names}


async def evidence_of(server: Server, evaluation: str) -> list[str]:
    found = await server.services.read(lambda tx: tx.evidence_of(evaluation))
    return [item.evidence.gate for item in found]


async def test_a_change_is_judged_by_a_worker_and_landed_by_a_server(crew_of: Hire) -> None:
    crew = crew_of(solo())
    worker = crew.hire("one")
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        record = await server.landed(change)
        tokens = {(row.token or "").partition(".")[0] for row in await rows_of(server, change)}

    assert tokens == set(doers(crew, worker))
    assert crew.team.tip() == record.landed_commit
    assert crew.jobs() == []


async def test_what_a_server_ran_alone_goes_to_workers_and_lands_once_by_whichever_server(crew_of: Hire) -> None:
    """A `run:` stage, whose commit is made by a worker, a check of what was pushed, and two servers that could land."""
    crew = crew_of(PIPELINE)
    workers = [crew.hire(name) for name in ("one", "two")]
    clone = crew.team.clone("ada")
    async with (
        crew.serving("one") as one,
        crew.serving("two") as two,
        one.agent("ada") as ada,
        two.agent("ada") as there,
    ):
        change = await ada.start()
        brief = await there.claim(change, "code")
        clone.follow(brief, **FILES)
        checked = await ada.get("check_gates", lease=brief["lease"])
        handed = await there.get("submit_artifact", lease=brief["lease"], summary="Work.")
        record = await one.landed(change)
        names = {(row.token or "").partition(".")[0] for row in await rows_of(one, change)}
        moves = [event for _, event in await events_of(two, change) if event.kind == "change_landed"]

    assert (checked["outcome"], handed["outcome"]) == ("passed", "passed")
    assert {"sub.py", "made.txt"} <= crew.team.files()
    assert crew.team.tip() == record.landed_commit
    assert len(moves) == 1
    assert names <= set(doers(crew, *workers))


async def test_what_a_killed_worker_was_judging_runs_elsewhere_within_seconds_and_is_settled_once(
    crew_of: Hire,
) -> None:
    crew = crew_of(solo(sleeping(8)))
    workers = [crew.hire(name) for name in ("one", "two")]
    async with crew.serving() as server:
        for worker in workers:
            await worker.ready()
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        first = await begun(server, change)
        doers(crew, *workers)[(first.token or "").partition(".")[0]].kill()
        with anyio.fail_after(15):
            second = await begun(server, change, after=first.token)
        done = await settled(server, first.id)
        await server.landed(change)
        gates = await evidence_of(server, first.id)

    assert (done.token, done.tries) == (second.token, 2)
    assert gates == ["scope", "gate"]


async def test_a_worker_that_was_stopped_and_goes_on_drops_its_result_and_ends_its_command(crew_of: Hire) -> None:
    crew = crew_of(solo(sleeping(30)))
    workers = [crew.hire(name) for name in ("one", "two")]
    async with crew.serving() as server:
        for worker in workers:
            await worker.ready()
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        first = await begun(server, change)
        zombie = doers(crew, *workers)[(first.token or "").partition(".")[0]]
        await until(lambda: commands_below(zombie.process.pid), 10)
        zombie.send(signal.SIGSTOP)
        second = await begun(server, change, after=first.token)
        sleepers = commands_below(zombie.process.pid)
        zombie.send(signal.SIGCONT)
        await until(lambda: not commands_below(zombie.process.pid), 15)
        still = await attempt_of(server, change)

    assert sleepers
    assert still.token == second.token
    assert still.state == "running"


async def test_a_cancelled_change_ends_its_gates_within_seconds(crew_of: Hire) -> None:
    crew = crew_of(solo(sleeping(30)))
    worker = crew.hire("one")
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        going = await begun(server, change)
        await until(lambda: commands_below(worker.process.pid), 10)
        await server.decide(change, c.Cancel("person:eve", "Not needed."))
        await until(lambda: not commands_below(worker.process.pid), 10)
        await until(lambda: going.id not in {evaluation for evaluation, _, _ in crew.jobs()}, 10)
        row = await attempt_of(server, change)

    assert row.state == "cancelled"


async def test_a_worker_told_to_end_finishes_what_it_can(crew_of: Hire) -> None:
    crew = crew_of(solo(sleeping(3)))
    worker = crew.hire("one", "--drain", "20")
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        row = await begun(server, change)
        status = worker.end()
        done = await attempt_of(server, change)

    assert status == 0
    assert (done.state, done.token) == ("settled", row.token)


async def test_what_takes_longer_than_draining_may_is_given_back_uncounted(crew_of: Hire) -> None:
    crew = crew_of(solo(sleeping(20)))
    worker = crew.hire("one", "--drain", "1")
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        row = await begun(server, change)
        status = worker.end()
        left = await attempt_of(server, change)
        jobs = crew.jobs()

    assert status == 0
    assert (left.state, left.token, left.tries) == ("queued", None, 0)
    assert (row.id, "evaluations", "todo") in jobs


async def test_a_gate_runs_only_where_all_of_its_labels_are(crew_of: Hire) -> None:
    crew = crew_of(solo('{command: {name: gpu, run: "test ! -e broken.txt", runs_on: [gpu, big]}}'))
    plain, some = crew.hire("plain"), crew.hire("some", "--labels", "gpu")
    async with crew.serving() as server:
        for worker in (plain, some):
            await worker.ready()
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        await until(lambda: any(queue == "evaluations+big+gpu" for _, queue, _ in crew.jobs()))
        # Both have looked since: each looks at least once a second.
        await anyio.sleep(2.5)
        waiting = await attempt_of(server, change)
        able = crew.hire("able", "--labels", "big, gpu,arm")
        await server.landed(change)
        done = await attempt_of(server, change)

    assert waiting.state == "queued"
    assert (done.token or "").partition(".")[0] in doers(crew, able)


async def test_an_evaluation_whose_job_is_gone_is_delivered_again(crew_of: Hire) -> None:
    crew = crew_of(solo())
    async with crew.serving() as server:
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        await until(lambda: any(evaluation.startswith(f"{change}.e") for evaluation, _, _ in crew.jobs()))
        crew.sql("DELETE FROM procrastinate_jobs")
        worker = crew.hire("one")
        await server.landed(change)

    assert "no job would have brought" in worker.said()


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
async def test_a_job_that_comes_twice_is_settled_once(crew_of: Hire, names: tuple[str, ...]) -> None:
    """To the worker that runs it already, or to another one."""
    crew = crew_of(solo(sleeping(2)))
    workers = [crew.hire(name) for name in names]
    async with crew.serving() as server:
        for worker in workers:
            await worker.ready()
        change, _ = await handed_in(server, crew.team.clone("ada"), FILES)
        first = await begun(server, change)
        crew.sql(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args) "
            f"VALUES ('evaluations', 'evaluate', '{first.id}', '{{\"evaluation\": \"{first.id}\"}}')"
        )
        done = await settled(server, first.id)
        await until(lambda: crew.jobs() == [], 30)
        gates = await evidence_of(server, first.id)
        record = await server.services.read(lambda tx: get_change(tx, change))

    assert (done.token, done.tries) == (first.token, 1)
    assert gates == ["scope", "gate"]
    assert len(record.stage("code").attempts) == 1


def commands_below(pid: int) -> list[int]:
    """The `sleep`s that a process and its descendants have started."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                told = (place / "stat").read_text()
            except (OSError, ProcessLookupError):
                continue
            name, _, rest = told.partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state != "Z":
                parents[int(place.name)], names[int(place.name)] = int(parent), name
    found = []
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above]
        if above == pid and names[child] == "sleep":
            found.append(child)
    return found
