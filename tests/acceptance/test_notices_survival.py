"""Over the real bridge: whoever watched goes on watching when the server is killed, and misses nothing."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from mcp.client.stdio import StdioServerParameters

from .conftest import Repositories
from .house import Agent, Generation, Repository
from .test_notices import watching_over
from .test_survival import until_gone

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHANGES = "gatewright://changes"


@pytest.fixture
async def served(make: Repositories) -> AsyncIterator[Repository]:
    """A repository whose server, which a bridge starts, is ended."""
    repository = make()
    yield repository
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = server_pid(repository)
        os.kill(pid, signal.SIGTERM)
        await until_gone(pid)


def server_pid(repository: Repository) -> int:
    return int((repository.state / "server.pid").read_text())


async def test_what_is_watched_is_told_of_again_after_the_server_was_killed(
    served: Repository, generation: Generation
) -> None:
    bridge = StdioServerParameters(
        command=sys.executable,
        args=["-m", "gatewright"],
        cwd=str(served.path),
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
    )
    async with watching_over(bridge, generation, CHANGES) as (client, watch):
        ada = Agent(client, "ada")
        await ada.start()
        await watch.hears(CHANGES)
        watch.told.clear()
        killed = server_pid(served)
        os.kill(killed, signal.SIGKILL)
        await watch.hears(CHANGES)
        watch.told.clear()
        await ada.start()
        await watch.hears(CHANGES)

        assert server_pid(served) != killed
