"""Agents' workspaces: ordinary linked worktrees of the user's repository, one for each lease of a stage.

A workspace is named after change, stage and fence, so every holder has its own and a late one never writes into its
successor's. Submodules are checked out from what the person has of them. What is ours lies in the worktree's private
git folder, which is found by the name: the `.git` file in the workspace can be rewritten by whoever works there and is
never followed.
"""

import os
import re
import shutil
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..schemas.ids import CHANGE_ID, STAGE_NAME
from .checkouts.placeholders import MODULES_FILE
from .checkouts.submodules import places_of
from .files import locked, replace_text
from .git import Git, GitFailed
from .repository import SharedRepository
from .worktrees.here import Here
from .worktrees.included import copy_included, included_paths
from .worktrees.populating import left_empty, populate
from .worktrees.problems import WorkspaceProblem
from .worktrees.snapshot import SAVED_REFS, Snapshot, commit_tree, find_head, is_ancestor, take_snapshot
from .worktrees.worktree import find_linked_place, linked_git_dirs, user_git

__all__ = ["EXCLUDED", "SAVED_REFS", "Workspace", "Workspaces"]

EXCLUDED = "/.gatewright/"
CHECKOUT_TIMEOUT_S = 300.0
# Workspaces that share a lock wait for each other; more would only leave more empty files.
LOCKS = 16
DELETE_TRIES = 5
LENT_TOLD_MAX = 5

_LEASE_FILE = "gatewright-lease"
# Holds the base and the commit whose files were put there; written last: without it nobody was handed the workspace.
_READY_FILE = "gatewright-base"
_NAME = re.compile(rf"({CHANGE_ID.pattern})-({STAGE_NAME.pattern})-([1-9][0-9]{{0,8}})")


@dataclass(frozen=True, slots=True)
class Workspace:
    change: str
    stage: str
    fence: int
    path: Path


