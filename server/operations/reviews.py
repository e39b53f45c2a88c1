"""Review what somebody else made: claim, judge, renew, let go. Review leases are outside of the stage's fence (rule 9).

Who reviews gets no workspace: the artifact is read, and nothing is handed in.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...gates.artifact_store.objects import TooLarge
from ...gates.artifacts import ArtifactStore, TreeBudget
from ...gates.findings import make_findings
from ...gates.judging.objections import Objection, find_contradiction, paths_with_lines, problems_of
from ...gates.machine import commands as c
from ...gates.machine.precedence import refuse_change
from ...gates.machine.reviewing import find_lease, refuse_review
from ...schemas import refusals
from ...schemas.arguments import ReleaseStage, ReviewArtifact
from ...schemas.ids import ReviewLeaseName
from ...schemas.records import Attempt, ChangeRecord, Finding, ReviewLease
from ...schemas.refusals import Refused
from ...schemas.replies import Brief, ReleasedReply, RenewedReply, ReviewedReply
from ..services import Services
from .deciding import apply, get_change
from .repeating import Reference, Request, find_effect, once
from .review_briefs import review_brief, reviewed_reply
from .reviewed import record_review

if TYPE_CHECKING:
    from ..store.tx import Tx

EXITS = frozenset({c.Because.DONE_FOR_NOW, c.Because.CANNOT})


def reference_of(record: ChangeRecord, stage: str, principal: str) -> Reference:
    """The review lease that a principal has just been given or had already, to be told again from."""
    current = record.stage(stage).current
    leases = () if current is None else current.review_leases
    number = max(lease.number for lease in leases if lease.principal == principal)
    return {"change": record.id, "stage": stage, "review": number}


async def brief_of_review(services: Services, change: str, stage: str, number: int) -> Brief:
    """Tell a reviewer all that is needed. Repeatable."""
    record = await services.read(lambda tx: get_change(tx, change))
    return await services.act(lambda: review_brief(services, record, stage, number))


async def review_artifact(
    services: Services, request: Request, lease: ReviewLeaseName, arguments: ReviewArtifact
) -> ReviewedReply:
    """Take a review in; the verdict follows from the findings. Raises `Refused`, and nothing is kept."""
    done, record = await services.read(lambda tx: (find_effect(tx, request), get_change(tx, lease.change)))
    if done is None:
        _refuse_early(record, lease, request.principal)
        findings = await services.act(partial(_find, services, record, lease, arguments))
        give = partial(
            _give, services=services, lease=lease, findings=findings, arguments=arguments, by=request.principal
        )
        done = await services.run(lambda tx: once(tx, request, services.clock(), lambda: give(tx)))
    number, place = int(str(done["attempt"])), int(str(done["review"]))
    return await services.read(lambda tx: reviewed_reply(get_change(tx, lease.change), lease.stage, number, place))


async def renew_review(services: Services, lease: ReviewLeaseName) -> RenewedReply:
    """Say that the reviewer is alive."""
    record = await services.run(lambda tx: renew(tx, services, lease))
    held = _held(record, lease)
    left = 0.0 if held is None else (held.expires_at - services.clock()).total_seconds()
    return RenewedReply(
        change=lease.change,
        stage=lease.stage,
        expires_in_s=max(0, round(left)),
        next="Go on reviewing, then review_artifact with this lease. Every call with the lease renews it.",
    )


def renew(tx: "Tx", services: Services, lease: ReviewLeaseName) -> ChangeRecord:
    """Any call with a lease renews it (rule 2)."""
    return apply(tx, get_change(tx, lease.change), c.RenewReview(lease.stage, lease.number), services.clock())


async def release_review(
    services: Services, request: Request, lease: ReviewLeaseName, arguments: ReleaseStage
) -> ReleasedReply:
    """Let go without a judgement; somebody else may review."""
    if c.Because(arguments.because) not in EXITS:
        raise Refused(refusals.not_of_reviews(arguments.because))
    command = c.ReleaseReview(lease.stage, lease.number, arguments.reason)

    def release(tx: "Tx") -> Reference:
        apply(tx, get_change(tx, lease.change), command, services.clock())
        return {"change": lease.change, "stage": lease.stage}

    await services.run(lambda tx: once(tx, request, services.clock(), lambda: release(tx)))
    record = await services.read(lambda tx: get_change(tx, lease.change))
    return ReleasedReply(
        change=lease.change,
        stage=lease.stage,
        stage_state=record.stage(lease.stage).state,
        next="claim_stage for other work. Somebody else may review it now.",
    )


def _refuse_early(record: ChangeRecord, lease: ReviewLeaseName, principal: str) -> None:
    """What would be refused whatever was found, before git is asked for what the findings point at."""
    stage, refusal = record.find_stage(lease.stage), refuse_change(record)
    if refusal is None and stage is None:
        refusal = refusals.unknown_stage(record.id, lease.stage, [found.name for found in record.stages])
    elif refusal is None and stage is not None:
        refusal = refuse_review(record, stage, lease.number, principal)
    if refusal is not None:
        raise Refused(refusal)


def _held(record: ChangeRecord, lease: ReviewLeaseName) -> ReviewLease | None:
    """The review lease as it stands, or None when it has ended; a change of policy may have taken its stage away."""
    stage = record.find_stage(lease.stage)
    return None if stage is None else find_lease(stage, lease.number)


def _give(
    tx: "Tx",
    *,
    services: Services,
    lease: ReviewLeaseName,
    findings: tuple[Finding, ...],
    arguments: ReviewArtifact,
    by: str,
) -> Reference:
    before = get_change(tx, lease.change)
    held = _held(before, lease)
    inspected = tuple(text.strip() for text in arguments.inspected if text.strip())
    command = c.GiveReview(lease.stage, lease.number, findings, inspected, arguments.note or "", by)
    after = apply(tx, before, command, services.clock())
    assert held is not None, "without a lease it was refused"
    number = len(before.stage(lease.stage).attempts)
    policy = services.policies.at(before.policy.commit)
    record_review(tx, before, after, stage=lease.stage, gate=held.gate, policy=policy)
    place = len(after.stage(lease.stage).attempts[number - 1].reviews) - 1
    return {"change": lease.change, "stage": lease.stage, "attempt": number, "review": place}


def _find(
    services: Services, record: ChangeRecord, lease: ReviewLeaseName, arguments: ReviewArtifact
) -> tuple[Finding, ...]:
    """The findings, each of which points at something. Blocking; raises `Refused` (review_inconsistent)."""
    attempt, held = record.stage(lease.stage).current, _held(record, lease)
    assert attempt is not None, "what is under review was handed in"
    assert held is not None, "who has no lease was refused"
    objections = [Objection(f.severity, f.path, f.line, f.message) for f in arguments.findings]
    limits = services.policies.at(record.policy.commit).pipeline.limits
    budget, commits = TreeBudget(entries_max=limits.entries, bytes_max=limits.tree), (attempt.commit, attempt.base)
    paths = {entry.path for commit in commits for entry in services.artifacts.entries(commit, budget)}
    contents = _contents(services.artifacts, objections, commits, limits.file)
    wrong = find_contradiction(objections, arguments.inspected, paths=paths, contents=contents)
    if wrong is not None:
        raise Refused(refusals.review_inconsistent(wrong))
    taken = _ids_taken(services, attempt)
    return make_findings(held.gate, problems_of(objections, contents), moved={}, on_base=False, taken=taken)


def _contents(
    store: ArtifactStore, objections: Sequence[Objection], commits: Sequence[str], bytes_max: int
) -> Mapping[str, bytes]:
    """The files of which a line is named, of the first commit that has them."""
    contents: dict[str, bytes] = {}
    for path in paths_with_lines(objections):
        try:
            found = (store.read(commit, path, bytes_max) for commit in commits)
            data = next((data for data in found if data is not None), None)
        except TooLarge as exc:
            raise Refused(refusals.review_inconsistent(f"{path} is too large to name a line of: leave it out")) from exc
        if data is not None:
            contents[path] = data
    return contents


def _ids_taken(services: Services, attempt: Attempt) -> set[str]:
    """The ids of what was found about this attempt already, so that an answer names one finding."""
    stored = services.store.read(lambda tx: tx.evidence_of(attempt.evaluation))
    found = [finding for item in stored for finding in (*item.evidence.findings, *item.evidence.tolerated)]
    found += [finding for review in attempt.reviews for finding in review.findings]
    return {finding.id.removeprefix("f") for finding in found}
