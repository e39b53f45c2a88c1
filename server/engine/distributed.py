"""A worker's engine: evaluations that Procrastinate delivers, at least once, to one of any number of machines.

Who may settle one is told by the token in its row alone, as everywhere. A job that comes twice, late, or to a worker
that was thought to be gone finds the row settled or another's, and is let go.
"""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from ...schemas.refusals import Refused
from ..services import Services
from ..signal import wait_for
from ..store import EvaluationRow, EvaluationState, Purpose
from ..telemetry.about import add_about
from ..telemetry.watching import watcher
from .execution import LOST_AFTER_S
from .judging import execute
from .landing import execute_landing, intended_landings
from .queue import STALLED_AFTER_S, Forgotten, Job, Queue, QueueDown
from .redelivery import deliver_again, take_back
from .runners import Runners

if TYPE_CHECKING:
    from ..store.tx import Tx

BEAT_EVERY_S = 1.0
# Somebody's commit is told by the feed; what was not told is found by a look.
LOOK_AT_LEAST_EVERY_S = 1.0
FEED_EVERY_S = 0.05
TEND_EVERY_S = 1.0
DELIVER_AGAIN_EVERY_S = 10.0
QUEUE_DOWN_PAUSE_S = 1.0
LET_GO_WITHIN_S = 10.0
LANDING_LOOK_EVERY = timedelta(seconds=0.5)
LANDS_WITHIN = timedelta(seconds=10)

# Below it, in the store, what a worker says that its machine has.
_LABELS = "labels of worker "

log = logging.getLogger(__name__)


def labels_key(worker: int) -> str:
    """Under which key of the cache a worker says its labels, parted by commas."""
    return f"{_LABELS}{worker}"


