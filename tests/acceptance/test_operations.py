"""What whoever keeps a team running does: bring a back-up into another PostgreSQL, and replace replicas one by one."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx2
import pytest

from gatewright.schemas.records import ChangeState
from gatewright.server.cli.main import main
from gatewright.server.store import StoreUnusable, open_database

from ..postgres import QUICK, Cluster, _emptied_database, database_url, new_cluster, postgres, remove
from ..server.engine.crew import Crew, handed_in, settled
from ..server.http.house import HEADERS, bearer
from .house import WITHIN_S, solo
from .serve_process import issue_in
from .team import Team

__all__ = ["_emptied_database", "database_url", "postgres"]

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

# More than a new server has had by itself.
USED_UP = 3_000
CALLS_BETWEEN = 5
START_WITHIN_S = 90.0


@pytest.fixture
def elsewhere() -> Iterator[Cluster]:
    made = new_cluster(QUICK)
    try:
        yield made
    finally:
        remove(made)


async def test_a_back_up_goes_on_in_another_server_with_leases_and_work_from_before(
    tmp_path: Path, postgres: Cluster, database_url: str, elsewhere: Cluster
) -> None:
    """As docs/team-operations.md says: pg_dump, pg_restore, gatewright migrate."""
    crew = Crew(tmp_path, database_url, solo())
    ada_clone, bob_clone = crew.team.clone("ada"), crew.team.clone("bob")
    async with crew.serving("before") as server:
        async with server.agent("ada") as ada:
            held = await ada.start()
            brief = await ada.claim(held)
        waiting, _ = await handed_in(server, bob_clone, {"other.py": "other = 1\n"})
    # The numbers of transactions are far beyond those of the other server, as they are after some days.
    numbers = f"DO $$ BEGIN FOR n IN 1..{USED_UP} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    crew.sql(numbers)
    async with crew.serving("before") as server, server.agent("cyd") as cyd:
        await cyd.start("A change with high numbers")
    restored = elsewhere.url(elsewhere.new_database())
    dump = tmp_path / "gatewright.dump"
    _run(postgres, "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={database_url}")
    _run(elsewhere, "pg_restore", "--exit-on-error", f"--dbname={restored}", str(dump))

    with pytest.raises(StoreUnusable, match="run `gatewright migrate` once"):
        open_database(restored)
    assert main(["migrate", "--database-url", restored]) == 0
    crew.url = restored
    crew.hire("after")
    try:
        async with crew.serving("after") as server, server.agent("ada") as ada:
            ada_clone.follow(brief, **{"sub.py": "def sub(a, b):\n    return a - b\n"})
            verdict = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=60)
            judged = await settled(server, f"{waiting}.e1")
            landed = [await server.landed(change) for change in (held, waiting)]
    finally:
        crew.dismiss()

    assert verdict["outcome"] == "passed", verdict.text
    assert judged.change == waiting
    assert all(record.landed_commit for record in landed)
    assert {"sub.py", "other.py"} <= crew.team.files()


class Replica:
    """One that is ended and started again at the same address."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str]) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / f"{name}.log"
        self._environment = {**os.environ, **environment, "GATEWRIGHT_STATE": str(folder / name)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gatewright", "serve", "--listen", self.address]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        deadline = time.monotonic() + START_WITHIN_S
        while not self.is_ready():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def is_ready(self) -> bool:
        with suppress(httpx2.TransportError):
            return httpx2.get(f"http://{self.address}/readyz").status_code == 200
        return False

    def end(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WITHIN_S)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Balancer:
    """A client behind one: it asks the first replica that takes the call, and notes whatever it is told."""

    def __init__(self, replicas: list[Replica], token: str) -> None:
        self._replicas = replicas
        self._http = httpx2.Client(timeout=WITHIN_S, headers={**HEADERS, **bearer(token)})
        self._ends = threading.Event()
        self.told: list[str] = []
        self.done = 0
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Balancer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(2 * WITHIN_S)
        self._http.close()

    def wait_for_calls(self) -> None:
        """Until some more were done, so that each step is seen from both sides."""
        wanted, deadline = self.done + CALLS_BETWEEN, time.monotonic() + WITHIN_S
        while self.done < wanted:
            assert time.monotonic() < deadline, f"no call is answered: {self.told[-5:]}"
            time.sleep(0.02)

    def _work(self) -> None:
        while not self._ends.is_set():
            self._start_change(f"key-{self.done}")
            self.done += 1

    def _start_change(self, key: str) -> None:
        arguments = {"title": key, "intent": "Add something.", "key": key}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        call |= {"params": {"name": "start_change", "arguments": arguments}}
        while not self._ends.is_set():
            for replica in self._replicas:
                try:
                    answer = self._http.post(f"http://{replica.address}/mcp", json=call)
                except httpx2.ConnectError:
                    continue  # nobody listens there: a balancer goes on to the next one
                except httpx2.TransportError as exc:
                    self.told.append(f"cut off: {exc!r}")
                    continue
                if answer.status_code == 200:
                    self.told.append(_told(answer.text))
                    return
                self.told.append(f"{answer.status_code}{' retry-after' * ('retry-after' in answer.headers)}")
            time.sleep(0.05)


def test_replicas_are_replaced_one_by_one_and_no_call_fails(tmp_path: Path, database_url: str) -> None:
    team = Team(tmp_path / "team")
    with closing(open_database(database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
        token = issue_in(store)
    environment = {"GATEWRIGHT_DATABASE_URL": database_url, "GATEWRIGHT_REMOTE": team.url}
    replicas = [Replica(tmp_path, name, environment) for name in ("one", "two")]
    with ExitStack() as at_end:
        for replica in replicas:
            at_end.callback(replica.kill)
            replica.start()
        with Balancer(replicas, token) as client:
            for replica in replicas:
                client.wait_for_calls()
                assert replica.end() == 0
                client.wait_for_calls()
                replica.start()
            client.wait_for_calls()

    assert set(client.told) <= {"started", "503 retry-after"}, set(client.told)
    assert client.told.count("started") >= 5 * CALLS_BETWEEN
    with closing(open_database(database_url)) as store:
        changes = store.read(lambda tx: tx.count_changes(ChangeState))
    assert changes == client.told.count("started"), "each once"


def _told(body: str) -> str:
    """What the answer to a call says: `started`, or the text of a refusal."""
    data = (
        next(line for line in body.splitlines() if line.startswith("data: ")) if "data: " in body else f"data: {body}"
    )
    result = json.loads(data.removeprefix("data: "))["result"]
    return "started" if not result.get("isError") else str(result["content"][0]["text"])


def _run(cluster: Cluster, program: str, *arguments: str) -> None:
    subprocess.run([str(cluster.programs / program), *arguments], check=True, timeout=WITHIN_S)
