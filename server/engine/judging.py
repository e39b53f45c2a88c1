"""One evaluation of a stage, a dry run or a warming up, from its job to what is decided by it."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import anyio

from ...gates import verdict
from ...gates.artifact_store.objects import BadArtifact
from ...gates.contract import Job
from ...gates.machine import commands as c
from ...gates.remote.problems import RemoteProblem
from ...gates.text import shorten
from ...schemas.records import ChangeRecord, Evidence, Outcome
from ...schemas.refusals import Refused
from ..operations.deciding import apply, get_change
from ..services import Services
from ..store import EvaluationRow, Purpose, StoreUnavailable
from ..telemetry.about import add_about
from ..telemetry.ids import trace_text_of
from . import jobs
from .execution import STARTS_MAX, Execution, Lost
from .runners import RunnerLost, Runners

if TYPE_CHECKING:
    from ..store.tx import Tx

BECAUSE_CHARS_MAX = 400
# Longer than a database takes to start again, or to have another machine take its place.
SETTLE_WITHIN_S = 120.0
SETTLE_AGAIN_AFTER_S = 1.0
SETTLING = frozenset({Purpose.ATTEMPT, Purpose.RUN})

log = logging.getLogger(__name__)


async def execute(services: Services, runners: Runners, row: EvaluationRow) -> None:
    """Run a stage's evaluation, a dry run or a warming up to its end, or give it back when its runner was lost."""
    execution = Execution(services, runners, row)
    record = await execution.start()
    if record is None:
        return
    try:
        add_about(trace_id=trace_text_of(record))
        subject, job = await execution.act(lambda: _job_of(services, record, row))
        evidence = await execution.judge(job, subject, record)
        judged = await execution.act(lambda: execution.subject_made(subject))
        await _keep_trying(services, lambda tx: _settle(tx, execution, job, judged, evidence))
    except Lost:
        log.info("the result of %s is not wanted any more", row.id)
    except RunnerLost as exc:
        await _after_loss(services, execution, str(exc))
    except Refused as exc:
        log.warning("%s could not be judged: %s", row.id, exc)
        if isinstance(exc.__cause__, RemoteProblem):
            # Nothing was begun, and whoever has the commit already can judge it meanwhile.
            await execution.give_back()
        else:
            await _after_loss(services, execution, str(exc.refusal.message))
    except BadArtifact as exc:
        await _after_loss(services, execution, str(exc))
    except Exception:  # a defect of ours must not be tried for ever (I10)
        log.exception("%s failed in our own code", row.id)
        await _after_loss(services, execution, "a defect of gatewright; see its log")


async def _keep_trying(services: Services, settle: "Callable[[Tx], None]") -> None:
    """Where the store is another machine that may be away for a while, what an hour of gates found waits for it."""
    gives_up_at = anyio.current_time() + (SETTLE_WITHIN_S if services.store.is_shared else 0.0)
    while True:
        try:
            return await services.run(settle)
        except Refused as exc:
            if anyio.current_time() >= gives_up_at or not isinstance(exc.__cause__, StoreUnavailable):
                raise
            await anyio.sleep(SETTLE_AGAIN_AFTER_S)


def _job_of(services: Services, record: ChangeRecord, row: EvaluationRow) -> tuple[jobs.Subject, Job]:
    """Blocking."""
    subject = jobs.subject_of(services, record, row)
    gates = jobs.gates_of(services.policies.at(record.policy.commit), record, row)
    return subject, jobs.make_job(services, record, row, subject, gates)


def _settle(tx: "Tx", execution: Execution, job: Job, subject: jobs.Subject, evidence: tuple[Evidence, ...]) -> None:
    row, now = execution.row, execution.services.clock()
    execution.finish(tx)
    if row.purpose is Purpose.WARM:
        execution.keep_knowledge(tx, job, subject, evidence)
        return
    execution.keep(tx, job, subject, evidence)
    if row.purpose in SETTLING:
        command = c.Settle(
            row.stage,
            row.id,
            verdict.outcomes_of(evidence),
            verdict.fingerprints_of(evidence),
            execution.made(job, subject),
            _because(evidence),
        )
        apply(tx, get_change(tx, row.change), command, now)


def _because(evidence: Iterable[Evidence]) -> str:
    """What failed or could not judge, each with what it says first."""
    held = [item for item in evidence if item.outcome in {Outcome.FAILED, Outcome.ERRORED}]
    said = (item.findings[0].message if item.findings else item.summary for item in held)
    told = (f"{item.gate}: {shorten(text, BECAUSE_CHARS_MAX)}" for item, text in zip(held, said, strict=True))
    return "; ".join(told)


async def _after_loss(services: Services, execution: Execution, because: str) -> None:
    """Start again, within a bound; beyond it the gates are told to be broken, which is errored and never a pass."""
    row = execution.row
    if row.tries + 1 < STARTS_MAX:
        await execution.give_back()
        return
    log.error("%s was lost %s times: %s", row.id, STARTS_MAX, because)
    made = None
    if row.purpose is Purpose.RUN:
        record = await services.read(lambda tx: get_change(tx, row.change))
        found = await services.act(lambda: jobs.subject_of(services, record, row))
        made = c.Made(found.commit, found.tree, found.scope_base, "The server could not run it.")

    def settle(tx: "Tx") -> None:
        execution.finish(tx)
        if row.purpose in SETTLING:
            command = c.Settle(row.stage, row.id, (), made=made, because=because)
            apply(tx, get_change(tx, row.change), command, services.clock())

    try:
        await services.run(settle)
    except Lost:
        log.info("%s went on elsewhere", row.id)
