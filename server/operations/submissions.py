"""Hand in an artifact, or have a snapshot checked without handing it in.

Git first (idempotent, synced), then one transaction, then the evaluator. What is judged is a commit in our own store:
a later change of the workspace, of a branch or of the user's repository cannot reach it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...gates.artifact_store.objects import BadArtifact, TooLarge
from ...gates.artifacts import FetchBudget, TreeBudget
from ...gates.machine import commands as c
from ...gates.machine.precedence import refuse_change, refuse_lease
from ...gates.machine.resubmission import failed_attempts
from ...gates.worktrees.problems import WorkspaceProblem
from ...schemas import refusals
from ...schemas.arguments import CheckGates, SubmitArtifact
from ...schemas.ids import LeaseName
from ...schemas.records import Answered, ChangeRecord, ChangeState, Outcome, StageRecord, StageState
from ...schemas.refusals import Refusal, Refused
from ..services import Services
from ..store import EvaluationRow, EvaluationState, Purpose
from . import bases, taking_in
from .deciding import apply, get_change, runs_on
from .makers import find_makers_of_kept, keep_orphan
from .repeating import Reference, Request, find_effect, once
from .stages import renew

if TYPE_CHECKING:
    from ..store.tx import Tx

SUBJECT_CHARS_MAX = 72


@dataclass(frozen=True, slots=True)
class Artifact:
    """A commit that is in our own store, kept by a ref, and descends from `stage_base`. It is judged from `base`."""

    commit: str
    tree: str
    base: str
    stage_base: str


async def submit_artifact(services: Services, request: Request, lease: LeaseName, arguments: SubmitArtifact) -> str:
    """Make the next attempt; returns its evaluation's id. Raises `Refused`, and what was handed in is kept anyway."""
    # One look at both: what a call with the same key has done meanwhile must not be mistaken for somebody else's.
    done, record = await services.read(lambda tx: (find_effect(tx, request), get_change(tx, lease.change)))
    if done is not None:
        return str(done["evaluation"])
    refusal = _refuse_early(services, record, lease)
    if refusal is not None:
        raise Refused(await _keep_late_work(services, record, lease, arguments, refusal))
    artifact = await services.act(lambda: _make_artifact(services, record, lease, arguments))
    find_makers = partial(
        find_makers_of_kept, change=lease.change, stage=lease.stage, commit=artifact.commit, tree=artifact.tree
    )
    # What is kept from now on is still offered when this is handed in, or this is late itself.
    kept_by = await services.read(find_makers)

    def submit(tx: "Tx") -> Reference:
        before = get_change(tx, lease.change)
        found = _open_findings(tx, before, lease.stage)
        answers = (
            Answered(a.finding, a.disposition, a.note, found.get(a.finding, "")) for a in arguments.answers or ()
        )
        command = c.Submit(
            stage=lease.stage,
            fence=lease.fence,
            commit=artifact.commit,
            tree=artifact.tree,
            base=artifact.base,
            summary=arguments.summary,
            answers=tuple(answers),
            open_findings=tuple(found),
            stage_base=artifact.stage_base if artifact.stage_base != artifact.base else None,
            kept_by=kept_by,
        )
        after = apply(tx, before, command, services.clock())
        current = after.stage(lease.stage).current
        assert current is not None, "a submission made an attempt, now or before it was disputed"
        return {"evaluation": current.evaluation}

    try:
        reference = await services.run(lambda tx: once(tx, request, services.clock(), lambda: submit(tx)))
    except Refused as exc:
        # Taken over while git was at work.
        now = await services.read(lambda tx: get_change(tx, lease.change))
        raise Refused(await _keep_late_work(services, now, lease, arguments, exc.refusal, artifact=artifact)) from None
    return str(reference["evaluation"])


async def check_gates(services: Services, lease: LeaseName, arguments: CheckGates) -> str:
    """Judge a snapshot of the workspace without an attempt; returns the dry run's id.

    One at a time per lease; the same one again, while it runs, is joined.
    """
    record = await services.run(lambda tx: renew(tx, services, lease))
    stage = record.stage(lease.stage)
    refusal = refuse_lease(record, stage, lease.fence, services.clock())
    if refusal is not None:
        raise Refused(refusal)
    known = {*record.rule(lease.stage).gates}
    unknown = sorted(set(arguments.gates or ()) - known)
    if unknown:
        problem = f"'{lease.stage}' has no gate {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        raise Refused(refusals.bad_argument(problem, tool="check_gates"))
    artifact = await services.act(
        lambda: _snapshot(services, record, lease, f"check of {lease.stage} of {lease.change}")
    )

    def enqueue(tx: "Tx") -> str:
        # One at a time per lease: nobody else looks meanwhile.
        tx.hold_change(lease.change)
        for row in tx.evaluations(change=lease.change, stage=lease.stage):
            if row.purpose is Purpose.DRY and row.fence == lease.fence:
                if (row.tree, row.gates) == (artifact.tree, tuple(arguments.gates or ())):
                    # Asked for again, by a client or a bridge that could not know that it was heard.
                    return row.id
                raise Refused(refusals.dry_run_going(lease.change, lease.stage, row.id))
        now = services.clock()
        row = EvaluationRow(
            id=tx.next_dry_run(lease.change),
            change=lease.change,
            stage=lease.stage,
            purpose=Purpose.DRY,
            state=EvaluationState.QUEUED,
            created_at=now,
            not_before=now,
            commit=artifact.commit,
            tree=artifact.tree,
            scope_base=artifact.base,
            gates=tuple(arguments.gates or ()),
            fence=lease.fence,
        )
        tx.enqueue(row, runs_on(record, row))
        return row.id

    return await services.run(enqueue)


