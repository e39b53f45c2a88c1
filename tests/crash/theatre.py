"""A process that has its imports behind it and forks a life of the server for each line it reads.

    python -m tests.crash.theatre

A line is `{"repository": ..., "trace": ..., "doomed": [label, nth] or null}`; the answer is the exit status of that
life: 0 when the job was done, KILLED when it died at the doomed point, else what went wrong is on standard error.
"""

import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio

from gatewright.gates import artifacts, kinds, repository, runner, runner_nursery, workspaces
from gatewright.server import leases, policies, preparing
from gatewright.server.engine import embedded, landing, runners
from gatewright.server.operations import changes
from gatewright.server.store import sqlite, tx

from ..acceptance.house import Repository
from .play import play
from .points import Point, Points, put

# Imported before the fork, so that no life of the server pays for them.
IMPORTED = (
    artifacts,
    kinds,
    repository,
    runner,
    workspaces,
    leases,
    policies,
    preparing,
    embedded,
    landing,
    sqlite,
    tx,
)


def main() -> None:
    do_nothing_ahead()
    for line in sys.stdin:
        sys.stdout.write(f"{_status_of(json.loads(line))}\n")
        sys.stdout.flush()


def _status_of(order: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _live(order)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _live(order: dict[str, Any]) -> None:
    """Play the job in this process, which ends here."""
    status = 1
    try:
        fork_nursery()
        found = Repository.__new__(Repository)
        found.path = Path(order["repository"])
        with Path(order["trace"]).open("w") as trace:
            doomed = order["doomed"]
            Points(found.path, trace, Point(*doomed) if doomed is not None else None).watch()
            anyio.run(play, found)
        status = 0
    except BaseException:  # noqa: BLE001 - told to whoever reads the output, and by the status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def fork_nursery() -> None:
    """Have this life's nursery forked instead of started; one that follows it is started as always."""
    orders, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        orders.close()
        os.dup2(theirs.fileno(), sys.stdin.fileno())
        os._exit(runner_nursery.main())
    theirs.close()
    start = runners._Nursery.__init__
    forked = [_Forked(child)]

    def take_it(nursery: runners._Nursery) -> None:
        if forked:
            put(nursery, "_orders", orders)
            put(nursery, "_process", forked.pop())
        else:
            start(nursery)

    put(runners._Nursery, "__init__", take_it)


class _Forked(subprocess.Popen[bytes]):
    """A child that is there already."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def do_nothing_ahead() -> None:
    """What is done ahead of time happens sooner or later, so its points would be others in every run."""

    async def keep_none(_: runners.Runners) -> None:
        pass

    put(runners.Runners, "warm_up", keep_none)
    put(changes, "_enqueue_warming", lambda tx, record: None)


if __name__ == "__main__":
    main()
