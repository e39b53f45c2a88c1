"""Landing: merge with the target's tip, judge the merged tree, move the target by compare-and-swap, recover.

The intent is durable before the target moves. From then on only the ref tells what happened: it stands at the new
commit (or beyond it), and the landing is confirmed; or it stands elsewhere, and the intent is given up and tried again.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...gates import verdict
from ...gates.artifact_store.objects import BadArtifact
from ...gates.artifact_store.writing import Merge
from ...gates.machine import commands as c
from ...gates.policy import SCOPE_GATE, plan_of
from ...gates.remote.problems import RemoteProblem
from ...gates.text import shorten
from ...gates.worktrees.problems import RepositoryProblem
from ...schemas import refusals
from ...schemas.plan import PolicyPin
from ...schemas.records import ChangeRecord, ChangeState, Evidence, GateOutcome, LandingStep, Outcome
from ...schemas.refusals import Refused
from ..operations import taking_in
from ..operations.clearing import clear
from ..operations.deciding import apply, get_change
from ..services import Services
from ..store import EvaluationRow
from ..telemetry.about import add_about
from ..telemetry.ids import trace_text_of
from . import jobs
from .execution import STARTS_MAX, Execution, Lost
from .runners import RunnerLost, Runners

if TYPE_CHECKING:
    from ..store.tx import Tx

LANDINGS_AT_ONCE_MAX = 50
FINDINGS_TOLD_MAX = 3
SAID_CHARS_MAX = 800
# How long a checkout of the target may keep a landing waiting whose target has moved: a git command ends, a disk is
# emptied. What a person has to clear away keeps nothing waiting.
BRING_ALONG_WITHIN = timedelta(minutes=2)
# How long a remote that can be asked, and has the target where it was, may decline the push or not answer it.
PUSH_WITHIN = timedelta(minutes=5)

log = logging.getLogger(__name__)


async def execute_landing(services: Services, runners: Runners, row: EvaluationRow) -> None:
    """Prepare one landing and decide it; the target is moved afterwards by `finish_landings`."""
    execution = Execution(services, runners, row)
    record = await execution.start()
    if record is None:
        return
    try:
        add_about(trace_id=trace_text_of(record))
        await _prepare(services, execution, record)
    except Lost:
        log.info("the landing %s is not wanted any more", row.id)
    except RunnerLost as exc:
        await _after_loss(services, execution, str(exc))
    except (Refused, RepositoryProblem, BadArtifact) as exc:
        await _settle(services, execution, c.BlockLanding(row.id, _sentence(exc)))
    except Exception:  # a defect of ours must not be tried for ever (I10)
        log.exception("%s failed in our own code", row.id)
        await _after_loss(services, execution, "a defect of gatewright; see its log")


def intended_landings(tx: "Tx") -> tuple[ChangeRecord, ...]:
    """The changes with a durable intent, also one that a killed server left."""
    return tx.changes([ChangeState.LANDING], limit=LANDINGS_AT_ONCE_MAX)


async def finish_landings(services: Services, intended: Iterable[ChangeRecord]) -> dict[str, str]:
    """Carry out every durable intent; safe to repeat at any time.

    Returns what kept which change from it: its intent stays, and holds nothing else up.
    """
    problems = {}
    for record in intended:
        try:
            await _finish(services, record)
        except (Refused, RepositoryProblem, BadArtifact) as exc:
            problems[record.id] = _sentence(exc)
            await _tell_delay(services, record, problems[record.id])
    return problems


async def retry_blocked(services: Services) -> None:
    """Start again every landing whose obstacle is gone."""
    for record in await services.read(lambda tx: tx.changes([ChangeState.ACTIVE], limit=LANDINGS_AT_ONCE_MAX)):
        if record.landing is not None and record.landing.step is LandingStep.BLOCKED:
            await _retry_when_free(services, record)


async def _finish(services: Services, record: ChangeRecord) -> None:
    command = await services.act(lambda: _move(services, record))
    await services.run(lambda tx: apply(tx, get_change(tx, record.id), command, services.clock()))
    if isinstance(command, c.ConfirmLanding):
        await clear(services, record)


async def _tell_delay(services: Services, record: ChangeRecord, because: str) -> None:
    """Have the record say what the landing waits for; a store that cannot be written waits itself."""
    if record.landing is not None and record.landing.because != because:
        command = c.DelayLanding(record.landing.number, because)
        with suppress(Refused):
            await services.run(lambda tx: apply(tx, get_change(tx, record.id), command, services.clock()))


async def _retry_when_free(services: Services, record: ChangeRecord) -> None:
    if await services.act(lambda: _obstacle_now(services, record)) is None:
        command = c.RetryLanding("server")
        await services.run(lambda tx: apply(tx, get_change(tx, record.id), command, services.clock()))


async def _prepare(services: Services, execution: Execution, record: ChangeRecord) -> None:
    tip = await execution.act(services.policies.tip)
    policy = await execution.act(lambda: services.policies.at(tip))
    if policy.digest != record.policy.digest:
        because = f"'{record.target}' has another policy than this change was judged by"
        repin = c.Repin(PolicyPin(policy.commit, policy.digest), plan_of(policy.pipeline), because)
        await _settle(services, execution, repin)
        return
    outdated = await execution.act(lambda: taking_in.find_outdated(services, record, tip))
    if outdated is not None:
        await _settle(
            services, execution, await execution.act(lambda: _judge_anew(services, execution, record, outdated))
        )
        return
    merge = await execution.act(lambda: merge_with_target(services, record, tip, policy.pipeline.land.strategy))
    if merge.conflicts:
        command = c.SettleLanding(execution.row.id, tip, merge.commit, merge.tree, (), conflicts=merge.conflicts)
        await _settle(services, execution, command)
        return
    obstacle = await execution.act(lambda: _obstacle(services, record, tip, merge.commit))
    if obstacle is not None:
        await _settle(services, execution, c.BlockLanding(execution.row.id, obstacle))
        return
    subject = jobs.Subject(merge.commit, merge.tree, tip, tip)
    gates = jobs.gates_of(policy, record, execution.row)
    job = await execution.act(lambda: jobs.make_job(services, record, execution.row, subject, gates))
    evidence = await execution.judge(job, subject, await services.read(lambda tx: get_change(tx, record.id)))
    command = c.SettleLanding(
        evaluation=execution.row.id,
        old=tip,
        new=merge.commit,
        tree=merge.tree,
        gates=verdict.outcomes_of(evidence),
        paths=_failing_paths(evidence),
        because=" ".join(_said(item) for item in evidence if item.outcome is not Outcome.PASSED),
    )

    def settle(tx: "Tx") -> None:
        execution.finish(tx)
        execution.keep(tx, job, subject, evidence)
        apply(tx, get_change(tx, record.id), command, services.clock())

    await services.run(settle)


def _judge_anew(services: Services, execution: Execution, record: ChangeRecord, stage: str) -> c.SettleLanding:
    """Back to whoever may write what the stage changed: handed in again, it is judged from what the target has now."""
    artifact = record.stage(stage).artifact
    assert artifact is not None, "what is outdated was handed in"
    return c.SettleLanding(
        evaluation=execution.row.id,
        old="",
        new="",
        tree="",
        gates=(GateOutcome(SCOPE_GATE.name, Outcome.FAILED),),
        paths=tuple(change.path for change in services.artifacts.changes(artifact.base, artifact.commit)),
        because=f"what '{stage}' has merged has landed or left '{record.target}' since it was judged; hand it in again",
    )


async def _after_loss(services: Services, execution: Execution, because: str) -> None:
    """Start again, within a bound; beyond it this landing could not be judged, and those are counted too."""
    if execution.row.tries + 1 < STARTS_MAX:
        await execution.give_back()
        return
    nothing = c.SettleLanding(execution.row.id, old="", new="", tree="", gates=(), because=because)
    await _settle(services, execution, nothing)


async def _settle(services: Services, execution: Execution, command: c.Command) -> None:
    def settle(tx: "Tx") -> None:
        execution.finish(tx)
        apply(tx, get_change(tx, execution.row.change), command, services.clock())

    await services.run(settle)


def merge_with_target(services: Services, record: ChangeRecord, tip: str, strategy: str) -> Merge:
    """The commit that would land: its tree is the merge of the target's tip with what landing needs. Blocking."""
    artifacts = [record.stage(need).artifact for need in record.plan.land_needs]
    commits = [artifact.commit for artifact in artifacts if artifact is not None]
    assert len(commits) == len(artifacts), "landing starts when all that it needs has passed"
    message = _message(record)
    when = max((a.submitted_at for a in artifacts if a is not None), default=record.created_at)
    merged: Merge | None = None
    ours = tip
    for commit in commits:
        merged = _merge_one(services, ours, commit, message, when)
        if merged.conflicts:
            return merged
        ours = merged.commit
    assert merged is not None, "a plan lands at least one stage"
    if strategy == "squash":
        return Merge(
            services.artifacts.commit_tree(merged.tree, [tip], message=message, when=when), merged.tree, (), ""
        )
    return merged


