"""What an artifact has taken in of the target: from what it is judged then, and which merges are to be looked at.

What others have landed is none of the artifact's; that a merge takes it back is. git is asked what it makes of the same
two sides by itself. A merge is deterministic, so what it came to is not stored: asked again, it is the same commit.
"""

from dataclasses import dataclass

from ...gates.artifact_store.objects import BadArtifact
from ...gates.artifact_store.writing import Merge
from ...gates.contract import Merged
from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refused
from ..services import Services
from .bases import make_reachable

MERGES_MAX = 50
TAKEN_IN_MAX = 10


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The merges of the target in an artifact, as git makes them by itself; see `Job` for what each is."""

    merges: tuple[Merged, ...] = ()
    again: Merged | None = None


NOTHING = TakenIn()


def judged_from(services: Services, record: ChangeRecord, base: str, commit: str) -> str:
    """What an artifact made on `base` is judged from: that, merged with what `commit` has of the target since.

    Blocking; what is returned is where agents can see it. Raises `BadArtifact` for what no merge can be made of.
    """
    tip = target_tip(services)
    if tip is None or tip == record.base:
        return base
    artifacts = services.artifacts
    taken_in = [each for each in artifacts.merge_bases(tip, commit) if not artifacts.is_ancestor(each, base)]
    if len(taken_in) > TAKEN_IN_MAX:
        raise BadArtifact(f"It has merged {len(taken_in)} commits of '{record.target}' one by one. Merge its tip.")
    judged = base
    for each in taken_in:
        judged = each if artifacts.is_ancestor(judged, each) else _merge(services, record, judged, each).commit
    if judged not in {base, *taken_in}:
        make_reachable(services, judged)
    return judged


def target_tip(services: Services) -> str | None:
    """Where the target stands; None where there is none, of which nothing can be taken in. Blocking."""
    try:
        return services.policies.tip()
    except Refused:
        return None


def look(services: Services, record: ChangeRecord, base: str, judged: str, commit: str) -> TakenIn:
    """Every merge of the target in `commit`, made on `base` and judged from `judged`. Blocking.

    Not among them is a merge of more than two sides, or of two that git by itself would not merge.
    """
    if judged in {base, commit}:
        return NOTHING
    artifacts = services.artifacts
    targets, conflicts = _targets_in(services, record, base, judged)
    found = [Merged(judged, conflicts)]
    for parents in artifacts.merges_between(judged, commit)[:MERGES_MAX]:
        theirs = [parent for parent in parents if any(artifacts.is_ancestor(parent, each) for each in targets)]
        ours = [parent for parent in parents if parent not in theirs]
        if len(ours) == len(theirs) == 1 and artifacts.merge_bases(*ours, *theirs):
            merge = _merge(services, record, *ours, *theirs)
            found.append(Merged(merge.commit, merge.conflicts))
    files, resolved = artifacts.tree_of(commit), set[str]()
    again = artifacts.commit_tree(files, [base], message=f"The files of {commit}", when=record.created_at)
    for each in targets:
        merge = _merge(services, record, again, each)
        again = merge.commit
        resolved.update(merge.conflicts)
    return TakenIn(tuple(found), Merged(again, tuple(sorted(resolved))))


def find_outdated(services: Services, record: ChangeRecord, tip: str) -> str | None:
    """The first stage whose artifact would be judged from another commit now that the target stands at `tip`.

    What it merged has landed since, or the target does not have it any more: nobody has judged what landing it comes
    to. None too for an artifact that is in the target already. Blocking.
    """
    for stage in record.stages:
        artifact = stage.artifact
        if artifact is None or services.artifacts.is_ancestor(artifact.commit, tip):
            continue
        if judged_from(services, record, artifact.began_at, artifact.commit) != artifact.base:
            return stage.name
    return None


def _targets_in(services: Services, record: ChangeRecord, base: str, judged: str) -> tuple[list[str], tuple[str, ...]]:
    """The commits of the target in what `judged_from` returned, and the conflicts of the merges of the server's."""
    targets, conflicts = list[str](), set[str]()
    while judged != base:
        parents = services.artifacts.parents(judged)
        merge = None
        if len(parents) == 2 and services.artifacts.merge_bases(*parents):
            merge = _merge(services, record, *parents)
        if merge is None or merge.commit != judged:
            # Another merge is one of the target's own, resolved by whoever made it.
            targets.append(judged)
            break
        conflicts.update(merge.conflicts)
        judged = parents[0]
        targets.append(parents[1])
    return targets[::-1], tuple(sorted(conflicts))


def _merge(services: Services, record: ChangeRecord, work: str, target: str) -> Merge:
    message = f"Base of {record.id}: its work, and '{record.target}'"
    return services.artifacts.merge(work, target, message=message, when=record.created_at)
