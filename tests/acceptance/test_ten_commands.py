"""Setting a team up as docs/team.md says: its very commands, at a terminal, on a PostgreSQL and a remote of the test's.

Three programs stand in: `sudo` asks this PostgreSQL as its owner, `pipx` would fetch what is installed here, and
`claude` keeps the address and the header that it is told, with which the SDK's client then does what an agent does.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from ..postgres import QUICK, Cluster, new_cluster, remove
from .house import PLAN, WITHIN_S, Agent
from .team import Clone

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

PAGE = Path(__file__).parents[2] / "docs" / "team.md"
HEADING = "## Set up in ten commands"
LISTEN = "127.0.0.1:8765"
SET_UP_S = 60.0
DONE = "ALL IS SET UP"
# Without tests, or gates would fetch what runs them.
PROJECT = {"calc.py": "def add(a, b):\n    return a + b\n", "README.md": "# A shop\n"}
WORK = {"sub.py": "def sub(a, b):\n    return a - b  # R1\n"}


def commands() -> list[str]:
    """What stands under the heading, one text for each number, in order."""
    section = PAGE.read_text("utf-8").partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^# (\d+)\. .*\n", block, flags=re.MULTILINE)
    assert parts[0] == "", "every command has its number"
    assert [int(number) for number in parts[1::2]] == list(range(1, 11)), "they are ten"
    return parts[2::2]


class Machine:
    """A home, a PostgreSQL that wants passwords, a project on a remote, and the programs that stand in."""

    def __init__(self, path: Path, cluster: Cluster, port: int) -> None:
        self.home = path / "home"
        self.remote = path / "shop.git"
        self.listen = f"127.0.0.1:{port}"
        self._told = path / "told.json"
        programs = path / "programs"
        for folder in (self.home, programs):
            folder.mkdir()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.remote)], check=True)
        Clone(path / "person", str(self.remote)).commit("Begin", **PROJECT)
        subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=path / "person", check=True)
        _script(programs / "sudo", f'shift 2; PGHOST={cluster.folder} PGUSER=gatewright PGDATABASE=postgres exec "$@"')
        _script(programs / "pipx", f'test "$*" = "install gatewright[team]" && {sys.executable} -c \'import psycopg\'')
        keep = f"import json, sys; json.dump(sys.argv[1:], open({str(self._told)!r}, 'w'))"
        (programs / "claude").write_text(f"#!{sys.executable}\n{keep}\n")
        (programs / "claude").chmod(0o755)
        path_of = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment = {
            **os.environ,
            "PATH": ":".join(path_of),
            "HOME": str(self.home),
            "PROJECT": str(self.remote),
        }
        self._environment |= {"PGPORT": str(cluster.port), "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig")}
        shutil.copyfile(os.environ["GIT_CONFIG_GLOBAL"], self.home / ".gitconfig")
        self._pid, self._terminal = -1, -1

    def set_up(self) -> str:
        """Type everything at a terminal, as on the page but for the port; what was shown."""
        assert sum(LISTEN in command for command in commands()) == 2
        whole = "".join(commands()).replace(LISTEN, self.listen)
        script = self.home / "page.sh"
        script.write_text(f"set -e\n{whole}echo '{DONE}'\nwait\n")
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(self.home)
            os.execvpe("bash", ["bash", str(script)], self._environment)
        return self._talk()

    def told(self) -> tuple[str, list[str]]:
        """The address and what else the agent's client was told."""
        told: list[str] = json.loads(self._told.read_text())
        return next(word for word in told if word.startswith("http://")), told

    def end(self) -> None:
        if self._pid < 0:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            time.sleep(0.05)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.close(self._terminal)

    def _talk(self) -> str:
        """Answer the one question, and read until all commands have been given and both services say that they run."""
        shown, deadline, has_answered = "", time.monotonic() + SET_UP_S, False
        while not all(words in shown for words in (f"{DONE}\r\n", "Serving on", "working as")):
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"nothing more was said after: {shown}"
            try:
                shown += os.read(self._terminal, 65_536).decode("utf-8", "replace")
            except OSError:
                pytest.fail(f"it ended: {shown}")
            if not has_answered and shown.endswith("from now on: "):
                has_answered = True
                os.write(self._terminal, b"ada\n")
        return shown.replace("\r\n", "\n")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with closing(socket.create_server(("127.0.0.1", 0))) as one, closing(socket.create_server(("127.0.0.1", 0))) as two:
        ports = [held.getsockname()[1] for held in (one, two)]
    cluster = new_cluster(QUICK, port=ports[0])
    doors = cluster.folder / "data" / "pg_hba.conf"
    # As Debian has it: the owner by the socket, everybody else with a password.
    doors.write_text("local all gatewright trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    cluster.do("SELECT pg_reload_conf()")
    made = Machine(tmp_path, cluster, ports[1])
    try:
        yield made
    finally:
        made.end()
        remove(cluster)


@asynccontextmanager
async def connected(url: str, header: str) -> AsyncGenerator[Agent]:
    name, _, value = header.partition(": ")
    async with (
        httpx2.AsyncClient(headers={name: value}, timeout=90) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Agent(client, "ada")


async def test_ten_commands_make_a_team_that_lands_an_agents_change(machine: Machine) -> None:
    shown = await anyio.to_thread.run_sync(machine.set_up)
    (token,) = set(re.findall(r"gwt_[A-Za-z0-9_-]{43}", shown))
    url, told = machine.told()
    header = told[told.index("--header") + 1].replace("${GATEWRIGHT_TOKEN}", token)
    clone = Clone(machine.home / "ada", str(machine.remote))

    async with connected(url, header) as ada:
        change = await ada.start()
        plan = await ada.claim(change)
        clone.follow(plan, **{f"docs/changes/{change}.md": PLAN})
        planned = await ada.get("submit_artifact", lease=plan["lease"], summary="Plan.", wait_s=90)
        code = await ada.claim(change)
        clone.follow(code, **WORK)
        coded = await ada.get("submit_artifact", lease=code["lease"], summary="Code.", wait_s=90)
        landed = await _landed(ada, change)

    clone.git("fetch", "-q", "origin")
    tip = clone.git("rev-parse", "origin/main")
    assert (planned["outcome"], coded["outcome"]) == ("passed", "passed"), f"{planned.text}\n{coded.text}"
    assert landed == f"landed on 'main' as {tip}"
    assert "Traceback" not in shown


async def _landed(agent: Agent, change: str) -> str:
    """How the change stands once it has landed."""
    with anyio.fail_after(3 * WITHIN_S):
        while True:
            (status,) = (await agent.get("get_status", change=change))["changes"]
            if status["state"] == "landed":
                return str(status["landing"])
            await agent.get("wait_for_update", change=change, wait_s=5)


def _script(place: Path, text: str) -> None:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