def _refuse_early(services: Services, record: ChangeRecord, lease: LeaseName) -> Refusal | None:
    """What would be refused anyway, before any git work."""
    stage = record.find_stage(lease.stage)
    if stage is None:
        return refusals.unknown_stage(record.id, lease.stage, [s.name for s in record.stages])
    return refuse_change(record) or refuse_lease(record, stage, lease.fence, services.clock())


async def _keep_late_work(
    services: Services,
    record: ChangeRecord,
    lease: LeaseName,
    arguments: SubmitArtifact,
    refusal: Refusal,
    *,
    artifact: Artifact | None = None,
) -> Refusal:
    """The refusal, after keeping as an orphan what a holder whose lease has ended hands in late (rule 1)."""
    stage = record.find_stage(lease.stage)
    if stage is None or record.state is not ChangeState.ACTIVE or not _is_late(stage, lease.fence):
        return refusal
    try:
        if artifact is None:
            artifact = await services.act(lambda: _make_artifact(services, record, lease, arguments))
        commit, tree, note = artifact.commit, artifact.tree, arguments.summary
        await keep_orphan(services, record.id, stage.name, lease.fence, commit=commit, tree=tree, note=note)
    except Refused:
        return refusal
    return refusals.with_kept(refusal, commit)


def _is_late(stage: StageRecord, fence: int) -> bool:
    """Whether the stage went on without this fence. A stage that waits again has no base to commit on."""
    has_ended = stage.lease is None or stage.lease.fence != fence
    passed_it = stage.state is StageState.PASSED and stage.fence == fence
    return has_ended and not passed_it and stage.state is not StageState.WAITING


def _make_artifact(services: Services, record: ChangeRecord, lease: LeaseName, arguments: SubmitArtifact) -> Artifact:
    message = _message(lease, arguments.summary)
    if arguments.commit is not None and arguments.files is not None:
        raise Refused(refusals.bad_argument("give `files` or `commit`, not both", tool="submit_artifact"))
    if arguments.commit is not None:
        commit = arguments.commit
        return _taken(services, record, lease, lambda _: commit)
    if arguments.files is not None:
        return _taken(services, record, lease, lambda _: _commit_files(services, record, lease, arguments))
    return _snapshot(services, record, lease, message)


def _snapshot(services: Services, record: ChangeRecord, lease: LeaseName, message: str) -> Artifact:
    def take(base: str) -> str:
        author = _holder(record, lease)
        start = bases.workspace_start(services, record, lease.stage)
        if start.is_merged:
            base = start.base
        return services.places.snapshot(services, record, lease, base=base, message=message, author=author)

    return _taken(services, record, lease, take)


def _commit_files(services: Services, record: ChangeRecord, lease: LeaseName, arguments: SubmitArtifact) -> str:
    # A client without a file system mends what was judged last by sending only what it changes.
    start = bases.workspace_start(services, record, lease.stage)
    author, message = _holder(record, lease), _message(lease, arguments.summary)
    return services.artifacts.commit_files(
        start.base, arguments.files or {}, start=start.content, message=message, author=author, when=services.clock()
    )


def _taken(services: Services, record: ChangeRecord, lease: LeaseName, make: Callable[[str], str]) -> Artifact:
    """Bring the commit that `make` names or makes into our store, checked against the stage's base, and keep it."""
    try:
        base = bases.stage_base(services, record, lease.stage).commit
        commit = make(base)
        limits = services.policies.at(record.policy.commit).pipeline.limits
        services.artifacts.fetch(
            commit,
            base=base,
            landed=taking_in.target_tip(services),
            keep_as=f"attempts/{lease.change}/{lease.stage}/{commit}",
            fetch_budget=FetchBudget(bytes_max=limits.tree),
            tree_budget=TreeBudget(entries_max=limits.entries, bytes_max=limits.tree),
        )
        judged_from = taking_in.judged_from(services, record, base, commit)
        return Artifact(commit, services.artifacts.tree_of(commit), judged_from, base)
    except TooLarge as exc:
        raise Refused(refusals.too_large(str(exc))) from exc
    except (BadArtifact, WorkspaceProblem) as exc:
        raise Refused(refusals.bad_artifact(str(exc), services.places.hand_in)) from exc


def _holder(record: ChangeRecord, lease: LeaseName) -> str:
    stage = record.stage(lease.stage)
    return stage.lease.holder if stage.lease is not None and stage.lease.fence == lease.fence else "gatewright"


def _message(lease: LeaseName, summary: str) -> str:
    subject = summary.strip().splitlines()[0][:SUBJECT_CHARS_MAX]
    return f"{subject}\n\n{summary.strip()}\n\nGatewright-Change: {lease.change}\nGatewright-Stage: {lease.stage}\n"


def _open_findings(tx: "Tx", record: ChangeRecord, stage: str) -> dict[str, str]:
    """The fingerprints of what held the last failed attempt up, by the ids of the findings."""
    found = record.find_stage(stage)
    failed = failed_attempts(found) if found is not None else ()
    evidence = tx.evidence_of(failed[-1].evaluation) if failed else ()
    held = (item.evidence.findings for item in evidence if item.evidence.outcome is Outcome.FAILED)
    return {finding.id: finding.fingerprint for findings in held for finding in findings}
