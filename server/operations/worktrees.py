"""Where holders work on this machine: a worktree each, or, one, the person's own checkout (`workspace: here`).

A lease that cannot have the checkout gets a worktree: a claim stands whatever the checkout looks like.
"""

import logging
from datetime import datetime

from ...gates.checkouts.filling import SUBMODULES_MEND
from ...gates.git import GitFailed
from ...gates.text import clean_text, shorten
from ...gates.worktrees.here import Place
from ...gates.worktrees.occupation import Occupation
from ...gates.worktrees.problems import WorkspaceProblem
from ...gates.worktrees.snapshot import SAVED_REFS
from ...schemas.ids import LeaseName
from ...schemas.records import ChangeRecord, ChangeState
from ..services import Services
from . import bases
from .workplaces import Workplace

LEFT_OUT_TOLD_MAX = 5
EMPTY_TOLD_MAX = 5
PATH_CHARS_MAX = 200
NOT_HERE = "the pipeline says `workspace: here`, but this stage got a worktree of its own"

log = logging.getLogger(__name__)


class Worktrees:
    """See `Places`."""

    hand_in = (
        "Leave `commit` out and the server commits the workspace; or give the full id of a commit made on top of "
        "base_commit."
    )

    def find_lease_file(self, services: Services, change: str, stage: str, fence: int) -> str:
        """The workspace, which has it in its private git folder."""
        here = services.workspaces.here
        if here.path is not None and here.holds(change, stage, fence):
            return str(here.path)
        return str(services.workspaces.path_of(change, stage, fence))

    def find(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
        here = services.workspaces.here
        if here.path is not None and here.holds(record.id, stage, fence):
            return Workplace(here.path, is_here=True, notes=(_about_here(here.left_out()),))
        path = services.workspaces.path_of(record.id, stage, fence)
        return Workplace(path, notes=_about_submodules(services.workspaces.empty_submodules(path)))

    def make(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
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
                return self.find(services, record, stage, fence)
            notes = (reason,)
        path = services.workspaces.path_of(record.id, stage, fence)
        token = services.leases.token(record.id, stage, fence)
        try:
            services.workspaces.ensure(record.id, stage, fence, base=start.base, lease=token, content=start.content)
        except WorkspaceProblem as exc:
            return Workplace(path, problem=f"{exc} Use `files` in submit_artifact instead.")
        empty = _about_submodules(services.workspaces.empty_submodules(path))
        return Workplace(path, notes=(*empty, *notes))

    def snapshot(
        self, services: Services, record: ChangeRecord, lease: LeaseName, *, base: str, message: str, author: str
    ) -> str:
        workspaces, when = services.workspaces, services.clock()
        if workspaces.here.holds(lease.change, lease.stage, lease.fence):
            return workspaces.here.snapshot(base=base, message=message, author=author, when=when).commit
        path = workspaces.path_of(lease.change, lease.stage, lease.fence)
        return workspaces.snapshot(path, base=base, message=message, author=author, when=when).commit

    def save_unsaved(
        self, services: Services, record: ChangeRecord, stage: str, fence: int, *, when: datetime
    ) -> tuple[str, str] | None:
        workspaces, ref = services.workspaces, f"{SAVED_REFS}{record.id}-{stage}-{fence}"
        found = workspaces.here.occupation()
        if found is not None and found.is_of(record.id, stage, fence):
            saved = workspaces.here.save_unsaved(found, when=when)
            note = f"unsaved work of lease {fence}, kept as {ref}; it still lies in the checkout"
        else:
            saved = workspaces.save_unsaved(workspaces.path_of(record.id, stage, fence), ref, when=when)
            note = f"unsaved work of lease {fence}, kept as {ref}"
        return None if saved is None else (saved, note)

    def how_to_adopt(self, services: Services, record: ChangeRecord, commit: str) -> str:
        """Nothing: it is in the repository that every workspace belongs to."""
        return ""

    def clear(self, services: Services, record: ChangeRecord) -> bool:
        """A workspace that cannot be saved stays, and so do the files of one that is the person's own checkout."""
        services.workspaces.here.leave(record.id)
        are_gone = True
        for workspace in services.workspaces.list():
            if workspace.change != record.id:
                continue
            ref = f"{SAVED_REFS}{workspace.change}-{workspace.stage}-{workspace.fence}"
            try:
                services.workspaces.save_unsaved(workspace.path, ref, when=services.clock())
                services.workspaces.remove(workspace.change, workspace.stage, workspace.fence)
            except (WorkspaceProblem, GitFailed, OSError) as exc:
                # Another server of the repository may be taking it away at this moment.
                log.warning("workspace %s stays: %s", workspace.path, exc)
                are_gone = False
        return are_gone

    def list_changes(self, services: Services) -> set[str]:
        here = services.workspaces.here.occupation()
        return {workspace.change for workspace in services.workspaces.list()} | ({here.change} if here else set())


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


def _about_submodules(empty: tuple[str, ...]) -> tuple[str, ...]:
    names = ", ".join(map(clean_text, empty[:EMPTY_TOLD_MAX]))
    return (f"submodules that are not on this machine have empty folders: {names}; {SUBMODULES_MEND}",) if empty else ()
