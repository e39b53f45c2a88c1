"""Where holders work when a team shares a remote: each on a branch of its own, in a clone on whatever machine.

The branch is named after change, stage and fence, as a worktree is, so a late holder never pushes into its successor's.
What stands at it is what is handed in; what a former holder left there is offered to the next one. Nothing that the
remote says of a branch is believed before our own store has checked the commit.
Source: docs/decisions/0019-artifacts-travel-through-the-remote.md
"""

import logging
import re
import shlex
from datetime import datetime

from ...gates.artifact_store.objects import BadArtifact
from ...gates.git import GitFailed
from ...gates.remote.problems import RemoteProblem
from ...gates.remote.quarantine import quarantined
from ...gates.remote.remote import BYTES_MAX, Remote
from ...gates.worktrees.problems import WorkspaceProblem
from ...gates.worktrees.snapshot import SAVED_REFS
from ...schemas import refusals
from ...schemas.ids import CHANGE_ID, STAGE_NAME, LeaseName
from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refused
from ..services import Services
from . import bases
from .workplaces import Workplace

HEADS = "refs/heads/"
BRANCHES = "gatewright/"
_BRANCH = re.compile(rf"{HEADS}{BRANCHES}({CHANGE_ID.pattern})/({STAGE_NAME.pattern})-([1-9][0-9]{{0,8}})")

log = logging.getLogger(__name__)


def branch_of(change: str, stage: str, fence: int) -> str:
    """The branch of a lease, without `refs/heads/`."""
    branch = f"{BRANCHES}{change}/{stage}-{fence}"
    assert _BRANCH.fullmatch(HEADS + branch), f"{branch!r} does not name the branch of a lease"
    return branch


class Branches:
    """See `Places`."""

    hand_in = (
        "Push your commit to the branch that the brief names and leave `commit` out; or give the full id of a pushed "
        "commit that was made on top of base_commit."
    )

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def find_lease_file(self, services: Services, change: str, stage: str, fence: int) -> None:
        """Nowhere: a clone is the agent's own. A claim that is repeated with its `key` tells the lease again."""
        return

    def find(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
        return Workplace(None)

    def make(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
        try:
            start = bases.workspace_start(services, record, stage)
            for commit in {start.base, start.content}:
                bases.make_reachable(services, commit)
            commands = _commands(services, record, branch_of(record.id, stage, fence), start)
        except RemoteProblem as exc:
            problem = f"{exc} Claim again with the same `key`, or use `files` in submit_artifact."
            return Workplace(None, problem=problem, next="Call claim_stage again, with the same arguments.")
        shown = shlex.quote(self._remote.address.shown)
        note = f"you work in a clone of the shared repository, where `origin` is {shown}; none yet? `git clone {shown}`"
        return Workplace(None, notes=(note,), next=commands)

    def snapshot(
        self, services: Services, record: ChangeRecord, lease: LeaseName, *, base: str, message: str, author: str
    ) -> str:
        branch = branch_of(lease.change, lease.stage, lease.fence)
        tip = self._remote.tip(HEADS + branch)
        if tip is None:
            raise Refused(refusals.not_pushed(branch, lease.change, lease.stage))
        return tip

    def save_unsaved(
        self, services: Services, record: ChangeRecord, stage: str, fence: int, *, when: datetime
    ) -> tuple[str, str] | None:
        branch = branch_of(record.id, stage, fence)
        try:
            tip = self._remote.tip(HEADS + branch)
            base = bases.stage_base(services, record, stage).commit
            if tip in {None, base, *(attempt.commit for attempt in record.stage(stage).attempts)}:
                return None
            assert tip is not None, "None is among those"
            services.artifacts.fetch(tip, base=base)
            services.artifacts.keep(tip, f"{_saved_name(record.id, stage, fence)}")
        except BadArtifact as exc:
            log.info("what lease %s of %s/%s pushed cannot be adopted: %s", fence, record.id, stage, exc)
            return None
        except RemoteProblem as exc:
            raise WorkspaceProblem(exc.message, "Claim again when it answers.") from exc
        return tip, f"what lease {fence} pushed to {branch} and did not hand in"

    def how_to_adopt(self, services: Services, record: ChangeRecord, commit: str) -> str:
        return f"`git fetch origin {_source(services, record, commit)}` first; then "

    def clear(self, services: Services, record: ChangeRecord) -> bool:
        """Branches whose commits were handed in are deleted; of the others the commit is kept under a ref of ours."""
        handed_in = {attempt.commit for stage in record.stages for attempt in stage.attempts}
        try:
            for ref, tip in self._remote.tips(f"{HEADS}{BRANCHES}{record.id}/*").items():
                found = _BRANCH.fullmatch(ref)
                if found is not None and found[1] == record.id:
                    if tip not in handed_in:
                        self._keep(services, tip, f"refs/gatewright/{_saved_name(*found.groups())}")
                    self._remote.push(services.repository.common_dir, None, ref, expected=tip)
        except (RemoteProblem, GitFailed, OSError) as exc:
            # An agent may be pushing at this moment, or the remote not answer.
            log.warning("branches of %s stay: %s", record.id, exc)
            return False
        return True

    def list_changes(self, services: Services) -> set[str]:
        found = (_BRANCH.fullmatch(ref) for ref in self._remote.tips(f"{HEADS}{BRANCHES}*"))
        return {match[1] for match in found if match is not None}

    def _keep(self, services: Services, commit: str, ref: str) -> None:
        """By the remote itself, unchecked as it came: none of it stays here."""
        near, folder = services.repository.common_dir, services.artifacts.path
        with quarantined(self._remote, commit, near=near, folder=folder, pack_bytes_max=BYTES_MAX) as place:
            self._remote.keep(place, commit, ref)


def _commands(services: Services, record: ChangeRecord, branch: str, start: bases.WorkspaceStart) -> str:
    """What to run, in order, up to handing in."""
    fetch = f"git fetch origin {_source(services, record, start.base)}"
    begin = f"Run `{fetch} && git switch -c {branch} {start.base}` in your clone"
    if start.content != start.base:
        more = f"git fetch origin {_source(services, record, start.content)}"
        begin += f" and, for the files to go on from, `{more} && git restore --source={start.content} --worktree .`"
    # By its id, because whoever may push branches of ours may push to this one.
    push = f"`git push origin HEAD:{HEADS}{branch} && git rev-parse HEAD`"
    return (
        f"{begin}; commit your work there, {push}, then submit_artifact with this lease and, as `commit`, the id that "
        "this prints; check_gates first costs no attempt."
    )


def _source(services: Services, record: ChangeRecord, commit: str) -> str:
    """What to fetch to have a commit: the target that has it, else the ref that keeps it reachable."""
    is_shown = services.repository.is_shown(commit, record.target)
    return shlex.quote(record.target) if is_shown else f"{bases.BASE_REFS}{commit}"


def _saved_name(change: str, stage: str, fence: int | str) -> str:
    return f"{SAVED_REFS.removeprefix('refs/gatewright/')}{change}-{stage}-{fence}"
