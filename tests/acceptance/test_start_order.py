"""A team's server and worker that are started before their database and their remote, on real ones of both."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest

from gatewright.server.cli.main import main
from gatewright.server.composition import open_team_services
from gatewright.server.store import StoreClosed, StoreUnavailable, create_database, open_database

from ..postgres import QUICK, Cluster, new_cluster, remove
from ..server.http.house import HEADERS, LIST_TOOLS, bearer
from .house import WITHIN_S
from .serve_process import issue_in
from .team import Team

LOOK_EVERY_S = 0.05


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One of this module's own: it is stopped, and its doors are changed."""
    made = new_cluster(QUICK)
    try:
        yield made
    finally:
        remove(made)


@pytest.fixture
def url(cluster: Cluster) -> str:
    made = cluster.url(cluster.new_database())
    create_database(made)
    return made


def until(is_so: Callable[[], object], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, why()
        time.sleep(LOOK_EVERY_S)


class Started:
    """A command of a team, and what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        return self._log.read_text()

    def until_said(self, words: str) -> None:
        until(lambda: words in self.said() or self.process.poll() is not None, self.said)
        assert words in self.said()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)


@contextmanager
def started(folder: Path, url: str, team: Team, *command: str) -> Generator[Started]:
    log = folder / f"{command[0]}.log"
    environment = {**os.environ, "GATEWRIGHT_DATABASE_URL": url, "GATEWRIGHT_REMOTE": team.url}
    environment["GATEWRIGHT_STATE"] = str(folder / f"state-{command[0]}")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gatewright", *command], stdout=out, stderr=out, env=environment
        )
    try:
        yield Started(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_they_wait_for_the_database_and_the_remote_and_begin_when_both_are_there(
    tmp_path: Path, cluster: Cluster, url: str
) -> None:
    team, hidden = Team(tmp_path / "team"), tmp_path / "hidden.git"
    with closing(open_database(url)) as store:
        token = issue_in(store)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
    cluster.stop()
    team.remote.rename(hidden)
    with (
        started(tmp_path, url, team, "serve", "--listen", base.removeprefix("http://")) as server,
        started(tmp_path, url, team, "worker") as worker,
        httpx2.Client(timeout=WITHIN_S, headers={**HEADERS, **bearer(token)}) as http,
    ):

        def ask() -> tuple[int, int, int]:
            call = http.post(f"{base}/mcp", json=LIST_TOOLS)
            assert (call.status_code == 503) == ("retry-after" in call.headers)
            return (http.get(f"{base}/healthz").status_code, http.get(f"{base}/readyz").status_code, call.status_code)

        for process in (server, worker):
            process.until_said("there is no such socket")
        without_database = ask()
        because = http.get(f"{base}/readyz").json()["because"]
        cluster.start()
        for process in (server, worker):
            process.until_said("The git remote")
        without_remote = ask()
        hidden.rename(team.remote)
        server.until_said("Serving on")
        worker.until_said("working as")
        until(lambda: http.get(f"{base}/readyz").status_code == 200, server.said)
        with_both = ask()
        ended = (server.end(), worker.end())

    assert (without_database, because) == ((200, 503, 503), "starting")
    assert without_remote == (200, 503, 503)
    assert with_both == (200, 200, 200)
    assert ended == (0, 0)
    assert "Traceback" not in server.said() + worker.said()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_who_is_told_to_end_while_waiting_ends_well(tmp_path: Path, command: str) -> None:
    team = Team(tmp_path / "team")
    options = ("--listen", "127.0.0.1:0") if command == "serve" else ()
    with started(tmp_path, "postgresql:///x?host=/nowhere", team, command, *options) as waiting:
        waiting.until_said("waiting, and trying again")
        status = waiting.end()

    assert status == 0, waiting.said()
    assert "Traceback" not in waiting.said()


def test_what_waiting_does_not_change_ends_it_with_a_sentence(
    tmp_path: Path, cluster: Cluster, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A password that is refused, nobody of that name, no such database, no store in it, a newer store."""
    cluster.do("CREATE ROLE ann LOGIN PASSWORD 'right'")
    doors = cluster.folder / "data" / "pg_hba.conf"
    doors.write_text("local all gatewright trust\nlocal all all scram-sha-256\n")
    cluster.do("SELECT pg_reload_conf()")
    name = url.partition("?")[0].rpartition("/")[2]
    empty = cluster.url(cluster.new_database())

    def ended(address: str) -> str:
        options = ["--database-url", address, "--remote", "file:///nowhere", "--state", str(tmp_path / "state")]
        status = main(["serve", "--listen", "127.0.0.1:0", *options])
        told = capsys.readouterr().err
        assert (status, "wrong" in told) == (3, False), told
        return told

    host = f"?host={cluster.folder}"
    assert "refuses this name and password" in ended(f"postgresql://ann:wrong@/{name}{host}")
    assert "asks for a password" in ended(f"postgresql://ann@/{name}{host}")
    assert "no such database or role" in ended(cluster.url("nothing"))
    assert "gatewright migrate" in ended(empty)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE gatewright.meta SET value = '99' WHERE name = 'schema_version'")
    assert "newer gatewright" in ended(url)


def test_a_worker_that_is_there_first_waits_for_a_server_to_name_the_trusted_branch(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Its role cannot: what is trusted is read from there."""
    cluster.do("CREATE ROLE hand LOGIN")
    (cluster.folder / "data" / "pg_hba.conf").write_text("local all all trust\n")
    cluster.do("SELECT pg_reload_conf()")
    url, team = cluster.url(cluster.new_database()), Team(tmp_path / "team")
    create_database(url, worker_role="hand")

    with closing(open_database(url.replace("//gatewright@", "//hand@"), is_worker=True)) as store:
        with pytest.raises(StoreUnavailable, match="the first server does") as early:
            open_team_services(store, team.url, tmp_path / "worker")
        with closing(open_database(url)) as servers:
            open_team_services(servers, team.url, tmp_path / "server")
        late = open_team_services(store, team.url, tmp_path / "worker")

    assert not isinstance(early.value, StoreClosed), "it is waited for"
    assert late.policies.target == "main"
