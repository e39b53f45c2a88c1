"""Where a holder works: in a worktree of its own, or, the only one, in the person's own checkout (`workspace: here`).

A lease that cannot have the checkout gets a worktree: a claim stands whatever the checkout looks like.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...gates.text import clean_text, shorten
from ...gates.worktrees.here import Place
from ...gates.worktrees.occupation import Occupation
from ...gates.worktrees.problems import WorkspaceProblem
from ...gates.worktrees.snapshot import SAVED_REFS, Snapshot
from ...schemas.ids import LeaseName
from ...schemas.records import ChangeRecord, ChangeState
from ..services import Services
from . import bases

LEFT_OUT_TOLD_MAX = 5
PATH_CHARS_MAX = 200
NOT_HERE = "the pipeline says `workspace: here`, but this stage got a worktree of its own"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workplace:
    """`problem`: why there is none at all. `is_here`: it is the person's checkout. `notes` are for the brief."""

    path: Path
    problem: str | None = None
    is_here: bool = False
    notes: tuple[str, ...] = ()


def path_of(services: Services, change: str, stage: str, fence: int) -> Path:
    """Where this lease works, or would."""
    here = services.workspaces.here
    if here.path is not None and here.holds(change, stage, fence):
        return here.path
    return services.workspaces.path_of(change, stage, fence)


def find(services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
    """Where this lease works; nothing is made. Blocking."""
    here = services.workspaces.here
    if here.path is not None and here.holds(record.id, stage, fence):
        return Workplace(here.path, is_here=True, notes=(_about_here(here.left_out()),))
    return Workplace(services.workspaces.path_of(record.id, stage, fence))


def make(services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
    """Make ready where this lease works; repeated, it stays where it is. Blocking. The claim stands in any case."""
    start = bases.workspace_start(services, record, stage)
    for commit in {start.base, start.content}:
        bases.make_reachable(services, commit)
    notes: tuple[str, ...] = ()
    pipeline = services.policies.at(record.policy.commit).pipeline
    if pipeline.workspace == "here":
        for kept in pipeline.setup.keep if pipeline.setup is not None else ():
            # As in every other workspace: an agent that makes its environment by itself would hand it in.
            services.repository.exclude(f"/{kept}")
        reason = _enter(services, record, stage, fence, start)
        if reason is None:
            return find(services, record, stage, fence)
        notes = (reason,)
    path = services.workspaces.path_of(record.id, stage, fence)
    token = services.leases.token(record.id, stage, fence)
    try:
        services.workspaces.ensure(record.id, stage, fence, base=start.base, lease=token, content=start.content)
    except WorkspaceProblem as exc:
        return Workplace(path, problem=f"{exc} Use `files` in submit_artifact instead.")
    return Workplace(path, notes=notes)


def snapshot(services: Services, lease: LeaseName, *, base: str, message: str, author: str) -> Snapshot:
    """What the holder has now, as a commit. Blocking; raises `WorkspaceProblem`."""
    workspaces, when = services.workspaces, services.clock()
    if workspaces.here.holds(lease.change, lease.stage, lease.fence):
        return workspaces.here.snapshot(base=base, message=message, author=author, when=when)
    path = workspaces.path_of(lease.change, lease.stage, lease.fence)
    return workspaces.snapshot(path, base=base, message=message, author=author, when=when)


def save_unsaved(services: Services, change: str, stage: str, fence: int, *, when: datetime) -> tuple[str, str] | None:
    """Keep what this lease left under a ref; returns the commit and a note about it. Blocking, `WorkspaceProblem`."""
    workspaces, ref = services.workspaces, f"{SAVED_REFS}{change}-{stage}-{fence}"
    found = workspaces.here.occupation()
    if found is not None and found.is_of(change, stage, fence):
        saved = workspaces.here.save_unsaved(found, when=when)
        note = f"unsaved work of lease {fence}, kept as {ref}; it still lies in the checkout"
    else:
        saved = workspaces.save_unsaved(workspaces.path_of(change, stage, fence), ref, when=when)
        note = f"unsaved work of lease {fence}, kept as {ref}"
    return None if saved is None else (saved, note)


def _enter(services: Services, record: ChangeRecord, stage: str, fence: int, start: bases.WorkspaceStart) -> str | None:
    """Give the lease the checkout; a sentence when it cannot have it."""
    if services.workspaces.has_own(record.id, stage, fence):
        return f"{NOT_HERE}."
    token = services.leases.token(record.id, stage, fence)
    place = Place(record.id, stage, fence, token, root=record.base, base=start.base, content=start.content)
    try:
        services.workspaces.here.enter(place, is_live=lambda found: _is_live(services, found), when=services.clock())
    except WorkspaceProblem as exc:
        log.info("%s-%s-%s is not in the checkout: %s", record.id, stage, fence, exc)
        return f"{NOT_HERE}: {exc}"
    return None


def _is_live(services: Services, found: Occupation) -> bool:
    record = services.store.read(lambda tx: tx.find_change(found.change))
    if record is None or record.state is not ChangeState.ACTIVE:
        return False
    stage = record.find_stage(found.stage)
    return stage is not None and stage.lease is not None and stage.lease.fence == found.fence


def _about_here(left_out: tuple[str, ...]) -> str:
    text = "the workspace is the user's own checkout: stay on its branch, do not commit, stash or reset there"
    if not left_out:
        return text
    more = f" and {len(left_out) - LEFT_OUT_TOLD_MAX} more" if len(left_out) > LEFT_OUT_TOLD_MAX else ""
    names = ", ".join(shorten(clean_text(name), PATH_CHARS_MAX) for name in left_out[:LEFT_OUT_TOLD_MAX])
    return f"{text}; {names}{more} had uncommitted changes before, which are handed in only where you change the file"