def _merge_one(services: Services, ours: str, commit: str, message: str, when: datetime) -> Merge:
    if services.artifacts.is_ancestor(ours, commit):
        # Nothing to merge: the tree is the artifact's own, and the commit says what landed.
        tree = services.artifacts.tree_of(commit)
        return Merge(services.artifacts.commit_tree(tree, [ours, commit], message=message, when=when), tree, (), "")
    return services.artifacts.merge(ours, commit, message=message, when=when)


def _message(record: ChangeRecord) -> str:
    return f"Land {record.id}: {record.title}\n\n{record.intent.strip()}\n\nGatewright-Change: {record.id}\n"


def _said(evidence: Evidence) -> str:
    """The summary with the first findings: whoever mends it has run less than was run here."""
    told = (
        ": ".join(filter(None, (finding.where, finding.message))) for finding in evidence.findings[:FINDINGS_TOLD_MAX]
    )
    return shorten(" ".join([evidence.summary, *told]), SAID_CHARS_MAX)


def _failing_paths(evidence: tuple[Evidence, ...]) -> tuple[str, ...]:
    failed = (item for item in evidence if item.outcome is Outcome.FAILED)
    return tuple(sorted({f.path for item in failed for f in item.findings if f.path is not None}))


def _obstacle(services: Services, record: ChangeRecord, old: str, new: str) -> str | None:
    services.artifacts.publish(new, _landing_ref(record))
    found = services.repository.obstacles(record.target, old, new)
    if not found:
        return None
    first = found[0]
    files = f": {', '.join(first.paths[:5])}" if first.paths else ""
    return f"{first.worktree} has '{record.target}' checked out and {first.reason}{files}"


