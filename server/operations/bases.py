"""What a stage starts from: the change's base, the artifact of its one need, or a merge of several made by the server.

A merge is deterministic, so nothing about it is stored: asked again, git makes the same commit.
"""

from dataclasses import dataclass

from ...schemas.records import Attempt, AttemptState, ChangeRecord, StageRecord
from ..services import Services

# What agents begin with and cannot see otherwise.
BASE_REFS = "refs/gatewright/bases/"


@dataclass(frozen=True, slots=True)
class StageBase:
    """The commit that a stage's claimer starts from; `conflicts` are paths that it carries with conflict markers."""

    commit: str
    conflicts: tuple[str, ...] = ()


def stage_base(services: Services, record: ChangeRecord, stage: str) -> StageBase:
    """Blocking: git may be asked to merge. The stage's needs must have passed."""
    artifacts = [record.stage(need).artifact for need in record.rule(stage).needs]
    commits = [artifact.commit for artifact in artifacts if artifact is not None]
    assert len(commits) == len(artifacts), "a stage starts when its needs have passed (I1)"
    if not commits:
        return StageBase(record.base)
    base, conflicts = commits[0], set[str]()
    for commit in commits[1:]:
        if services.artifacts.is_ancestor(commit, base):
            continue
        if services.artifacts.is_ancestor(base, commit):
            base = commit
            continue
        message = f"Base of {stage} of {record.id}: what its needs handed over"
        merge = services.artifacts.merge(base, commit, message=message, when=record.created_at)
        base = merge.commit
        conflicts.update(merge.conflicts)
    return StageBase(base, tuple(sorted(conflicts)))


def make_reachable(services: Services, commit: str) -> None:
    """Put a commit of our own store where agents can see it: in what they share, under a ref of ours."""
    # Of where the target stands it is known without starting git.
    if not services.policies.is_tip(commit) and not services.repository.is_shown(commit, services.policies.target):
        services.artifacts.publish(commit, f"{BASE_REFS}{commit}")


@dataclass(frozen=True, slots=True)
class WorkspaceStart:
    """Where a holder begins: HEAD stands at `base`, the files are those of `content`.

    `is_merged`: the server has merged the target into the work, and `conflicts` are the paths where they conflicted:
    see `gates.contract.Merged` for what stands there.
    """

    base: str
    content: str
    is_merged: bool = False
    conflicts: tuple[str, ...] = ()


def workspace_start(services: Services, record: ChangeRecord, stage: str) -> WorkspaceStart:
    """A holder goes on from what was judged last. What failed is in the files only, so that it never lands as a commit.

    What conflicted with the target when it was to land begins with the target merged into it: a holder may have no git
    that could do that. Blocking.
    """
    base = stage_base(services, record, stage).commit
    found = record.stage(stage)
    last = last_judged(found, base)
    target = next((note.target for note in reversed(found.notes) if note.target is not None), None)
    if target is not None and services.artifacts.has(target):
        passed = next(
            (a for a in reversed(found.attempts) if a.state is AttemptState.PASSED and a.began_at == base), None
        )
        message = f"Merge '{record.target}' into {stage} of {record.id}"
        work = base if passed is None else passed.commit
        merge = services.artifacts.merge(work, target, message=message, when=record.created_at)
        has_it = last is not None and services.artifacts.is_ancestor(target, last.commit)
        content = last.commit if last is not None and has_it else merge.commit
        return WorkspaceStart(merge.commit, content, is_merged=True, conflicts=merge.conflicts)
    if last is None:
        return WorkspaceStart(base, base)
    return WorkspaceStart(last.commit if last.state is AttemptState.PASSED else base, last.commit)


def last_judged(stage: StageRecord, base: str) -> Attempt | None:
    """The newest attempt that was judged on this base: failed, or passed and then reopened. Work goes on from there."""
    judged = [a for a in stage.attempts if a.state in {AttemptState.FAILED, AttemptState.PASSED}]
    return judged[-1] if judged and judged[-1].began_at == base else None
