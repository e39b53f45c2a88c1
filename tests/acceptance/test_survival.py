"""Over the real bridge, server and runners: whatever is killed, the client's session and its evaluation go on."""

import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from .conftest import Repositories
from .house import SECRET, Agent, Generation, Repository, Told, solo, write_all

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unconfined")]

WITHIN_S = 30.0
END_WITHIN_S = 10.0


class Machine:
    """A repository with a gate that a test holds up, and the server that bridges start for it."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.ran = repository.path.parent / "ran"
        self.release = repository.path.parent / "release"
        gate = f"echo $$ >> {self.ran}; while test ! -e {self.release}; do sleep 0.05; done"
        repository.commit("Hold up", gatewright__yaml=solo(f'{{command: {{name: held, run: "{gate}"}}}}'))

    @asynccontextmanager
    async def agent(self, generation: Generation = "auto") -> AsyncGenerator[Agent]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "gatewright"], cwd=str(self.repository.path), env=environment
        )
        async with Client(stdio_client(parameters), mode=generation) as client:
            yield Agent(client, "ada")

    def server_pid(self) -> int:
        return int((self.repository.state / "server.pid").read_text())

    def log(self) -> str:
        return (self.repository.state / "server.log").read_text()

    def gates(self) -> list[int]:
        """The process id of every start of the gate's program."""
        return [int(line) for line in self.ran.read_text().split()] if self.ran.exists() else []

    def let_go(self) -> None:
        self.release.touch()

    async def until_started(self, count: int) -> None:
        with anyio.fail_after(WITHIN_S):
            while len(self.gates()) < count:  # noqa: ASYNC110 - another process wakes nobody here
                await anyio.sleep(0.02)

    def end(self) -> None:
        self.let_go()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.server_pid(), signal.SIGTERM)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid: int) -> None:
    with anyio.fail_after(END_WITHIN_S):
        while is_alive(pid):  # noqa: ASYNC110 - no child of ours, so nobody wakes us
            await anyio.sleep(0.02)


@pytest.fixture
def machine(make: Repositories) -> Iterator[Machine]:
    machine = Machine(make())
    yield machine
    machine.end()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_ends_in_the_middle_of_a_gate_is_replaced_and_the_same_call_brings_the_verdict(
    machine: Machine, generation: Generation, number: signal.Signals
) -> None:
    """The bridge starts it again, the evaluation is adopted, nobody notices."""
    verdicts: list[Told] = []
    pids: list[int] = []

    async def submit(ada: Agent, lease: str) -> None:
        verdicts.append(await ada.get("submit_artifact", lease=lease, summary="x", wait_s=60))

    async with machine.agent(generation) as ada:
        change = await ada.start()
        brief = await ada.claim()
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(submit, ada, brief["lease"])
            await machine.until_started(1)
            pids.append(machine.server_pid())
            os.kill(pids[0], number)
            await machine.until_started(2)
            machine.let_go()
        pids.append(machine.server_pid())
        landed = await wait_until_landed(ada, change)

    (verdict,) = verdicts
    assert (verdict["outcome"], verdict["attempt"]) == ("passed", 1)
    assert pids[0] != pids[1]
    assert landed["landing"] == f"landed on 'main' as {machine.repository.tip()}"
    assert machine.repository.read("a.txt") == "a"
    for pid in machine.gates():
        await until_gone(pid)


async def wait_until_landed(ada: Agent, change: str) -> dict[str, object]:
    position = 0
    with anyio.fail_after(WITHIN_S):
        while True:
            status = await ada.get("get_status", change=change)
            (found,) = status["changes"]
            if found["state"] == "landed":
                return dict(found)
            position = (await ada.get("wait_for_update", change=change, after=position, wait_s=5))["position"]


@pytest.mark.slow
async def test_an_evaluation_outlives_the_client_that_asked_for_it(machine: Machine) -> None:
    """The client closes its input in the middle of the wait; the next one finds the change landed."""
    async with machine.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        await ada.get("submit_artifact", lease=brief["lease"], summary="x", wait_s=0)
        await machine.until_started(1)
    assert is_alive(machine.gates()[0]), "it goes on"
    machine.let_go()
    async with machine.agent() as bob:
        landed = await wait_until_landed(bob, change)

    assert landed["state"] == "landed"
    assert len(machine.gates()) >= 1


@pytest.mark.slow
async def test_a_server_that_is_told_to_end_leaves_nothing_running_and_no_secret_in_its_log(machine: Machine) -> None:
    async with machine.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        await ada.get("submit_artifact", lease=brief["lease"], summary="x", wait_s=0)
        await machine.until_started(1)
    pid = machine.server_pid()
    os.kill(pid, signal.SIGTERM)
    await until_gone(pid)
    for gate in machine.gates():
        await until_gone(gate)

    assert SECRET not in machine.log()
    assert brief["lease"] not in machine.log()
    assert "Traceback" not in machine.log(), machine.log()
