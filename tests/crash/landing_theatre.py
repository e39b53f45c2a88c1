"""A process that forks a life of a team's server for each line it reads: it lands what waits to be landed.

    python -m tests.crash.landing_theatre

A line is `{"team": ..., "trace": ..., "doomed": [label, nth] or null}`; the answer is the exit status of that life, as
in `theatre`.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio

from gatewright.gates import artifacts, kinds, runner, workspaces
from gatewright.gates.remote import mirror
from gatewright.server import composition, policies
from gatewright.server.engine import embedded, landing
from gatewright.server.operations import branches, changes
from gatewright.server.store import sqlite, tx

from ..acceptance.team import Team
from .points import Point, Points
from .theatre import do_nothing_ahead, fork_nursery

# Imported before the fork, so that no life of the server pays for them.
IMPORTED = (
    artifacts,
    kinds,
    runner,
    workspaces,
    mirror,
    composition,
    policies,
    embedded,
    landing,
    branches,
    changes,
    sqlite,
    tx,
)
CHANGE = "c1"
WITHIN_S = 60.0


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
    status = 1
    try:
        fork_nursery()
        team = Team.found(Path(order["team"]))
        with Path(order["trace"]).open("w") as trace:
            doomed = order["doomed"]
            Points(team.path, trace, Point(*doomed) if doomed is not None else None).watch()
            anyio.run(_land, team)
        status = 0
    except BaseException:  # noqa: BLE001 - told to whoever reads the output, and by the status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


async def _land(team: Team) -> None:
    """Until the change has landed and its branches are gone."""
    with anyio.fail_after(WITHIN_S):
        async with team.serving() as server:
            await server.landed(CHANGE)
            while team.refs("refs/heads/gatewright"):  # noqa: ASYNC110 - the remote wakes nobody
                await anyio.sleep(0.02)


if __name__ == "__main__":
    main()
