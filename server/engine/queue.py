"""Procrastinate's jobs, as a worker needs them: who works, what to run next, and whose worker is gone.

Through the library's own manager of jobs, and not through its worker: that one ends when a heartbeat fails, and ends
what it runs; a gate of an hour is to survive a restart of the database.
Source: docs/decisions/0022-procrastinate-delivers.md
"""

from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as ProcrastinateJob
from procrastinate.jobs import Status

from ..store.deliveries import ARGUMENT, TASK, queue_of
from ..store.postgres import PATIENCE, SETTINGS

CONNECTIONS_MAX = 2
CONNECTION_TIMEOUT_S = 5.0
# A worker that has said nothing for so long is gone, for all that others know.
STALLED_AFTER_S = 6.0
# After it nobody needs to know any more that there was one.
FORGOTTEN_AFTER_S = 60.0


class QueueDown(Exception):
    """The database does not answer, or refuses; `str()` is a sentence without the address."""


class Forgotten(QueueDown):
    """This worker was away for so long that it has to register anew."""


@dataclass(frozen=True, slots=True)
class Job:
    """An evaluation to run. `worker` is who has it, or had it last; None when even that is forgotten."""

    id: int
    evaluation: str
    worker: int | None


class Queue:
    """The queues that a worker with `labels` can serve. Every method may raise `QueueDown`."""

    def __init__(self, url: str, labels: Collection[str]) -> None:
        self.labels = tuple(labels)
        self._queues = [queue_of(found) for count in range(len(labels) + 1) for found in combinations(labels, count)]
        self._app = App(
            connector=PsycopgConnector(
                conninfo=url,
                kwargs=dict(PATIENCE),
                configure=_configure,
                min_size=1,
                max_size=CONNECTIONS_MAX,
                timeout=CONNECTION_TIMEOUT_S,
                name="queue",
            )
        )
        self._manager = self._app.job_manager

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Connected until the block ends; lost connections are replaced."""
        async with self._app.open_async():
            yield

    async def register(self) -> int:
        """Be known as a worker; the number of this one."""
        with _told():
            return await self._manager.register_worker()

    async def unregister(self, worker: int) -> None:
        """Work no longer: what it had not finished is anybody's at once."""
        with _told():
            await self._manager.unregister_worker(worker)

    async def beat(self, worker: int) -> None:
        """Say that it is alive."""
        with _told():
            await self._manager.update_heartbeat(worker)

    async def fetch(self, worker: int) -> Job | None:
        """The next job for it, which nobody else gets. Raises `Forgotten`."""
        with _told():
            found = await self._manager.fetch_job(self._queues, worker)
        return None if found is None else _job(found)

    async def finish(self, job: Job) -> None:
        """Forget a job: its evaluation is settled, or nobody's any more."""
        with _told():
            await self._manager.finish_job_by_id_async(job.id, Status.SUCCEEDED, delete_job=True)

    async def bring_again(self, job: Job, at: datetime) -> None:
        """Have a job brought to somebody from then on."""
        with _told():
            await self._manager.retry_job_by_id_async(job.id, at)

    async def jobs_of(self, worker: int) -> tuple[Job, ...]:
        """What the worker has, for all that the queue knows."""
        with _told():
            found = await self._manager.list_jobs_async(task=TASK, status=Status.DOING.value, worker_id=worker)
        return tuple(map(_job, found))

    async def stalled(self) -> tuple[Job, ...]:
        """What workers had who are gone."""
        with _told():
            found = await self._manager.get_stalled_jobs(task_name=TASK, seconds_since_heartbeat=STALLED_AFTER_S)
        return tuple(map(_job, found))

    async def forget_workers(self) -> None:
        """Forget those who have been gone for long."""
        with _told():
            await self._manager.prune_stalled_workers(FORGOTTEN_AFTER_S)


async def _configure(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    names = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SETTINGS.items())
    await connection.set_autocommit(True)
    await connection.execute(f"SELECT {names}".encode())


def _job(found: ProcrastinateJob) -> Job:
    assert found.id is not None, "it was read from the queue"
    return Job(found.id, str(found.task_kwargs[ARGUMENT]), found.worker_id)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except ConnectorException as exc:
        cause = exc.__cause__
        if isinstance(cause, psycopg.errors.ForeignKeyViolation):
            raise Forgotten("This worker was away for so long that others took it for gone.") from exc
        raise QueueDown(f"The queue does not answer ({type(cause or exc).__name__}).") from exc
