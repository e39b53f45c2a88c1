"""A repository with a server and clients, and a bare server of the SDK: for the benchmarks beside this module."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gatewright.gates.machine.commands import Start
from gatewright.gates.policy import plan_of
from gatewright.schemas.plan import PolicyPin
from gatewright.schemas.records import ChangeState
from gatewright.server.composition import open_services
from gatewright.server.leases import Leases
from gatewright.server.operations.deciding import apply
from gatewright.server.store import open_store
from gatewright.server.store.tx import Tx

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
BARE = [sys.executable, "-c", BARE_SERVER]
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
GIT_CONFIG = "[user]\n\tname = bench\n\temail = bench@localhost\n[protocol]\n\tversion = 2\n"
INTENT = "Read the numbers from the file that is named, and say which line is wrong. " * 5
SERVER_ENDS_WITHIN_S = 30.0


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

    def longest_ms(self, name: str) -> float:
        """The longest in milliseconds."""
        return max(self.taken[name]) * 1000


def use_folder(folder: Path) -> None:
    """Have everything that is started from now on keep its sockets, caches and settings below `folder`."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.environ["GIT_CONFIG_GLOBAL"] = str(folder / "config")
    (folder / "config").write_text(GIT_CONFIG)


def make_repository(repository: Path, pipeline: str = PIPELINE) -> None:
    """With a policy, set up as `gatewright init` does it."""
    repository.mkdir()
    (repository / "gatewright.yaml").write_text(pipeline)
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Begin")
    with closing(open_store(repository / ".git" / "gatewright", create=True)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))


def store_changes(repository: Path, count: int) -> None:
    """Put so many changes into the store, all under way: without a server, in one transaction."""
    services = open_services(repository / ".git")
    policy = services.policies.at(services.policies.tip())
    services.artifacts.keep(policy.commit, f"bases/{policy.commit}")
    pin, plan = PolicyPin(policy.commit, policy.digest), plan_of(policy.pipeline)

    def start(tx: Tx) -> None:
        now = datetime.now(UTC)
        for number in range(1, count + 1):
            command = Start(f"c{number}", "Read numbers", INTENT, "bench", policy.commit, "main", pin, plan)
            apply(tx, None, command, now)
        assert len(tx.changes([ChangeState.ACTIVE], limit=count)) == count

    services.store.run(start)
    services.store.close()


def leases_of(repository: Path) -> Leases:
    """The tokens that its server gives out."""
    with closing(open_store(repository / ".git" / "gatewright", create=False)) as store:
        return Leases(store.secret)


def end_server(repository: Path) -> None:
    """End the repository's server and wait until it is gone."""
    pid = int((repository / ".git" / "gatewright" / "server.pid").read_text())
    os.kill(pid, 15)
    deadline = time.monotonic() + SERVER_ENDS_WITHIN_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the server does not end"
        time.sleep(0.01)


def git(folder: Path, *arguments: str) -> str:
    """What git says in `folder`."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
