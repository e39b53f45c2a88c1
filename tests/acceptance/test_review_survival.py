"""Reviews over the real bridge and server: whatever is killed in between, there is one lease and one review."""

import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatewright.server.operations.deciding import get_change
from gatewright.server.store import open_store

from .conftest import Repositories
from .house import OK_GATE, Agent, Repository, solo

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

REVIEWED = solo(OK_GATE, "{review: {quorum: 2}}")
FINDING = {"severity": "minor", "path": "sub.py", "line": 1, "message": "No docstring."}


@pytest.fixture
def repository(make: Repositories) -> Iterator[Repository]:
    made = make(REVIEWED)
    yield made
    kill(made, signal.SIGTERM)


def kill(repository: Repository, number: int = signal.SIGKILL) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((repository.state / "server.pid").read_text()), number)


@asynccontextmanager
async def agent(repository: Repository, name: str) -> AsyncGenerator[Agent]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "gatewright"], cwd=str(repository.path), env=environment
    )
    async with Client(stdio_client(parameters)) as client:
        yield Agent(client, name)


async def test_a_review_outlives_a_server_that_is_killed_before_and_after_it(repository: Repository) -> None:
    async with agent(repository, "ada") as ada, agent(repository, "bob") as bob:
        brief = await ada.claim(await ada.start())
        verdict = await ada.submit(brief, {"sub.py": "def sub(a, b):\n    return a - b\n"})
        asked = await bob.get("claim_stage", agent="bob", role="reviewer", key="claim")
        kill(repository)
        same = await bob.get("claim_stage", agent="bob", role="reviewer", key="claim")
        given = {"lease": asked["lease"], "findings": [FINDING], "inspected": [], "key": "review"}
        first = await bob.get("review_artifact", **given)
        kill(repository)
        again = await bob.get("review_artifact", **given)
        waiting = await ada.get("wait_for_update", evaluation=verdict["evaluation"], wait_s=0)

    store = open_store(repository.state, create=False)
    record = store.read(lambda tx: get_change(tx, "c1"))
    store.close()
    assert same["lease"] == asked["lease"]
    assert again.content == first.content
    assert (first["reviews"], first["stage_state"]) == (1, "in_review")
    assert waiting["outcome"] == "pending"
    assert len(record.stage("code").attempts[0].reviews) == 1