class DistributedEngine:
    """Runs up to `slots` evaluations at once in this process's runners."""

    def __init__(self, services: Services, queue: Queue, *, slots: int, drain_s: float) -> None:
        self._services = services
        self._queue = queue
        self._drain_s = drain_s
        self._worker = 0
        # Every name that this process ran something under.
        self._names: set[str] = set()
        self._running: dict[int, anyio.CancelScope] = {}
        # By evaluation, the job that it is run for: another one for the same has no say about it.
        self._held: dict[str, int] = {}
        self._slots = anyio.Semaphore(slots)
        watcher().runs(lambda: len(self._running), slots)
        # While a job is fetched it is this worker's for the queue, and unknown here yet.
        self._fetching = anyio.Lock()
        self._taking = anyio.CancelScope()
        self._beat_at = self._beats_since = -math.inf

    def is_busy(self) -> bool:
        """Whether an evaluation is running here."""
        return bool(self._running)

    def drain(self) -> None:
        """Take nothing more; `work` ends when all that runs has ended, or was given back after a bounded time."""
        self._services.is_draining = True
        self._taking.cancel()

    async def work(self) -> None:
        """Run what is delivered until drained. Cancelled, it gives back what is running."""
        async with self._queue.opened(), anyio.create_task_group() as tasks:
            await self._persist(self._register)
            runners = Runners(tasks)
            await runners.warm_up()
            tasks.start_soon(self._follow_feed)
            tasks.start_soon(self._beat)
            tasks.start_soon(self._tend)
            try:
                async with self._ending_all(tasks) as evaluations:
                    with self._taking:
                        await self._take(evaluations, runners)
            finally:
                with anyio.CancelScope(shield=True):
                    await runners.aclose()
                    with suppress(QueueDown), anyio.move_on_after(LET_GO_WITHIN_S):
                        await self._queue.unregister(self._worker)
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def _ending_all(self, tasks: TaskGroup) -> AsyncGenerator[TaskGroup]:
        """Evaluations that are waited for in the end, though not longer than is allowed to drain."""
        async with anyio.create_task_group() as evaluations:
            yield evaluations
            tasks.start_soon(self._end_late)

    async def _end_late(self) -> None:
        await anyio.sleep(self._drain_s)
        for scope in list(self._running.values()):
            scope.cancel()

    # -- being known --------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        self._worker = await self._queue.register()
        self._services.runs_as = f"w{self._worker}"
        self._names.add(self._services.runs_as)
        log.info("working as %s", self._services.runs_as)
        with suppress(Refused):
            await self._say_labels()

    async def _say_labels(self) -> None:
        """For whoever looks after the team. What is said may be driven out, so it is said again."""
        key, text = labels_key(self._worker), ",".join(self._queue.labels)
        await self._services.run(lambda tx: tx.cache_put(key, text, self._services.clock()), is_news=False)

    async def _beat(self) -> None:
        while True:
            with suppress(QueueDown):
                await self._queue.beat(self._worker)
                now = anyio.current_time()
                if now - self._beat_at > STALLED_AFTER_S:
                    # Nobody could beat, or this process was stopped: whom it takes for gone now may be as alive.
                    self._beats_since = now
                self._beat_at = now
            await anyio.sleep(BEAT_EVERY_S)

    @property
    def _may_judge_others(self) -> bool:
        now = anyio.current_time()
        return now - self._beat_at < 2 * BEAT_EVERY_S and now - self._beats_since > STALLED_AFTER_S

    async def _follow_feed(self) -> None:
        self._services.has_news = await to_thread.run_sync(self._services.store.feed)
        while True:
            if self._services.has_news():
                self._services.changed.fire()
            await anyio.sleep(FEED_EVERY_S)

    # -- looking after what nobody runs -------------------------------------------------------------------------------

    async def _tend(self) -> None:
        delivered_at = -math.inf
        while True:
            try:
                await self._let_go_of_strays()
                if self._may_judge_others:
                    for job in await self._queue.stalled():
                        await take_back(self._services, self._queue, job)
                    if anyio.current_time() - delivered_at > DELIVER_AGAIN_EVERY_S:
                        await self._queue.forget_workers()
                        await self._say_labels()
                        await deliver_again(self._services)
                        delivered_at = anyio.current_time()
            except (QueueDown, Refused) as exc:
                log.warning("others' work is not looked after for now: %s", exc)
            await anyio.sleep(TEND_EVERY_S)

    async def _let_go_of_strays(self) -> None:
        """Jobs that are this worker's though it does not run them: an answer was lost on the way."""
        async with self._fetching:
            strays = [job for job in await self._queue.jobs_of(self._worker) if job.id not in self._running]
        for job in strays:
            await self._let_go(job)

    # -- running ------------------------------------------------------------------------------------------------------

    async def _take(self, evaluations: TaskGroup, runners: Runners) -> None:
        """Fetch and start as long as there are slots."""
        while True:
            await self._slots.acquire()
            ticket = self._services.changed.ticket()
            job, pause_s = None, LOOK_AT_LEAST_EVERY_S
            try:
                async with self._fetching:
                    job = await self._queue.fetch(self._worker)
                    if job is not None:
                        self._running[job.id] = anyio.CancelScope()
            except Forgotten:
                await self._persist(self._register)
                pause_s = 0.0
            except QueueDown as exc:
                log.warning("nothing is taken for now: %s", exc)
                pause_s = QUEUE_DOWN_PAUSE_S
            if job is not None:
                evaluations.start_soon(self._run, job, runners)
                continue
            self._slots.release()
            await wait_for(ticket, pause_s)

    async def _run(self, job: Job, runners: Runners) -> None:
        scope = self._running[job.id]
        is_cut_short, later = True, None
        self._held.setdefault(job.evaluation, job.id)
        try:
            with scope:
                if self._held[job.evaluation] == job.id:
                    later = await self._evaluate(job.evaluation, runners)
            is_cut_short = scope.cancelled_caught
        except Refused as exc:
            log.warning("%s could not be settled: %s", job.evaluation, exc)
            is_cut_short = False
        except Exception:  # a defect of ours in one evaluation must not end the others
            log.exception("evaluation %s failed in our own code", job.evaluation)
            is_cut_short = False
        finally:
            # What cannot be let go now is a stray, and found as one.
            with anyio.move_on_after(LET_GO_WITHIN_S, shield=True), suppress(QueueDown, Refused):
                await self._let_go(job, is_cut_short=is_cut_short, later=later)
            del self._running[job.id]
            if self._held.get(job.evaluation) == job.id:
                del self._held[job.evaluation]
            self._slots.release()

    async def _evaluate(self, evaluation: str, runners: Runners) -> datetime | None:
        """Returns when to look again, if it was not begun because others come first."""
        row = await self._services.read(lambda tx: tx.find_evaluation(evaluation))
        if row is None or _due_again(row, self._services.clock()) is not None:
            return None
        add_about(change=row.change, stage=row.stage, evaluation=row.id)
        if row.purpose is not Purpose.LAND:
            await execute(self._services, runners, row)
        elif await self._services.read(self._is_somebody_landing):
            return self._services.clock() + LANDING_LOOK_EVERY
        else:
            await execute_landing(self._services, runners, row)
        return None

    def _is_somebody_landing(self, tx: "Tx") -> bool:
        """Whether the target is about to move: what is judged from where it is now would be judged in vain.

        Two that begin at the same time are no harm: one of them is judged again. An intent that cannot be carried out
        holds nobody up for long.
        """
        now = self._services.clock()
        running = [row for row in tx.evaluations(states=[EvaluationState.RUNNING]) if row.purpose is Purpose.LAND]
        if any(_due_again(row, now) is not None for row in running):
            return True
        begun = ((found.landing and found.landing.since) or found.touched_at for found in intended_landings(tx))
        return any(now - at < LANDS_WITHIN for at in begun)

    async def _let_go(self, job: Job, *, is_cut_short: bool = True, later: datetime | None = None) -> None:
        """Forget a job, or have it brought again when its evaluation still is to be run."""
        if self._held.get(job.evaluation, job.id) != job.id:
            await self._queue.bring_again(job, self._services.clock() + timedelta(seconds=LOST_AFTER_S))
            return
        at = await self._services.run(lambda tx: self._give_back(tx, job.evaluation, is_cut_short=is_cut_short))
        if at is None:
            await self._queue.finish(job)
        else:
            await self._queue.bring_again(job, later or at)

    def _give_back(self, tx: "Tx", evaluation: str, *, is_cut_short: bool) -> datetime | None:
        """When the evaluation is to be run again, if it is. What this worker had is anybody's now."""
        now = self._services.clock()
        row = tx.find_evaluation(evaluation)
        if row is None or row.state not in {EvaluationState.QUEUED, EvaluationState.RUNNING}:
            return None
        if row.token is not None and row.token.partition(".")[0] in self._names:
            # That it was ended with its worker is nothing that it is to blame for.
            give = tx.hand_back_evaluation if is_cut_short else tx.requeue_evaluation
            give(row.id, row.token, now)
            return now
        return _due_again(row, now) or now

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it succeeds."""
        while True:
            try:
                return await work()
            except QueueDown as exc:
                log.warning("%s", exc)
                await anyio.sleep(QUEUE_DOWN_PAUSE_S)


def _due_again(row: EvaluationRow, now: datetime) -> datetime | None:
    """When a worker may start it, if not now; another one may be running it."""
    if row.state is EvaluationState.QUEUED:
        return row.not_before if row.not_before > now else None
    if row.state is EvaluationState.RUNNING and row.heartbeat_at is not None:
        lost_at = row.heartbeat_at + timedelta(seconds=LOST_AFTER_S)
        return lost_at if lost_at >= now else None
    return None
