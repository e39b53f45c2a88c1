"""The server's own engine: slots for all agents of the repository."""

import logging
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refused
from ..liveness import is_running
from ..services import Services
from ..signal import wait_for
from ..store import EvaluationRow, EvaluationState, Purpose
from ..telemetry.about import about
from ..telemetry.watching import watcher
from .execution import LOST_AFTER_S
from .judging import execute
from .landing import execute_landing, finish_landings, intended_landings, retry_blocked
from .runners import Runners

if TYPE_CHECKING:
    from ..store.tx import Tx

# Two at least: a long suite of one change must not keep another change's quick gate waiting.
EVALUATIONS_AT_ONCE = max(2, os.cpu_count() or 1)
LOOK_AT_LEAST_EVERY_S = 2.0
WARM_UP_AFTER_S = 0.5
ASIDE_AFTER_S = 3.0
STORE_DOWN_PAUSE_S = 1.0

log = logging.getLogger(__name__)


class EmbeddedEngine:
    """Runs evaluations in this process's runners."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: set[str] = set()
        self._stuck: dict[str, str] = {}
        self._set_aside: set[str] = set()
        self._obstacles_looked_at = -math.inf

    def is_busy(self) -> bool:
        """Whether an evaluation is running here."""
        return bool(self._running)

    async def work(self) -> None:
        """Run evaluations as they become due, until cancelled."""
        async with anyio.create_task_group() as tasks:
            runners = Runners(tasks)
            watcher().runs(lambda: len(self._running), EVALUATIONS_AT_ONCE)
            tasks.start_soon(_warm_up_soon, runners)
            try:
                while True:
                    ticket = self._services.changed.ticket()
                    try:
                        pause_s = await self._look(tasks, runners)
                    except Refused as exc:
                        log.warning("the store is unavailable: %s", exc)
                        pause_s = STORE_DOWN_PAUSE_S
                    await wait_for(ticket, pause_s)
            finally:
                with anyio.CancelScope(shield=True):
                    await runners.aclose()

    async def _look(self, tasks: TaskGroup, runners: Runners) -> float:
        """Start what is due and carry out what was decided; returns how long nothing more can be due."""
        if self._services.is_draining:
            return LOOK_AT_LEAST_EVERY_S
        if anyio.current_time() - self._obstacles_looked_at >= LOOK_AT_LEAST_EVERY_S:
            await self._aside(tasks, "blocked", self._retry_blocked)
        free = EVALUATIONS_AT_ONCE - len(self._running)
        now = self._services.clock()
        intended, due, upcoming = await self._services.read(lambda tx: self._work_of(tx, free))
        if intended or self._stuck:
            await self._aside(tasks, "intended", lambda: self._land(intended))
            _, due, upcoming = await self._services.read(lambda tx: self._work_of(tx, free))
        for row in due:
            self._running.add(row.id)
            tasks.start_soon(self._run, row, runners)
        if upcoming is None or free <= len(due):
            return LOOK_AT_LEAST_EVERY_S
        return min(LOOK_AT_LEAST_EVERY_S, max(0.05, (upcoming - now).total_seconds()))

    async def _aside(self, tasks: TaskGroup, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do what may have to wait for a remote, not twice at once, and go on without it when it takes its time.

        On one machine it does not: what is due next begins after it, from where the target is then.
        """
        if name in self._set_aside:
            return
        self._set_aside.add(name)
        done, is_late = anyio.Event(), False

        async def run() -> None:
            try:
                await work()
            except Refused as exc:
                log.warning("the store is unavailable: %s", exc)
            finally:
                self._set_aside.discard(name)
                done.set()
                if is_late:
                    self._services.changed.fire()

        tasks.start_soon(run)
        with anyio.move_on_after(ASIDE_AFTER_S):
            await done.wait()
        is_late = not done.is_set()

    async def _land(self, intended: Sequence[ChangeRecord]) -> None:
        """Move what is decided; what cannot be moved now is said once and tried again."""
        problems = await finish_landings(self._services, intended)
        for change, problem in problems.items():
            if self._stuck.get(change) != problem:
                log.warning("%s cannot land now: %s", change, problem)
        self._stuck = problems

    async def _retry_blocked(self) -> None:
        """Now and then: what blocks a landing lies in somebody's files, and no change of the store tells of it."""
        try:
            await retry_blocked(self._services)
        finally:
            self._obstacles_looked_at = anyio.current_time()

    def _work_of(self, tx: "Tx", free: int) -> tuple[Sequence[ChangeRecord], list[EvaluationRow], datetime | None]:
        """The landings to carry out, which come first, the evaluations to start, and when the next may be due."""
        return intended_landings(tx), self._due(tx, free), tx.next_due()

    def _due(self, tx: "Tx", free: int) -> list[EvaluationRow]:
        if free <= 0:
            return []
        now = self._services.clock()
        stale = now - timedelta(seconds=LOST_AFTER_S)
        rows = tx.due_evaluations(now, stale_before=stale, limit=free + len(self._running))
        return [row for row in rows if row.id not in self._running][:free]

    async def _run(self, row: EvaluationRow, runners: Runners) -> None:
        try:
            with about(change=row.change, stage=row.stage, evaluation=row.id):
                if row.purpose is Purpose.LAND:
                    await execute_landing(self._services, runners, row)
                else:
                    await execute(self._services, runners, row)
        except Refused as exc:
            # Nothing was settled: its heartbeat ages and it is taken again when the store is back.
            log.warning("%s could not be settled: %s", row.id, exc)
        except Exception:  # a defect of ours in one evaluation must not end the others
            log.exception("evaluation %s failed in our own code", row.id)
        finally:
            self._running.discard(row.id)
            self._services.changed.fire()


async def _warm_up_soon(runners: Runners) -> None:
    # Not at once: the client's first calls need the processor more.
    await anyio.sleep(WARM_UP_AFTER_S)
    await runners.warm_up()


async def adopt_lost(services: Services) -> None:
    """Queue again what a server that is gone was running; called before the first connection is served."""

    def adopt(tx: "Tx") -> None:
        for row in tx.evaluations(states=[EvaluationState.RUNNING]):
            if row.token is not None and not _is_alive(row.token):
                tx.requeue_evaluation(row.id, row.token, services.clock())

    await services.run(adopt)


def _is_alive(token: str) -> bool:
    owner = token.partition(".")[0]
    return owner.isdigit() and int(owner) != os.getpid() and is_running(int(owner))
