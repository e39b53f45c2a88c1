"""The team of bench_team.py: a database, git's daemon, a server and a worker, each behind something that counts."""

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from team_meters import Daemon, Database, Reading, Relay, cpu_s, folder_bytes, wait_until

from gatewright.server.identity import tokens
from gatewright.server.store import Store, create_database, open_database

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.acceptance.team import Clone
from tests.postgres import Cluster
from tests.server.http.house import BY, WORK

AGENTS = 5
# Two stages, so that to pass the first is no landing.
PIPELINE = """\
version: 1
target: main
stages:
  plan: {gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]}
  code: {needs: [plan], gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]}
land: {needs: [code], gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]}
"""


@dataclass
class Site:
    """What runs, and where it is read off."""

    database: Database
    processes: dict[str, int]
    relays: dict[str, Relay]
    url: str
    tokens: list[str]
    folder: Path

    @property
    def remote(self) -> Path:
        return self.folder / "shop.git"

    def read(self) -> Reading:
        git = {who: dict(relay.counts) for who, relay in self.relays.items()}
        return Reading.now(self.database, {who: cpu_s(pid) for who, pid in self.processes.items()}, git)

    def kept_bytes(self) -> dict[str, int]:
        """What lies on disks besides the database."""
        names = {
            "remote": self.remote,
            "server's state": self.folder / "serve",
            "worker's state": self.folder / "worker",
        }
        return {name: folder_bytes(folder) for name, folder in names.items()}


def build(cluster: Cluster, folder: Path, at_end: ExitStack) -> Site:
    """All of it, running; ended by `at_end`."""
    url = cluster.url(cluster.new_database())
    create_database(url)
    with closing(open_database(url)) as store:
        given = [_issue(store, f"agent-{number}") for number in range(AGENTS)]
    _make_remote(folder)
    daemon = Daemon(folder)
    at_end.callback(daemon.close)
    relays = {who: Relay(daemon.port, "shop.git") for who in ("server", "worker", "agents")}
    for relay in relays.values():
        at_end.callback(relay.close)
    server, said = _run(folder, at_end, "serve", url, relays["server"], "--listen", "127.0.0.1:0")
    wait_until(lambda: "Serving on" in said.read_text(), said)
    worker, worker_said = _run(folder, at_end, "worker", url, relays["worker"], "--slots", "2")
    wait_until(lambda: "working as" in worker_said.read_text(), worker_said)
    address = said.read_text().partition("Serving on ")[2].split()[0]
    process = cluster._process  # noqa: SLF001 - whose processor is read
    assert process is not None
    database = Database(url)
    at_end.callback(database.close)
    processes = {"server": server, "worker": worker, "PostgreSQL": process.pid}
    return Site(database, processes, relays, address, given, folder)


def _issue(store: Store, subject: str) -> str:
    token, now, lifetime = tokens.new_token(), datetime.now(UTC), timedelta(days=1)
    scopes = frozenset(WORK)
    store.run(lambda tx: tokens.issue(tx, token, subject=subject, scopes=scopes, lifetime=lifetime, by=BY, now=now))
    return token


def _make_remote(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "shop.git")], check=True)
    person = Clone(folder / "person", str(folder / "shop.git"))
    person.commit("Begin", **{"gatewright.yaml": PIPELINE, "calc.py": "def add(a, b):\n    return a + b\n"})
    person.git("push", "-q", "origin", "HEAD:main")


def _run(folder: Path, at_end: ExitStack, command: str, url: str, relay: Relay, *options: str) -> tuple[int, Path]:
    said = folder / f"{command}.log"
    given = {"DATABASE_URL": url, "REMOTE": relay.url, "STATE": str(folder / command)}
    environment = {**os.environ, **{f"GATEWRIGHT_{name}": value for name, value in given.items()}}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gatewright", command, *options], stdout=out, stderr=out, env=environment
        )

    def end() -> None:
        process.terminate()
        process.wait()

    at_end.callback(end)
    return process.pid, said
