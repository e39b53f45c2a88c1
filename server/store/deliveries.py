"""Jobs that deliver evaluations to workers, in the transaction that decides them. PostgreSQL alone has any.

A job is Procrastinate's; it names an evaluation and is no truth: that is the evaluation's own row. The library's
documented function is called on our connection, and not through the library, which would hide the errors by which a
transaction is tried again. Source: docs/decisions/0022-procrastinate-delivers.md
"""

import json
from collections.abc import Iterable
from datetime import datetime

from .forms import micros
from .part import Part
from .rows import Purpose

TASK = "evaluate"
# An evaluation is one argument of its job, under this name.
ARGUMENT = "evaluation"

_DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(%s, %s, %s, NULL, %s, %s, %s)]::procrastinate_job_to_defer_v1[])
"""
# Whatever a job stands at: one whose worker is gone is found by the library.
_UNDELIVERED = """
    SELECT e.id, e.change FROM evaluation e
    WHERE ((e.state = 'queued' AND e.not_before <= %s) OR (e.state = 'running' AND e.heartbeat_at < %s))
    AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs j WHERE j.queueing_lock = e.id AND j.status IN ('todo', 'doing'))
    ORDER BY e.not_before LIMIT %s
"""

_WORKERS = "SELECT id FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s) ORDER BY id"


def queue_of(labels: Iterable[str]) -> str:
    """The name of the queue of those who have all these labels."""
    return "+".join(["evaluations", *sorted(set(labels))])


class Deliveries(Part):
    """What brings evaluations to whoever runs them."""

    def deliver(
        self, evaluation: str, purpose: Purpose, runs_on: Iterable[str], not_before: datetime | None = None
    ) -> None:
        """Have a worker with these labels called, from `not_before` on; nothing where evaluations are looked for."""
        if self._dialect.name == "postgresql":
            # What somebody waits for goes before what only warms up.
            priority = -1 if purpose is Purpose.WARM else 0
            arguments = json.dumps({ARGUMENT: evaluation})
            self._cursor.execute(_DEFER, (queue_of(runs_on), TASK, priority, evaluation, arguments, not_before))

    def workers(self, within_s: float) -> tuple[int, ...]:
        """The numbers of those that said within so many seconds that they are alive."""
        self._cursor.execute(_WORKERS, (within_s,))
        return tuple(int(row[0]) for row in self._cursor.fetchall())

    def undelivered(self, now: datetime, *, stale_before: datetime, limit: int) -> tuple[tuple[str, str], ...]:
        """(evaluation, change) of those that are due, or whose runner is lost, and that no job would bring anybody.

        Nobody else looks for them before this transaction has ended.
        """
        self.hold("undelivered evaluations")
        self._cursor.execute(_UNDELIVERED, (micros(now), micros(stale_before), limit))
        return tuple((str(row[0]), str(row[1])) for row in self._cursor.fetchall())