def _obstacle_now(services: Services, record: ChangeRecord) -> str | None:
    """Whether the way is free, asked again. A landing without a merge to ask about was blocked by its policy."""
    try:
        tip = services.policies.tip()
        policy = services.policies.at(tip)
        merge = merge_with_target(services, record, tip, policy.pipeline.land.strategy)
        return None if merge.conflicts else _obstacle(services, record, tip, merge.commit)
    except (Refused, RepositoryProblem, RemoteProblem, BadArtifact) as exc:
        return _sentence(exc)


def _move(services: Services, record: ChangeRecord) -> c.ConfirmLanding | c.LoseLanding:
    """Move the target, or find that it was moved; returns what to decide. Idempotent. Blocking."""
    found = record.landing
    assert found is not None
    assert found.old is not None
    assert found.new is not None
    waited = services.clock() - (found.since or record.touched_at)
    try:
        services.artifacts.publish(found.new, _landing_ref(record))
        moved = services.repository.move_target(
            record.target, found.old, found.new, message=f"gatewright: land {record.id}: {record.title}"
        )
        tip = services.repository.branch_tip(record.target)
    except RemoteProblem as exc:
        if waited < PUSH_WITHIN or services.repository.branch_tip(record.target) != found.old:
            raise
        return c.LoseLanding(found.number, exc.message)
    if not moved and (tip is None or not _contains(services, tip, found.new)):
        return c.LoseLanding(found.number, f"'{record.target}' had moved to {tip}")
    for obstacle in services.repository.bring_along(record.target, found.old, found.new):
        if obstacle.may_pass and waited < BRING_ALONG_WITHIN:
            raise Refused(refusals.store_unavailable(f"{obstacle.worktree}: {obstacle.reason}."))
        # The landing stands; a person brings this checkout along by hand.
        log.warning("%s stays behind: %s", obstacle.worktree, obstacle.reason)
    return c.ConfirmLanding(found.number)


def _contains(services: Services, tip: str, commit: str) -> bool:
    services.artifacts.fetch_base(tip)
    return services.artifacts.is_ancestor(commit, tip)


def _sentence(problem: Exception) -> str:
    return problem.refusal.message if isinstance(problem, Refused) else str(problem)


def _landing_ref(record: ChangeRecord) -> str:
    return f"refs/gatewright/landing/{record.id}"
