"""A bare repository of our own that follows the remote, in the place where the embedded profile has the user's.

It is a cache: made when it is missing, and losing it loses nothing. Of the target it knows what the remote said last,
and nobody trusts that who decides by it: they have it asked again. It has no checkouts, so nothing is brought along.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path

from ..artifact_store import transfer
from ..git import Git
from ..preparation.locks import locked
from ..repository import SharedRepository, open_repository
from ..worktrees.bring_along import Obstacle
from .problems import RemoteFault, RemoteProblem
from .remote import Remote

# What is only told may be as old, and whoever is told it waits no longer.
FRESH_S = 10.0
QUICK_S = 2.0
REFRESH_WAIT_S = 600.0
LONG_ID_CHARS = 64
LOCK = "mirror.lock"


class MirroredRepository(SharedRepository):
    """What `remote` has, seen through the mirror; `RemoteProblem` where it has to be asked and does not answer."""

    def __init__(self, folder: Path, remote: Remote) -> None:
        super().__init__(folder, folder, folder, None)
        self._remote = remote
        self._refreshing = threading.Lock()
        # When the last answer about a branch was asked for, by a clock that only rises; and when it last was in vain.
        self._answered_at: dict[str, float] = {}
        self._unanswered_at: dict[str, float] = {}

    def refresh(self, branch: str, *, is_binding: bool = True) -> None:
        """Ask where a branch stands. When it is not binding, an answer of `FRESH_S` ago, or the last one, will do."""
        if not is_binding:
            self._refresh_quickly(branch)
            return
        wanted_since = time.monotonic()
        if not self._refreshing.acquire(timeout=REFRESH_WAIT_S):
            message = f"The git remote is still being asked where '{branch}' stands."
            raise RemoteProblem(RemoteFault.UNREACHABLE, message)
        try:
            # Who waited here while somebody else asked has the answer.
            if self._answered_at.get(branch, float("-inf")) < wanted_since:
                self._follow(branch, None)
        finally:
            self._refreshing.release()

    def branch_tip(self, branch: str) -> str | None:
        """Where the remote has the branch now."""
        self.refresh(branch)
        return super().branch_tip(branch)

    def is_shown(self, commit: str, target: str) -> bool:
        """Whether whoever fetches the target has the commit."""
        tip = super().branch_tip(target)
        return tip is not None and self.is_ancestor(commit, tip)

    def obstacles(self, target: str, old: str, new: str) -> tuple[Obstacle, ...]:
        """Nothing: a person's checkouts are on other machines, and follow when they pull."""
        return ()

    def bring_along(self, target: str, old: str, new: str) -> tuple[Obstacle, ...]:
        """Nothing to bring along, as above."""
        return ()

    def move_target(self, target: str, old: str, new: str, *, message: str) -> bool:
        """Have the remote move its branch by compare-and-swap; False, and nothing changed, when it is not at `old`.

        Whatever became of the push, the remote's ref tells. Raises `RemoteProblem` when it stands at `old` still, or
        cannot be asked: then it may have moved.
        """
        ref = f"refs/heads/{target}"
        try:
            self._remote.push(self.common_dir, new, ref, expected=old)
        except RemoteProblem:
            tip = self._remote.tip(ref)
            if tip == old:
                raise
            return tip == new
        return True

    def _refresh_quickly(self, branch: str) -> None:
        """For whoever decides nothing by it: neither who decides nor a slow remote is waited for."""
        asked_at = max(known.get(branch, float("-inf")) for known in (self._answered_at, self._unanswered_at))
        if asked_at > time.monotonic() - FRESH_S or not self._refreshing.acquire(blocking=False):
            return
        try:
            self._follow(branch, QUICK_S)
        except RemoteProblem:
            self._unanswered_at[branch] = time.monotonic()
        finally:
            self._refreshing.release()

    def _follow(self, branch: str, within_s: float | None) -> None:
        ref, began = f"refs/heads/{branch}", time.monotonic()
        tip = self._remote.tip(ref, within_s=within_s)
        if tip is None:
            self._common.run("update-ref", "--no-deref", "-d", ref)
        elif tip != super().branch_tip(branch):
            self._remote.fetch(self.common_dir, [f"+{ref}:{ref}"], has_tags=True, within_s=within_s)
        self._answered_at[branch] = began


def open_mirror(folder: Path, remote: Remote, *, objects: Path) -> MirroredRepository:
    """Open the mirror at `folder`, made when it is missing; what lies in `objects`, our store's, it sees as well.

    Raises `RemoteProblem` when it has to be made and the remote does not answer.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder.parent / LOCK, timeout_s=REFRESH_WAIT_S):
        if not (folder / "HEAD").is_file():
            _make(folder, remote)
    transfer.remove_leftovers(folder)
    alternates = folder / "objects" / "info" / "alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{objects}\n")
    opened = open_repository(folder)
    return MirroredRepository(opened.common_dir, remote)


def _make(folder: Path, remote: Remote) -> None:
    with tempfile.TemporaryDirectory(prefix=".mirror-", dir=folder.parent) as place:
        fresh = Path(place) / "repository.git"
        fresh.mkdir()
        # Any repository will do to ask from; which kind of ids this one needs, the answer tells.
        _init(fresh, "sha1")
        ids = remote.tips("refs/heads/*", home=fresh).values()
        if any(len(oid) == LONG_ID_CHARS for oid in ids):
            shutil.rmtree(fresh)
            fresh.mkdir()
            _init(fresh, "sha256")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)


def _init(folder: Path, object_format: str) -> None:
    Git(folder).run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")
