"""Workers come and go by kill, stop and signal while changes are handed in: nothing is lost or settled twice."""

import random
import signal
from collections import Counter

import anyio
import pytest

from tests.acceptance.house import Server, solo

from .conftest import Hire
from .crew import Crew, Worker, handed_in
from .test_workers import evidence_of, rows_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHANGES = 6
WORKERS = 3
SECONDS_BETWEEN = 3.0
WITHIN_S = 120.0
PIPELINE = solo('{command: {name: gate, run: "test ! -e broken.txt && sleep 1.5"}}')


@pytest.mark.parametrize("seed", [1])
async def test_every_change_lands_once_whatever_becomes_of_workers(crew_of: Hire, seed: int) -> None:
    crew = crew_of(PIPELINE)
    clone = crew.team.clone("ada")
    async with crew.serving() as server, anyio.create_task_group() as tasks:
        tasks.start_soon(harm, crew, random.Random(seed))
        changes = []
        for number in range(CHANGES):
            change, _ = await handed_in(server, clone, {f"file{number}.py": f"number = {number}\n"})
            changes.append(change)
        with anyio.fail_after(WITHIN_S):
            for change in changes:
                await landed(server, change)
        tasks.cancel_scope.cancel()
        for change in changes:
            attempts = [row for row in await rows_of(server, change) if row.purpose == "attempt"]
            settled = [row for row in attempts if row.state == "settled"]
            record = await server.record(change)
            assert len(settled) == len(record.stage("code").attempts) == 1
            assert Counter(await evidence_of(server, settled[0].id)) == {"scope": 1, "gate": 1}

    assert {f"file{number}.py" for number in range(CHANGES)} <= crew.team.files()


async def landed(server: Server, change: str) -> None:
    while True:
        ticket = server.services.changed.ticket()
        if (await server.record(change)).landed_commit is not None:
            return
        await ticket.wait()


async def harm(crew: Crew, chance: random.Random) -> None:
    """Every few seconds something happens to a worker, and another one is hired."""
    hired = [crew.hire(f"first{number}") for number in range(WORKERS)]
    number = 0
    while True:
        await anyio.sleep(SECONDS_BETWEEN)
        victim: Worker = hired.pop(chance.randrange(len(hired)))
        match chance.randrange(3):
            case 0:
                victim.kill()
            case 1:
                victim.send(signal.SIGTERM)
            case _:
                victim.send(signal.SIGSTOP)
                await anyio.sleep(SECONDS_BETWEEN)
                victim.send(signal.SIGCONT)
        hired.append(crew.hire(f"next{number}"))
        number += 1
