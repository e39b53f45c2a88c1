"""Many clients of one repository: one server, little memory each, nothing that grows, and nothing left of them."""

import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..server.conftest import Client

if TYPE_CHECKING:
    from ..server.conftest import Machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs the figures that Linux has"),
]

BRIDGES = 200
WAITING = 40
AT_ONCE = 20
BRIDGE_MIB_MAX = 15.0
# The store's and git's own threads come and go with the work.
THREADS_MAX = 24
KIB_PER_MIB = 1024


def start(machine: "Machine", count: int) -> Iterator[Client]:
    """Greeted clients, some at a time."""
    left = count
    while left:
        fresh = [machine.start() for _ in range(min(AT_ONCE, left))]
        for client in fresh:
            client.initialize()
        yield from fresh
        left -= len(fresh)


def test_two_hundred_bridges_share_one_server_and_leave_nothing(machine: "Machine") -> None:
    first = machine.start()
    first.initialize()
    first.call(0, "echo")
    first.result_of(0)
    (server,) = machine.servers()
    alone = descriptors(server)

    clients = list(start(machine, BRIDGES - 1))
    for number in (1, 2):
        for client in clients:
            client.call(number, "echo")
        assert {client.result_of(number)["server"] for client in clients} == {server}
    shares_mib = [pss_mib(client.process.pid) for client in clients]
    open_in_bridges = {descriptors(client.process.pid) for client in clients}
    together = descriptors(server)
    threads_together = threads(server)
    assert {threads(client.process.pid) for client in clients} == {1}
    statuses = {client.close_and_wait()[0] for client in clients}

    assert statuses == {0}
    assert statistics.median(shares_mib) < BRIDGE_MIB_MAX
    assert len(open_in_bridges) == 1, "some bridges hold more open than others"
    assert together == alone + BRIDGES - 1, "more than one descriptor for each client"
    assert threads_together <= THREADS_MAX
    machine.until(lambda: descriptors(server) == alone)
    assert machine.servers() == [server]
    seats = machine.common_dir / "gatewright" / "seats"
    assert len(list(seats.iterdir())) == 1, "who left still has a seat"


def test_the_clients_of_a_killed_server_start_one_and_are_all_answered(machine: "Machine") -> None:
    clients = list(start(machine, WAITING))
    for client in clients:
        client.call(1, "slow")
    machine.until(lambda: len(machine.lines("begun")) == WAITING)

    machine.kill_server()
    machine.make("release")

    assert {client.result_of(1)["server"] for client in clients} == {machine.servers()[-1]}
    assert len(machine.servers()) == 2
    assert len(machine.lines("effects")) == WAITING


def descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208 - a count of names


def threads(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/task"))  # noqa: PTH208 - a count of names


def pss_mib(process: int) -> float:
    """The proportional share of memory: what processes share is counted once."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / KIB_PER_MIB
