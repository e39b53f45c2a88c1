"""Evaluations that nobody runs, though their rows say so or their jobs are gone: have them brought to somebody."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from ..operations.deciding import runs_on
from ..services import Services
from ..store import EvaluationState
from .execution import LOST_AFTER_S
from .queue import Job, Queue, QueueDown

if TYPE_CHECKING:
    from ..store.tx import Tx

DELIVERED_AGAIN_MAX = 100

log = logging.getLogger(__name__)


async def take_back(services: Services, queue: Queue, job: Job) -> None:
    """Have the job of a worker that is gone brought to another one, at once."""
    now = services.clock()

    def requeue(tx: "Tx") -> None:
        row = tx.find_evaluation(job.evaluation)
        if row is None or row.state is not EvaluationState.RUNNING or row.token is None:
            return
        if row.token.startswith(f"w{job.worker}."):
            tx.requeue_evaluation(row.id, row.token, now)

    await services.run(requeue)
    try:
        await queue.bring_again(job, now)
    except QueueDown as exc:
        log.info("somebody else has seen to %s: %s", job.evaluation, exc)
    else:
        log.warning("worker %s is gone: %s is run again", job.worker, job.evaluation)


async def deliver_again(services: Services) -> None:
    """Make jobs for evaluations that have none: a store was moved, or restored, or somebody emptied the queue."""

    def deliver(tx: "Tx") -> tuple[str, ...]:
        now = services.clock()
        stale = now - timedelta(seconds=LOST_AFTER_S)
        found = tx.undelivered(now, stale_before=stale, limit=DELIVERED_AGAIN_MAX)
        for evaluation, change in found:
            row, record = tx.find_evaluation(evaluation), tx.find_change(change)
            assert row is not None, "it was found just now"
            tx.deliver(evaluation, row.purpose, () if record is None else runs_on(record, row))
        return tuple(evaluation for evaluation, _ in found)

    for evaluation in await services.run(deliver):
        log.warning("no job would have brought %s to a worker", evaluation)
