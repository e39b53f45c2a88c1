"""A team on PostgreSQL: a shared remote, servers in this process, and workers that are real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import psycopg

from gatewright.server.app import GatewrightApplication
from gatewright.server.composition import open_team_services
from gatewright.server.store import EvaluationRow, open_database
from tests.acceptance.house import Server, Told
from tests.acceptance.team import Clone, Team

WITHIN_S = 40.0
LOOK_EVERY_S = 0.02


class Worker:
    """`gatewright worker`, from its start to its end; whatever it says goes into a file."""

    def __init__(
        self,
        crew: "Crew",
        name: str,
        *options: str,
        url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state = crew.path / f"worker-{name}"
        self.log = crew.path / f"worker-{name}.log"
        command = [sys.executable, "-m", "gatewright", "worker", "--remote", crew.team.url, "--state", str(self.state)]
        whole = {**os.environ, "GATEWRIGHT_DATABASE_URL": url or crew.url, **(environment or {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=whole
            )

    async def ready(self) -> "Worker":
        await until(lambda: "working as" in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def said(self) -> str:
        return self.log.read_text()

    def send(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN_S)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(WITHIN_S)


class Crew:
    """What they share; `url` is their database."""

    def __init__(self, path: Path, url: str, pipeline: str) -> None:
        self.path = path
        self.url = url
        self.team = Team(path / "team", pipeline)
        self._hired: list[Worker] = []
        with closing(open_database(url)) as store:
            store.run(lambda tx: tx.meta_set("target", "main"))

    def hire(
        self, name: str, *options: str, url: str | None = None, environment: Mapping[str, str] | None = None
    ) -> Worker:
        self._hired.append(Worker(self, name, *options, url=url, environment=environment))
        return self._hired[-1]

    def dismiss(self) -> None:
        """End whoever still works."""
        for worker in self._hired:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.kill()

    @asynccontextmanager
    async def serving(self, replica: str = "one") -> AsyncGenerator[Server]:
        services = open_team_services(open_database(self.url), self.team.url, self.path / f"server-{replica}")
        application = GatewrightApplication(lambda: services)
        await application.services()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(application.run)
                yield Server(application, services)
                tasks.cancel_scope.cancel()
        finally:
            services.store.close()

    def jobs(self) -> list[tuple[str, str, str]]:
        """(evaluation, queue, status) of all jobs."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(
                "SELECT queueing_lock, queue_name, status::text FROM gatewright.procrastinate_jobs ORDER BY id"
            ).fetchall()

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET search_path = gatewright")
            connection.execute(statement.encode())


async def until(is_so: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Look again and again: what is waited for happens in other processes."""
    with anyio.fail_after(within_s):
        while True:
            if is_so():
                return
            await anyio.sleep(LOOK_EVERY_S)


async def handed_in(server: Server, clone: Clone, files: dict[str, str]) -> tuple[str, Told]:
    """A change with one stage handed in, whose verdict is still to come; with the brief that it was done by."""
    async with server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **files)
        async with anyio.create_task_group() as tasks:

            async def submit() -> None:
                await ada.call("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=0)

            tasks.start_soon(submit)
    return change, brief


async def settled(server: Server, evaluation: str) -> EvaluationRow:
    """The evaluation once it is settled."""
    with anyio.fail_after(WITHIN_S):
        while True:
            row = await server.services.read(lambda tx: tx.find_evaluation(evaluation))
            if row is not None and row.state == "settled":
                return row
            await anyio.sleep(LOOK_EVERY_S)
