"""One evaluation: start under a token, heartbeat, judge, finish by conditional write.

An evaluation may be started more than once (its runner or the server was killed); it is settled at most once, by
whoever holds the token in its row at that moment. Everybody else's result is dropped (invariant I3).
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio

from ...gates.contract import BaseResult, Found, Job, Made, Message, Progress, Started
from ...gates.findings import errored
from ...gates.machine import commands as c
from ...gates.policy import APPROVAL, RUN_GATE, SCOPE_GATE, gate_digest
from ...gates.sandbox import choose
from ...gates.text import number_of, shorten
from ...schemas.pipeline import GateSpec
from ...schemas.records import ChangeRecord, Evidence, Outcome
from ...schemas.refusals import Refused
from ..operations.deciding import get_change
from ..services import Services
from ..store import EvaluationRow, Purpose, StoredEvidence
from ..telemetry.watching import watcher
from . import jobs
from .runners import RunnerLost, Runners

if TYPE_CHECKING:
    from ..store.tx import Tx

T = TypeVar("T")

HEARTBEAT_EVERY_S = 2.0
PROGRESS_LOOKS_PER_HEARTBEAT = 8
LOST_AFTER_S = 10.0
STARTS_MAX = 4
COMMAND_CHARS_MAX = 120

log = logging.getLogger(__name__)


@dataclass
class Judgement:
    """What a runner has said so far, by the time of `clock`."""

    clock: Callable[[], datetime]
    evidence: dict[str, Evidence] = field(default_factory=dict)
    baselines: dict[str, str] = field(default_factory=dict)
    progress: str = ""
    made: Made | None = None

    def take(self, message: Message) -> None:
        """Take note of a message."""
        match message:
            case Found(evidence):
                self.evidence[evidence.gate] = replace(evidence, told_at=self.clock())
            case BaseResult(key, value):
                self.baselines[key] = value
            case Made():
                self.made = message
            case Started(gate):
                self.progress = f"gate '{gate}' is running"
            case Progress(text):
                self.progress = text
            case _:
                pass


class Lost(Exception):
    """The evaluation is somebody else's now, or nobody's: its result does not matter any more."""


class Execution:
    """One start of one evaluation."""

    def __init__(self, services: Services, runners: Runners, row: EvaluationRow) -> None:
        self.services = services
        self.row = row
        # Who runs it lets a successor see at once that this runner's server is gone.
        self.token = f"{services.runs_as}.{secrets.token_hex(8)}"
        self._runners = runners
        self._judgement = Judgement(services.clock)

    async def start(self) -> ChangeRecord | None:
        """Take the evaluation, and its change as it is then; None when somebody else has."""
        now = self.services.clock()
        stale = now - timedelta(seconds=LOST_AFTER_S)

        def start(tx: "Tx") -> ChangeRecord | None:
            # The change before what belongs to it, as everybody does: to read it in here is to be alone with it.
            record = self._record(tx)
            return record if tx.start_evaluation(self.row.id, self.token, now, stale_before=stale) else None

        # No news: those who wait would look at the store while the gates could begin, and see what they saw.
        record = await self.services.run(start, is_news=False)
        if record is not None and self.row.tries == 0:
            watcher().began(self.row, (now - max(self.row.created_at, self.row.not_before)).total_seconds())
        return record

    async def judge(self, job: Job, subject: jobs.Subject, record: ChangeRecord) -> tuple[Evidence, ...]:
        """The evidence of every gate of the job, in its order: known, or found by a runner.

        Raises `Lost` when the evaluation was cancelled or taken over, `RunnerLost` when its runner ended early.
        """
        altered = await self.services.act(lambda: jobs.altered_since(self.services, record, job, subject))
        kept, informed = await self.services.read(
            lambda tx: (
                jobs.find_known(tx, job, subject),
                jobs.with_knowledge(tx, job, self._record(tx), subject, altered),
            )
        )
        known = {name: item for name, item in kept.items() if jobs.is_of_level(item, (await choose()).level)}
        missing = [gate for gate in job.gates if gate.name not in known]
        if missing:
            await self._run(_narrowed(informed, missing))
        found = {**self._judgement.evidence, **known}
        if job.run is not None and self._judgement.made is None and RUN_GATE.name in found:
            # Nothing was made that the other gates could judge.
            return (found[RUN_GATE.name],)
        absent = "The runner said nothing about this gate."
        return tuple(found.get(gate.name) or errored(gate, "things", absent) for gate in job.gates)

    async def act(self, work: Callable[[], T]) -> T:
        """`Services.act`, with heartbeats as long as it takes: a remote may be slow, and nobody else is to start."""
        # What leaves a task group is wrapped in a group.
        result: list[T] = []
        problem: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat_on)
            try:
                result.append(await self.services.act(work))
            except Exception as exc:  # noqa: BLE001 - raised again below
                problem = exc
            tasks.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return result[0]

    def subject_made(self, subject: jobs.Subject) -> jobs.Subject:
        """What was judged in the end: for a `run:` stage what its command made, kept by a ref. Blocking."""
        made = self._judgement.made
        if made is None:
            return subject
        artifacts = self.services.artifacts
        artifacts.keep(made.commit, f"attempts/{self.row.change}/{self.row.stage}/{made.commit}")
        return replace(subject, commit=made.commit, tree=artifacts.tree_of(made.commit))

    def made(self, job: Job, subject: jobs.Subject) -> c.Made | None:
        """What a `run:` stage came to; None for an attempt, which was there before it was judged."""
        if job.run is None:
            return None
        made = self._judgement.made
        came_to = "came to nothing" if made is None else f"wrote {number_of(made.paths, 'paths')}"
        summary = f"The server ran `{shorten(job.run.command, COMMAND_CHARS_MAX)}`, which {came_to}."
        return c.Made(subject.commit, subject.tree, subject.scope_base, summary)

    def keep(self, tx: "Tx", job: Job, subject: jobs.Subject, evidence: Sequence[Evidence]) -> None:
        """Store the evidence, and what of it may be served again. Within the settling transaction.

        That people are asked to approve is no evidence yet: what they answer will be (operations/answered.py).
        """
        by_name = {gate.name: gate for gate in job.gates}
        attempt = self.row.attempt
        if self.row.purpose is Purpose.RUN:
            attempt = len(self._record(tx).stage(self.row.stage).attempts) + 1
        for item in evidence:
            if item.kind == APPROVAL and item.outcome is Outcome.PENDING and self.row.purpose is not Purpose.DRY:
                continue
            tx.add_evidence(self._stored(job, subject, by_name[item.gate], item, attempt))
        self.keep_knowledge(tx, job, subject, evidence)

    def keep_knowledge(self, tx: "Tx", job: Job, subject: jobs.Subject, evidence: Iterable[Evidence]) -> None:
        """Keep base results and passes for later. A pass of what has failed before is luck, and is not served again."""
        from ..store.tx import evidence_adapter

        by_name = {gate.name: gate for gate in job.gates}
        now = self.services.clock()
        for key, value in self._judgement.baselines.items():
            tx.cache_put(jobs.baseline_key(job.base, key), value, now)
        for item in evidence:
            key = jobs.verdict_key(job, by_name[item.gate], subject)
            if item.outcome is Outcome.FAILED:
                tx.cache_put(jobs.doubt_key(key), item.summary, now)
            elif jobs.may_be_kept(item, subject) and not item.cached and tx.cache_get(jobs.doubt_key(key)) is None:
                tx.cache_put(key, evidence_adapter().dump_json(item).decode(), now)

    def finish(self, tx: "Tx") -> None:
        """Settle the evaluation's row; raises `Lost`, which rolls everything back, when it is not ours any more."""
        # The change before what belongs to it, as everybody does: else two would wait for each other.
        tx.hold_change(self.row.change)
        if not tx.finish_evaluation(self.row.id, self.token, self.services.clock()):
            raise Lost

    async def give_back(self) -> None:
        """Have it run again, by anybody, soon."""
        later = self.services.clock() + timedelta(seconds=min(self.row.tries, STARTS_MAX))
        await self.services.run(lambda tx: tx.requeue_evaluation(self.row.id, self.token, later))

    def _record(self, tx: "Tx") -> ChangeRecord:
        return get_change(tx, self.row.change)

    async def _run(self, job: Job) -> None:
        is_lost = False
        # Kept, because what leaves a task group is wrapped in a group.
        loss: RunnerLost | None = None
        async with anyio.create_task_group() as tasks:

            async def beat() -> None:
                # The start was the first beat. What runs now is told soon, for those who wait, and not line by line.
                nonlocal is_lost
                while True:
                    told = self._judgement.progress
                    for _ in range(PROGRESS_LOOKS_PER_HEARTBEAT):
                        await anyio.sleep(HEARTBEAT_EVERY_S / PROGRESS_LOOKS_PER_HEARTBEAT)
                        if self._judgement.progress != told:
                            break
                    if not await self._is_ours():
                        is_lost = True
                        tasks.cancel_scope.cancel()

            async def watch() -> None:
                # A cancelled evaluation is ended at once, not at the next heartbeat.
                nonlocal is_lost
                while True:
                    ticket = self.services.changed.ticket()
                    # A store that cannot be read just now says nothing; the next heartbeat asks again.
                    with suppress(Refused):
                        row = await self.services.read(lambda tx: tx.find_evaluation(self.row.id))
                        if row is None or row.token != self.token or row.state != "running":
                            is_lost = True
                            tasks.cancel_scope.cancel()
                    await ticket.wait()

            tasks.start_soon(beat)
            tasks.start_soon(watch)
            try:
                await self._runners.judge(job, self._judgement.take)
            except RunnerLost as exc:
                loss = exc
            finally:
                tasks.cancel_scope.cancel()
        if is_lost:
            raise Lost
        if loss is not None:
            raise loss

    async def _beat_on(self) -> None:
        while True:
            await anyio.sleep(HEARTBEAT_EVERY_S)
            await self._is_ours()

    async def _is_ours(self) -> bool:
        """Beat. While the store cannot be written nobody else can take the evaluation either: its gates go on."""
        now, progress = self.services.clock(), self._judgement.progress
        try:
            return await self.services.run(
                lambda tx: tx.heartbeat(self.row.id, self.token, now, progress), is_news=False
            )
        except Refused:
            return True

    def _stored(
        self, job: Job, subject: jobs.Subject, gate: GateSpec, evidence: Evidence, attempt: int | None
    ) -> StoredEvidence:
        return StoredEvidence(
            evaluation=self.row.id,
            change=self.row.change,
            stage=self.row.stage,
            attempt=attempt,
            commit=subject.commit,
            tree=subject.tree,
            policy_digest=job.policy.digest,
            gate_digest=gate_digest(gate),
            evidence=evidence,
        )


def _narrowed(job: Job, gates: Sequence[GateSpec]) -> Job:
    return replace(job, gates=tuple(gate for gate in gates if gate.kind != SCOPE_GATE.kind))
