"""What an artifact has taken in of the target: from what it is judged then, and which merges are to be looked at.

What others have landed is none of the artifact's; that a merge takes it back is. git is asked what it makes of the same
two sides by itself. A merge is deterministic, so what it came to is not stored: asked again, it is the same commit.
"""

from dataclasses import dataclass

from ...gates.artifact_store.writing import Merge
from ...gates.contract import Merged
from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refused
from ..services import Services
from .bases import make_reachable

MERGES_MAX = 50


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The merges of the target in an artifact, as git makes them by itself; see `Job` for what each is."""

    merges: tuple[Merged, ...] = ()
    again: Merged | None = None


NOTHING = TakenIn()


def judged_from(services: Services, record: ChangeRecord, base: str, commit: str) -> str:
    """What an artifact made on `base` is judged from: that, merged with what `commit` has of the target since.

    Blocking; what is returned is where agents can see it.
    """
    try:
        tip = services.policies.tip()
    except Refused:
        # Without a target nothing of it was taken in.
        return base
    artifacts = services.artifacts
    taken_in = None if tip == record.base else artifacts.find_merge_base(tip, commit)
    if taken_in is None or artifacts.is_ancestor(taken_in, base):
        return base
    if artifacts.is_ancestor(base, taken_in):
        return taken_in
    merged = _merge(services, record, base, taken_in).commit
    make_reachable(services, merged)
    return merged


def look(services: Services, record: ChangeRecord, base: str, judged: str, commit: str) -> TakenIn:
    """Every merge of the target in `commit`, made on `base` and judged from `judged`. Blocking.

    A merge of more than two sides is not among them.
    """
    if judged in {base, commit}:
        return NOTHING
    target, conflicts = _target_in(services, record, base, judged)
    found = [Merged(judged, conflicts)]
    for parents in services.artifacts.merges_between(judged, commit)[:MERGES_MAX]:
        theirs = [parent for parent in parents if services.artifacts.is_ancestor(parent, target)]
        ours = [parent for parent in parents if parent not in theirs]
        if len(ours) == len(theirs) == 1:
            merge = _merge(services, record, *ours, *theirs)
            found.append(Merged(merge.commit, merge.conflicts))
    files = services.artifacts.tree_of(commit)
    work = services.artifacts.commit_tree(files, [base], message=f"The files of {commit}", when=record.created_at)
    again = _merge(services, record, work, target)
    return TakenIn(tuple(found), Merged(again.commit, again.conflicts))


def _target_in(services: Services, record: ChangeRecord, base: str, judged: str) -> tuple[str, tuple[str, ...]]:
    """The commit of the target in what `judged_from` returned, and the conflicts if that is a merge of the server's."""
    _, *others = services.artifacts.parents(judged)
    if len(others) == 1:
        merge = _merge(services, record, base, others[0])
        if merge.commit == judged:
            return others[0], merge.conflicts
    # Another merge is one of the target's own, resolved by whoever made it.
    return judged, ()


def _merge(services: Services, record: ChangeRecord, work: str, target: str) -> Merge:
    message = f"Base of {record.id}: its work, and '{record.target}'"
    return services.artifacts.merge(work, target, message=message, when=record.created_at)