class Workspaces:
    """The workspaces of one repository; its methods raise `WorkspaceProblem` when they cannot do their work."""

    def __init__(self, repository: SharedRepository) -> None:
        self._repository = repository
        self.here = Here(repository)
        main = repository.main_worktree
        # A bare repository has no folder beside its files.
        self.root = repository.state_dir / "work" if main is None else main / ".gatewright" / "work"

    def path_of(self, change: str, stage: str, fence: int) -> Path:
        name = f"{change}-{stage}-{fence}"
        assert _NAME.fullmatch(name), f"{name!r} does not name a workspace"
        return self.root / name

    def ensure(self, change: str, stage: str, fence: int, *, base: str, lease: str, content: str | None = None) -> Path:
        """Make the workspace at the commit `base`, detached, or leave it as it is when there is one; returns its path.

        With `content` it holds the files of that commit, as if the holder had changed them on the base and not
        committed yet: an attempt that failed is mended, and never becomes part of the history. Both commits must be in
        the repository. The lease token is written (again) into the private git folder, mode
        0600. Safe to repeat after a crash: what was never finished is made anew; files of a workspace whose git folder
        is gone are moved aside, never deleted. Files named by `.worktreeinclude` are copied from the main worktree.
        """
        path = self.path_of(change, stage, fence)
        with self._lock(path.name) as lock:
            self._make_root()
            admin = self._admin_of(path)
            if admin is None or not path.is_dir() or not (admin / _READY_FILE).exists():
                admin = self._make(path, admin, base, content or base, lock)
            if _read_lease(admin) != lease:
                replace_text(admin / _LEASE_FILE, f"{lease}\n", mode=0o600)
            if not os.path.lexists(path / ".git"):
                replace_text(path / ".git", f"gitdir: {admin}\n", mode=0o644)
        return path

    def find_lease(self, path: Path) -> str | None:
        """The lease token of the workspace that `path` lies in, for an agent that lost its context."""
        workspace = self._workspace_around(path)
        if workspace is None:
            return self.here.find_lease(path)
        admin = self._admin_of(workspace)
        return None if admin is None else _read_lease(admin)

    def has_own(self, change: str, stage: str, fence: int) -> bool:
        """Whether a worktree of its own was made for this lease and handed to it."""
        admin = self._admin_of(self.path_of(change, stage, fence))
        return admin is not None and (admin / _READY_FILE).exists()

    def empty_submodules(self, path: Path) -> tuple[str, ...]:
        """The submodules that the workspace was made without, because this machine has not got them."""
        admin = self._admin_of(path)
        return () if admin is None else left_empty(admin)

    def snapshot(self, path: Path, *, base: str, message: str, author: str, when: datetime) -> Snapshot:
        """What the agent has now, as a commit: see `take_snapshot`; without the private files that were lent to it."""
        taken = take_snapshot(self._git(path), base=base, message=message, author=author, when=when)
        self._refuse_lent(base, taken)
        return taken

    def save_unsaved(self, path: Path, ref: str, *, when: datetime) -> str | None:
        """Keep uncommitted work and unpublished commits under `ref`; None when there is nothing beyond the base.

        What an earlier call kept under the same ref stays reachable from it. A workspace that is gone has nothing.
        """
        assert ref.startswith(SAVED_REFS), f"saved work goes below {SAVED_REFS}"
        admin = self._admin_of(path)
        if admin is None or not path.is_dir() or not (admin / _READY_FILE).exists():
            return None
        git = self._git(path)
        base, content = (admin / _READY_FILE).read_text(encoding="ascii").split()
        text = f"Unsaved work from {path.name}\n"
        saved = take_snapshot(git, base=base, message=text, author="gatewright", when=when)
        if saved.commit == base or (find_head(git) == base and saved.tree == self._repository.tree_of(content)):
            return None
        try:
            return self._keep(git, saved, ref, text, when)
        except GitFailed as exc:
            message = f"git cannot save what is in {path}: {exc.stderr.rpartition(chr(10))[2]}."
            raise WorkspaceProblem(message, "It stays where it is; mend that, then try again.") from exc

    def remove(self, change: str, stage: str, fence: int) -> None:
        """Delete a workspace with its private git folder; one that is gone, or only half there, is no problem."""
        path = self.path_of(change, stage, fence)
        with self._lock(path.name):
            self._refuse_links()
            _delete(path)
            admin = self._admin_of(path)
            if admin is not None:
                _delete(admin)

    def list(self) -> tuple[Workspace, ...]:
        """Every workspace whose folder or private git folder exists, by name."""
        names = {entry.name for entry in self.root.iterdir()} if self.root.is_dir() else set()
        names |= {path.name for _, path in linked_git_dirs(self._repository.common_dir) if path.parent == self.root}
        found = (_NAME.fullmatch(name) for name in sorted(names))
        return tuple(Workspace(m[1], m[2], int(m[3]), self.root / m[0]) for m in found if m is not None)

    def remove_all(self) -> None:
        for workspace in self.list():
            self.remove(workspace.change, workspace.stage, workspace.fence)

    def _make_root(self) -> None:
        self._refuse_links()
        self.root.mkdir(parents=True, exist_ok=True)
        if self._repository.main_worktree is not None:
            self._repository.exclude(EXCLUDED)

    def _refuse_links(self) -> None:
        # A link in its place, which a commit can bring along, would have us write and delete somewhere else.
        if os.path.realpath(self.root) != str(self.root):
            message = f"{self.root} leads through a symbolic link to {os.path.realpath(self.root)}."
            raise WorkspaceProblem(message, "Remove the link; gatewright makes the folder itself.")

    def _make(self, path: Path, admin: Path | None, base: str, content: str, lock: int) -> Path:
        """Make the worktree from nothing, whatever is there, and return its private git folder.

        git holds the lock too: when only our process is killed, git goes on, and when it fails then it deletes what it
        made, by its path. Nobody may make the same workspace again before that is over.
        """
        if admin is None and os.path.lexists(path):
            _move_aside(path)
        # Nobody was ever given a workspace that has its private folder but no sign of being ready.
        _delete(path)
        if admin is not None:
            _delete(admin)
        git = replace(user_git(self._repository.common_dir, None), held_open=(lock,))
        try:
            git.run("worktree", "add", "--quiet", "--detach", str(path), base, timeout_s=CHECKOUT_TIMEOUT_S)
            # Before anything of an attempt that failed is there, whose .gitmodules nobody has passed.
            if (path / MODULES_FILE).is_file():
                populate(replace(self._git(path), held_open=(lock,)), base, places_of(self._repository.common_dir))
            if content != base:
                self._fill(path, base, content)
        except GitFailed as exc:
            message = f"git cannot make the workspace {path}: {exc.stderr.rpartition(chr(10))[2]}."
            raise WorkspaceProblem(message, "Mend that, then claim the stage again.") from exc
        if self._repository.main_worktree is not None:
            copy_included(user_git(self._repository.common_dir, self._repository.main_worktree), path)
        made = self._admin_of(path)
        assert made is not None, "git has just made it"
        replace_text(made / _READY_FILE, f"{base}\n{content}\n", mode=0o600)
        return made

    def _fill(self, path: Path, base: str, content: str) -> None:
        git = self._git(path)
        git.run("read-tree", "-m", "-u", base, content, timeout_s=CHECKOUT_TIMEOUT_S)
        git.run("read-tree", base)

    def _refuse_lent(self, base: str, taken: Snapshot) -> None:
        """An agent may change what git ignores; a key that was copied here for its use must not be published so."""
        main = self._repository.main_worktree
        lent = set() if main is None else {*included_paths(user_git(self._repository.common_dir, main))}
        if not lent:
            return
        listing = Git(self._repository.common_dir).text(
            *("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, taken.commit)
        )
        published = sorted(lent & {*listing.split("\0")})
        if published:
            names = ", ".join(published[:LENT_TOLD_MAX])
            message = f"{names} was copied from the main worktree, where git ignores it, and would be handed in."
            raise WorkspaceProblem(message, "Have .gitignore name it again, and take it out of your own commits.")

    def _git(self, path: Path) -> Git:
        admin = self._admin_of(path)
        if admin is None or not path.is_dir():
            message = f"The workspace {path} is gone."
            raise WorkspaceProblem(message, "Claim the stage again to have a new one; its commits are not lost.")
        return user_git(admin, path)

    def _admin_of(self, path: Path) -> Path | None:
        """The worktree's private git folder; usually named like the workspace, but git numbers names that are taken.

        Where it usually is is looked first: with many workspaces to read what all others say takes longer than a claim.
        """
        wanted = os.path.realpath(path)
        usual = self._repository.common_dir / "worktrees" / path.name
        place = find_linked_place(usual)
        if place is not None and os.path.realpath(place) == wanted:
            return usual
        linked = linked_git_dirs(self._repository.common_dir)
        return next((admin for admin, place in linked if os.path.realpath(place) == wanted), None)

    def _workspace_around(self, path: Path) -> Path | None:
        place = Path(os.path.realpath(path))
        if not place.is_relative_to(self.root) or place == self.root:
            return None
        return self.root / place.relative_to(self.root).parts[0]

    def _keep(self, git: Git, saved: Snapshot, ref: str, message: str, when: datetime) -> str:
        """Put `ref` on the saved commit, joined with HEAD and with what the ref held so far where it lacks them."""
        before = self._repository.resolve(ref)
        head = find_head(git)
        if before is not None and self._holds(before, saved.tree, head):
            return before
        commit = saved.commit
        apart = [other for other in (head, before) if other is not None and not is_ancestor(git, other, commit)]
        if apart:
            parents = [commit, *apart]
            commit = commit_tree(git, saved.tree, parents, message=message, author="gatewright", when=when)
        git.run("update-ref", "--no-deref", ref, commit)
        return commit

    def _holds(self, commit: str, tree: str, head: str | None) -> bool:
        git = Git(self._repository.common_dir)
        same_tree = git.text("rev-parse", f"{commit}^{{tree}}") == tree
        return same_tree and (head is None or is_ancestor(git, head, commit))

    @contextmanager
    def _lock(self, name: str) -> Generator[int, None, None]:
        folder = self._repository.state_dir / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(folder / f"workspace-{zlib.crc32(name.encode()) % LOCKS}") as lock:
                yield lock
        except OSError as exc:
            # A full disk, a read-only folder, or a lock that others hold for ever.
            message = f"The workspace {name} cannot be made or deleted: {exc}."
            raise WorkspaceProblem(message, "Mend that, then try again.") from exc


def _read_lease(admin: Path) -> str | None:
    try:
        return (admin / _LEASE_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _move_aside(path: Path) -> None:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.found-{number}")):
        number += 1
    path.rename(aside)


def _delete(path: Path) -> None:
    """Delete a folder with everything in it, read-only folders too; what is gone already is no problem."""
    for tries_left in reversed(range(DELETE_TRIES)):
        try:
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.exists():
                _make_writable(path)
                shutil.rmtree(path)
        except FileNotFoundError:
            continue  # somebody deletes it as well
        except OSError as exc:
            # A program that still runs there may have put a file into a folder that was just emptied.
            if not tries_left:
                message = f"{path} cannot be deleted: {exc.strerror}."
                raise WorkspaceProblem(message, "End what still runs there, then try again.") from exc
        else:
            return


def _make_writable(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        if not os.access(parent, os.W_OK | os.X_OK):
            Path(parent).chmod(0o700)
