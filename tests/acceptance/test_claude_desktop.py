"""Claude Desktop: no file system, servers started in `/` with little of an environment, everything by the tools."""

import json
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import Implementation

from gatewright.server.cli.main import main

from .conftest import Repositories
from .house import Agent, Repository, staged

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LANDED_WITHIN_S = 40
Configured = tuple[Repository, dict[str, Any]]
PLAN = "# Goal\n\nSubtract.\n\n# Requirements\n\nR1: `sub(a, b)` is a minus b.\n"
GATE = "{command: {name: sub, run: \"grep -q 'return a - b' calc.py\"}}"


@pytest.fixture
def configured(make: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configured]:
    """A repository, and the entry that `install claude-desktop` wrote for it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    repository = make(staged(GATE), name="my projekt ü")
    assert main(["--repo", str(repository.path), "install", "claude-desktop"]) == 0
    [settings] = tmp_path.glob("*/Claude/claude_desktop_config.json")
    entry = json.loads(settings.read_text())["mcpServers"]["gatewright"]
    yield repository, entry
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(int((repository.state / "server.pid").read_text()), signal.SIGTERM)


@asynccontextmanager
async def desktop(entry: dict[str, Any], home: Path) -> AsyncGenerator[Agent]:
    """The client, with what Claude Desktop gives a server: the entry, `/`, and the system's own PATH."""
    # The mark by which a server that outlives the tests is found.
    marks = {"GATEWRIGHT_TEST_RUN": os.environ["GATEWRIGHT_TEST_RUN"]}
    environment = {**marks, "HOME": str(home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **entry.get("env", {})}
    parameters = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment, cwd="/")
    info = Implementation(name="claude-ai", version="0.1.0")
    async with Client(stdio_client(parameters), client_info=info) as connected:
        yield Agent(connected, "claude")


async def test_a_change_goes_through_all_stages_with_files_and_read_artifact_alone(
    configured: Configured, tmp_path: Path
) -> None:
    repository, entry = configured
    before = repository.checkout_bytes(), repository.git("status", "--porcelain", "--ignored")
    async with desktop(entry, tmp_path) as claude:
        change = await claude.start("Subtract")
        plan = await claude.claim(change)
        lease = plan["lease"]
        passed = await claude.get("submit_artifact", lease=lease, summary="Plan", files={_path_of(plan): PLAN})
        assert passed["outcome"] == "passed", passed.text

        code = await claude.claim(change)
        [given] = code["inputs"]
        read = await claude.get("read_artifact", change=change, stage=given["stage"], path=given["paths"][0])
        assert read["text"] == PLAN
        base = await claude.get("read_artifact", change=change, stage="code", path="calc.py")
        wrong = f"{base['text']}\n\ndef sub(a, b):\n    return a + b\n"
        refused = await claude.get("submit_artifact", lease=code["lease"], summary="Sub", files={"calc.py": wrong})
        assert refused["outcome"] == "failed"
        attempt = await claude.get("read_artifact", change=change, stage="code", path="calc.py")
        mended = attempt["text"].replace("def sub(a, b):\n    return a + b", "def sub(a, b):\n    return a - b")
        passed = await claude.get("submit_artifact", lease=code["lease"], summary="Mend", files={"calc.py": mended})
        assert passed["outcome"] == "passed", passed.text
        await _landed(claude, change)

    assert "return a - b" in repository.git("show", "main:calc.py")
    assert before[0][0] == repository.checkout_bytes()[0], "HEAD is where it was"
    assert repository.git("status", "--porcelain") == ""


def _path_of(brief: Any) -> str:  # noqa: ANN401 - a reply, as JSON
    [path] = brief["writes"]
    assert not set(path) & set("*?["), "a client without files is told the very path"
    return str(path)


async def _landed(claude: Agent, change: str) -> None:
    after = 0
    with anyio.fail_after(LANDED_WITHIN_S):
        while True:
            status = await claude.get("get_status", change=change)
            if status["changes"][0]["state"] == "landed":
                return
            after = (await claude.get("wait_for_update", change=change, after=after, wait_s=5))["position"]
