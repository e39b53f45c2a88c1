"""What a tool call costs: each call over stdio against a bare SDK call, and against what does the same by hand.

    python benchmarks/bench_calls.py [rounds]

Prints medians of one run and two ratios: to a call of a bare echo server of the SDK over stdio, and to the raw
equivalent, which is `git worktree add` for a claim and add, commit and a checked fetch into a bare repository for a
submission. The gate is instant (a document of one section). Everybody takes turns, so that a busy machine slows all
alike.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces
from gatewright.server.store import open_store

ROUNDS = 8
# The next runner gets ready meanwhile, as it does while an agent works.
WORK_S = 3.0
GATEWRIGHT = [sys.executable, "-P", "-m", "gatewright"]
BARE_SERVER = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
def echo(text: str) -> str:
    "Answer with the text."
    return text
server.run("stdio")
"""
PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    attempts: 50
    writes: ["plan.md"]
    gates:
      - document: {path: plan.md, sections: [Goal]}
  code:
    needs: [plan]
    goal: Make the change.
    gates: [compile]
land: {needs: [code], strategy: merge}
"""
BARE_CALL = "a bare SDK call"
# What is measured, and the raw equivalent that it is compared to.
RAW: dict[str, str | None] = {
    BARE_CALL: None,
    "get_status": None,
    "start_change": None,
    "claim_stage, its workspace made before": None,
    "claim_stage": "git worktree add",
    "submit_artifact to its verdict": "git add, commit, checked fetch",
    "git worktree add": None,
    "git add, commit, checked fetch": None,
}


class Times:
    """Seconds by name."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    @contextmanager
    def measure(self, name: str) -> Generator[None]:
        """Note how long the block takes."""
        begun = time.perf_counter()
        yield
        self.taken.setdefault(name, []).append(time.perf_counter() - begun)

    def median_ms(self, name: str) -> float:
        """The median in milliseconds."""
        return statistics.median(self.taken[name]) * 1000


class Bench:
    """One repository with a server and a client, a bare server and a client, and git."""

    def __init__(self, folder: Path, ours: Client, bare: Client) -> None:
        self.times = Times()
        self._ours = ours
        self._bare = bare
        self._folder = folder
        self._repository = folder / "repository"
        self._workspaces = Workspaces(open_repository(self._repository))

    async def one_round(self, number: int) -> None:
        """Every call once, with two changes: one is claimed as usual, of the other the workspace exists before."""
        with self.times.measure(BARE_CALL):
            await self._bare.call_tool("echo", {"text": "hello"})
        await self._call("get_status", "get_status")
        change = (await self._call("start_change", "start_change"))["change"]
        await anyio.sleep(WORK_S)
        brief = await self._call("claim_stage", "claim_stage", agent=f"ada-{number}", change=change)
        self._make_by_hand(number)
        workspace = Path(brief["workspace"])
        for words in ("", "Subtract."):
            (workspace / "plan.md").write_text(f"# Goal\n{words}\n")
            verdict = await self._call(
                "submit_artifact to its verdict", "submit_artifact", lease=brief["lease"], summary="Say it"
            )
            assert verdict["state"] == "settled", "a verdict was waited for"
            self._submit_by_hand(number)
            await anyio.sleep(WORK_S)
        other = (await self._call("start_change", "start_change"))["change"]
        self._workspaces.ensure(other, "plan", 1, base=brief["base_commit"], lease="-")
        await self._call(
            "claim_stage, its workspace made before", "claim_stage", agent=f"bob-{number}", change=other, stage="plan"
        )

    async def _call(self, name: str, tool: str, **arguments: object) -> dict[str, Any]:
        if tool == "start_change":
            arguments = {"title": "Subtract", "intent": "Add a function that subtracts."}
        with self.times.measure(name):
            result = await self._ours.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content or {}

    def _make_by_hand(self, number: int) -> None:
        with self.times.measure("git worktree add"):
            git(self._repository, "worktree", "add", "-q", "--detach", str(self._by_hand(number)), "main")

    def _submit_by_hand(self, number: int) -> None:
        place = self._by_hand(number)
        (place / "plan.md").write_text(f"{time.perf_counter()}\n")
        with self.times.measure("git add, commit, checked fetch"):
            git(place, "add", "-A")
            git(place, "commit", "-q", "-m", "Say it")
            commit = git(place, "rev-parse", "HEAD")
            refspec = f"{commit}:refs/kept/{commit}"
            git(self._folder / "bare", "-c", "fetch.fsckObjects=true", "fetch", "-q", str(self._repository), refspec)

    def _by_hand(self, number: int) -> Path:
        return self._folder / f"by-hand-{number}"


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        os.environ["XDG_RUNTIME_DIR"] = name
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        os.environ["GIT_CONFIG_GLOBAL"] = f"{name}/config"
        make_repository(folder)
        times = anyio.run(measure, folder, rounds)
        end_server(folder / "repository")
    report(times, rounds)


async def measure(folder: Path, rounds: int) -> Times:
    bare = [sys.executable, "-c", BARE_SERVER]
    async with connected(GATEWRIGHT, folder / "repository") as ours, connected(bare, folder) as bare_client:
        bench = Bench(folder, ours, bare_client)
        # What only the first call pays is the business of bench_start.py.
        await bench.one_round(-1)
        bench.times = Times()
        for number in range(rounds):
            await bench.one_round(number)
        return bench.times


@asynccontextmanager
async def connected(command: list[str], folder: Path) -> AsyncGenerator[Client]:
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=str(folder), env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        yield client


def make_repository(folder: Path) -> None:
    """With a policy, set up as `gatewright init` does it, and the bare one beside it that is submitted to by hand."""
    repository = folder / "repository"
    (folder / "config").write_text("[user]\n\tname = bench\n\temail = bench@localhost\n[protocol]\n\tversion = 2\n")
    repository.mkdir()
    (repository / "gatewright.yaml").write_text(PIPELINE)
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Begin")
    git(folder, "clone", "-q", "--bare", str(repository), "bare")
    store = open_store(repository / ".git" / "gatewright", create=True)
    store.run(lambda tx: tx.meta_set("target", "main"))
    store.close()


def end_server(repository: Path) -> None:
    pid = int((repository / ".git" / "gatewright" / "server.pid").read_text())
    os.kill(pid, 15)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def report(times: Times, rounds: int) -> None:
    print(f"median of {rounds} rounds{'':32} {'ms':>7} {'of bare':>8} {'of raw':>7}")
    for name, raw in RAW.items():
        median_ms = times.median_ms(name)
        of_raw = f"{median_ms / times.median_ms(raw):7.2f}" if raw is not None else ""
        print(f"  {name:46} {median_ms:7.1f} {median_ms / times.median_ms(BARE_CALL):8.1f} {of_raw}")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
