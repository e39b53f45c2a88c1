"""What a stage starts from: the change's base, the artifact of its one need, or a merge of several made by the server.

A merge is deterministic, so nothing about it is stored: asked again, git makes the same commit.
"""

from dataclasses import dataclass

from ...schemas.records import ChangeRecord
from ..services import Services


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


def make_reachable(services: Services, record: ChangeRecord, stage: str, commit: str) -> None:
    """Put a commit of our own store where agents can see it: in the shared repository, under a ref of ours."""
    if services.repository.resolve(commit) is None:
        services.artifacts.publish(commit, f"refs/gatewright/bases/{record.id}-{stage}")


def workspace_start(services: Services, record: ChangeRecord, stage: str) -> str:
    """Where a holder's workspace begins: the attempt to be mended, when there is one, else the stage's base.

    Blocking.
    """
    found = record.stage(stage)
    if found.failed > 0 and found.current is not None:
        return found.current.commit
    return stage_base(services, record, stage).commit
