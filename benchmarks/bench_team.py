"""What a team's work costs, counted: statements, log and rows of PostgreSQL, exchanges with git, processors, memory.

    python benchmarks/bench_team.py [CHANGES]

A PostgreSQL whose commits are durable, git's daemon, one `gatewright serve`, one `gatewright worker`, and agents over
HTTP with clones of their own; all of it on this machine. All changes take one step together, then the next one, and so
to their landing. The gate is instant. What everything costs while nobody does anything is taken off. Printed is what
one step of one change costs: counts, bytes and seconds of processors, which other work on the machine hardly moves.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from team_meters import HEADER, Costs, Rates, memory_mb
from team_site import AGENTS, Site, build

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.acceptance.house import Agent, Told
from tests.acceptance.team import Clone, commands_of
from tests.postgres import find_programs, new_cluster, remove
from tests.server.http.house import bearer

CHANGES = 20
WAITS_OF_AGENT = 20
COMMITS = 10
COMMIT_EVERY_S = 1.0
IDLE_S = 20.0
# From the last answer until nothing of it is under way any more.
SETTLES_S = 3.0
LANDED_WITHIN_S = 300.0
SETTINGS = ["shared_preload_libraries=pg_stat_statements"]


def main(changes: int) -> None:
    if find_programs() is None:
        print("there is no PostgreSQL here (initdb, postgres)")
        return
    with ExitStack() as at_end:
        cluster = new_cluster(SETTINGS)
        at_end.callback(remove, cluster)
        folder = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="gw-bench-")))
        anyio.run(measure, build(cluster, folder, at_end), changes)


async def measure(site: Site, changes: int) -> None:
    async with connected(site) as agents:
        crew = Crew(site, agents)
        # What warms up is done before.
        await crew.take_all(AGENTS)
        idle = await show_idle(site)
        rows, kept = site.database.stored(), site.kept_bytes()
        print(HEADER)
        total = Costs.none()
        for name, step in crew.steps(changes):
            begun = site.read()
            await step()
            await anyio.sleep(SETTLES_S)
            costs = Costs.between(begun, site.read(), idle, changes)
            total = total.plus(costs)
            print(costs.told(name))
        print(total.told("the whole change"))
        show_kept(site, rows, kept, changes)
        await show_waiting(site, agents, idle)


class Crew:
    """Agents who do the steps of all changes, each with the changes that are theirs."""

    def __init__(self, site: Site, agents: list[Agent]) -> None:
        self._site = site
        self._agents = agents
        self._clones = [Clone(site.folder / f"clone-{n}", site.relays["agents"].url) for n in range(len(agents))]
        self._briefs: dict[str, Told] = {}
        self._owners: dict[str, int] = {}
        self._landed = 0

    def steps(self, changes: int) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("start_change", lambda: self._start(changes)),
            ("claim_stage", self._claim),
            ("an attempt that fails", lambda: self._submit("failed")),
            ("an attempt that passes", lambda: self._submit("passed")),
            ("claim_stage, the next one", self._claim),
            ("the last attempt, and landing", self._submit_last),
        ]

    async def take_all(self, changes: int) -> None:
        for _, step in self.steps(changes):
            await step()

    async def _start(self, changes: int) -> None:
        self._owners.clear()
        for number in range(changes):
            owner = number % len(self._agents)
            self._owners[await self._agents[owner].start(f"Add file {number}")] = owner

    async def _claim(self) -> None:
        for change, owner in self._owners.items():
            self._briefs[change] = await self._agents[owner].claim(change)

    async def _submit(self, outcome: str) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(len(self._agents)):
                tasks.start_soon(self._submit_own, number, outcome)

    async def _submit_last(self) -> None:
        await self._submit("passed")
        self._landed += len(self._owners)
        with anyio.fail_after(LANDED_WITHIN_S):
            while self._count_landed() < self._landed:  # noqa: ASYNC110 - by other processes
                await anyio.sleep(0.2)

    def _count_landed(self) -> float:
        return self._site.database.number("SELECT count(*) FROM gatewright.change WHERE state = 'landed'")

    async def _submit_own(self, number: int, outcome: str) -> None:
        agent, clone = self._agents[number], self._clones[number]
        for change in [change for change, owner in self._owners.items() if owner == number]:
            brief = self._briefs[change]
            commit = await anyio.to_thread.run_sync(self._push, clone, brief, change, outcome)
            told = await agent.get("submit_artifact", lease=brief["lease"], summary="Work.", commit=commit, wait_s=45)
            assert told["outcome"] == outcome, told.text

    @staticmethod
    def _push(clone: Clone, brief: Told, change: str, outcome: str) -> str:
        """The commit that an agent pushes: one file of some lines, and for a gate that fails another one."""
        *begin, push = commands_of(brief)
        branch = push.partition("refs/heads/")[2].split()[0]
        if clone.git("branch", "--list", branch):
            clone.git("switch", "-q", branch)
        else:
            for command in begin:
                clone.run(command)
        (clone.path / "broken.txt").unlink(missing_ok=True)
        stage = brief["stage"]
        work = {f"{change}-{stage}.py": f"def work() -> str:\n    return '{change} {stage} {outcome}'\n" * 20}
        clone.commit(**work, **({"broken.txt": "broken\n"} if outcome == "failed" else {}))
        clone.run(push)
        return clone.git("rev-parse", "HEAD")


@asynccontextmanager
async def connected(site: Site) -> AsyncGenerator[list[Agent]]:
    async with AsyncExitStack() as opened:
        agents = []
        for number, token in enumerate(site.tokens):
            http = await opened.enter_async_context(httpx2.AsyncClient(headers=bearer(token), timeout=120))
            transport = streamable_http_client(site.url, http_client=http)
            agents.append(Agent(await opened.enter_async_context(Client(transport)), f"agent-{number}"))
        yield agents


async def show_idle(site: Site) -> Rates:
    await anyio.sleep(SETTLES_S)
    begun = site.read()
    await anyio.sleep(IDLE_S)
    idle = Rates.between(begun, site.read())
    print(idle.told("a server and a worker that have nothing to do"))
    return idle


def show_kept(site: Site, rows: dict[str, tuple[int, int]], kept: dict[str, int], changes: int) -> None:
    after = {name: (now[0] - rows[name][0], now[1] - rows[name][1]) for name, now in site.database.stored().items()}
    for name, (count, size) in sorted(after.items(), key=lambda found: -found[1][1]):
        if count or size:
            print(f"table {name:24} {count / changes:6.1f} rows {size / changes / 1024:7.2f} KiB a change")
    whole = sum(size for _, size in after.values()) / changes / 1024
    print(f"rows of all tables {whole:.1f} KiB a change")
    for name, size in site.kept_bytes().items():
        print(f"{name:16} {(size - kept[name]) / changes / 1024:7.1f} KiB a change on the disk")
    listing = subprocess.run(["git", "ls-remote", "."], cwd=site.remote, check=True, capture_output=True).stdout
    of_all = changes + AGENTS
    names = [line.split()[1].decode() for line in listing.splitlines()]
    kinds = Counter("/".join(name.split("/")[:3]) for name in names)
    told = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    print(f"refs of the remote: {len(names) / of_all:.1f} a change ({told})")
    print(f"the listing of each push: {len(listing) / of_all:.0f} bytes for each change there ever was")


async def show_waiting(site: Site, agents: list[Agent], idle: Rates) -> None:
    """Agents that wait for an update, as those do that have nothing to do: each call is a connection."""
    changes = [await agent.start("Wait for it") for agent in agents]
    positions = [
        (await agent.get("wait_for_update", change=change, wait_s=0))["position"]
        for agent, change in zip(agents, changes, strict=True)
    ]
    await anyio.sleep(SETTLES_S)
    before_mb = memory_mb(site.processes["server"])
    waits = WAITS_OF_AGENT * len(agents)
    async with anyio.create_task_group() as tasks:
        for agent, change, position in zip(agents, changes, positions, strict=True):
            for _ in range(WAITS_OF_AGENT):

                async def wait(agent: Agent = agent, change: str = change, position: int = position) -> None:
                    await agent.get("wait_for_update", change=change, after=position, wait_s=50)

                tasks.start_soon(wait)
        await anyio.sleep(2 * SETTLES_S)
        begun, grown_mb = site.read(), memory_mb(site.processes["server"]) - before_mb
        await anyio.sleep(IDLE_S)
        waiting = Rates.between(begun, site.read())
        begun = site.read()
        for number in range(COMMITS):
            await agents[0].start(f"News {number}")
            await anyio.sleep(COMMIT_EVERY_S)
        heard = Costs.between(begun, site.read(), waiting, COMMITS)
        print(heard.told(f"start_change, and {waits} hear of it"))
        print(waiting.less(idle).told(f"{waits} calls that wait, above that"))
        grown = f"{1024 * grown_mb / waits:.0f} KiB of the server's memory ({before_mb:.0f} MiB before)"
        print(f"a call that waits: {grown}")
        tasks.cancel_scope.cancel()
    print(f"a worker's memory: {memory_mb(site.processes['worker']):.0f} MiB, without its runners")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHANGES)
