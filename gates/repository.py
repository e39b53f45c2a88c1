"""The user's own repository: find it, read it, and move its target branch.

GitPython finds the repository and reads its settings; programs run through `Git`, because GitPython hands on the
caller's environment, in which a `GIT_DIR` of a hook would name another repository. Nothing here runs a hook.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .files import sync_folder
from .git import BARE_ENVIRONMENT, SERVER_IDENTITY, Git, GitFailed
from .worktrees.bring_along import Obstacle, bring_along, find_obstacle
from .worktrees.excluded import exclude, unexclude
from .worktrees.problems import ProblemKind, RepositoryProblem
from .worktrees.worktree import WorktreeInfo, holds_branch, list_worktrees, user_environment, user_git

# The first git whose `merge-tree --write-tree` makes a merge without a checkout.
GIT_VERSION_MIN = (2, 38)
DISCOVERY_TIMEOUT_S = 20.0

_FULL_ID = re.compile(r"(?!0+$)([0-9a-f]{40}|[0-9a-f]{64})")


class SharedRepository:
    """A repository as seen from `top`, the worktree that it was opened from (for a bare one: its git folder).

    `common_dir` is the same from every worktree, and so is `state_dir`, gatewright's own folder in it (not made here).
    """

    def __init__(self, top: Path, git_dir: Path, common_dir: Path, main_worktree: Path | None) -> None:
        self.top = top
        self.common_dir = common_dir
        self.state_dir = common_dir / "gatewright"
        self.main_worktree = main_worktree
        self.is_bare = top == common_dir
        self._git_dir = git_dir
        self._common = Git(common_dir)

    def resolve(self, ref: str) -> str | None:
        """The full id of the commit that `ref` names, through tags; None when it names none or is an option."""
        if "\0" in ref:
            return None
        _, printed = Git(self._git_dir).run_status(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", expected=(0, 1, 128)
        )
        return printed.decode("ascii", "replace").strip() or None

    def tree_of(self, commit: str) -> str:
        """The tree of a commit that is in the repository, by full id."""
        assert _FULL_ID.fullmatch(commit), "a tree is asked for by a full commit id"
        return self._common.text("rev-parse", "--verify", f"{commit}^{{tree}}")

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether the commit `old` is `new` or is reachable from it; of one that is not here it is not known, so no."""
        assert all(_FULL_ID.fullmatch(commit) for commit in (old, new)), "commits are compared by full ids"
        arguments = ("merge-base", "--is-ancestor", old, new)
        return self._common.run_status(*arguments, expected=(0, 1, 128))[0] == 0

    def branch_tip(self, branch: str) -> str | None:
        """The commit that a local branch stands at; None when there is no such branch."""
        return self.resolve(f"refs/heads/{branch}")

    def refresh(self, branch: str, *, is_binding: bool = True) -> None:
        """Know where a branch stands now; in a repository on this machine that is never in doubt."""

    def is_shown(self, commit: str, target: str) -> bool:
        """Whether those who work with the repository can see the commit."""
        return self.resolve(commit) is not None

    def current_branch(self) -> str | None:
        """The branch that `top` has checked out, also before its first commit; None when HEAD is detached."""
        return self._symbolic_ref(self._git_dir, "HEAD", "refs/heads/")

    def default_target(self) -> str:
        """The branch that finished work most likely goes to: the remote's default, main or master, the current one."""
        remote = self._symbolic_ref(self.common_dir, "refs/remotes/origin/HEAD", "refs/remotes/origin/")
        if remote is not None and self.branch_tip(remote):
            return remote
        # Whoever is on a branch of their own does not mean that policy is read from there from now on.
        usual = (name for name in ("main", "master") if self.branch_tip(name))
        return next(usual, None) or self.current_branch() or "main"

    def find_head(self) -> str | None:
        return self.resolve("HEAD")

    def get_worktree(self) -> Path:
        """The checkout that this repository was opened from; raises `RepositoryProblem` for a bare one."""
        if self.is_bare:
            message = f"{self.common_dir} is a bare repository: it has no files to work on."
            raise RepositoryProblem(ProblemKind.NO_WORKTREE, message, "Go to one of its worktrees, or to a clone.")
        return self.top

    def is_dirty(self) -> bool:
        """Whether `top` has changes that are not committed, or files that are neither committed nor ignored."""
        if self.is_bare:
            return False
        git = user_git(self._git_dir, self.top)
        return bool(git.run("status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=dirty"))

    def read_file(self, commit: str, path: str, bytes_max: int) -> bytes | None:
        """A regular file as committed; None when there is none. Larger than `bytes_max` is a `RepositoryProblem`."""
        assert _FULL_ID.fullmatch(commit), "reading needs a full commit id"
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            return None
        listing = self._common.run("--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", commit, "--", path)
        header, _, name = listing.decode("utf-8", "surrogateescape").rstrip("\0").partition("\t")
        if not header or name != path or not header.startswith("100"):
            return None
        _, _, oid, size = header.split()
        if int(size) > bytes_max:
            message = f"{path} in {commit[:10]} has {size} bytes; at most {bytes_max} are read."
            raise RepositoryProblem(ProblemKind.TOO_LARGE, message, "Make the file smaller.")
        return self._common.run("cat-file", "blob", oid)

    def worktrees(self) -> tuple[WorktreeInfo, ...]:
        """Every checkout of the repository, the main one first."""
        return list_worktrees(self.common_dir, self.main_worktree)

    def obstacles(self, target: str, old: str, new: str) -> tuple[Obstacle, ...]:
        """What moving `target` from `old` to `new` would overwrite in the worktrees that have it checked out."""
        found = (find_obstacle(tree, old, new) for tree in self.worktrees() if holds_branch(tree, target))
        return tuple(obstacle for obstacle in found if obstacle is not None)

    def move_target(self, target: str, old: str, new: str, *, message: str) -> bool:
        """Move the branch `target` from `old` to `new`, durably; False, and nothing changed, when it is not at `old`.

        `message` goes to the reflog. Never makes a branch; a branch that is a symbolic ref to another one is refused as
        a `RepositoryProblem`, because that other one would move. Raises `GitFailed` when git cannot write.
        """
        assert _FULL_ID.fullmatch(old), "a move needs the full id of where the branch is"
        assert _FULL_ID.fullmatch(new), "a move needs the full id of where the branch goes"
        ref = f"refs/heads/{target}"
        if self._symbolic_ref(self.common_dir, ref, "") is not None:
            text = f"The branch {target} is a symbolic ref to another branch, so landing on it would move that one."
            raise RepositoryProblem(ProblemKind.SYMBOLIC_BRANCH, text, "Make the other branch the target.")
        try:
            self._common.run("update-ref", "--no-deref", "-m", message, ref, new, old, environment=SERVER_IDENTITY)
        except GitFailed:
            if self.branch_tip(target) != old:
                return False
            raise
        # git syncs the ref's file, not its name; with reftable there is no such folder.
        if (self.common_dir / ref).parent.is_dir():
            sync_folder((self.common_dir / ref).parent)
        return True

    def bring_along(self, target: str, old: str, new: str) -> tuple[Obstacle, ...]:
        """Take every worktree that has `target` checked out from `old` to `new`, after the branch has moved.

        Returns what was in the way; those worktrees are as they were. Calling it again is harmless, also after a crash
        half-way. A branch that no longer contains `new` was moved by a person and is left alone. Each landing is
        brought along before the next one moves the branch.
        """
        tip = self.branch_tip(target)
        if tip is None or not self.is_ancestor(new, tip):
            return ()
        found = (bring_along(tree, old, new) for tree in self.worktrees() if tree.branch == target)
        return tuple(obstacle for obstacle in found if obstacle is not None)

    def exclude(self, pattern: str) -> None:
        """Have git ignore `pattern` in every worktree, by one line in `info/exclude`, which is never committed."""
        exclude(self.common_dir, self.state_dir, pattern)

    def unexclude(self) -> None:
        """Undo every `exclude`; lines of the person stay."""
        unexclude(self.common_dir, self.state_dir)

    @staticmethod
    def _symbolic_ref(git_dir: Path, ref: str, prefix: str) -> str | None:
        """What a symbolic ref points at, without `prefix`; None when it is none, or points outside of `prefix`."""
        printed = Git(git_dir).run("symbolic-ref", "--quiet", ref, expected=(0, 1))
        name = printed.decode("utf-8", "surrogateescape").rstrip("\n")
        return name.removeprefix(prefix) if name and name.startswith(prefix) else None


def open_repository(path: Path) -> SharedRepository:
    """Open the repository that `path` lies in: any folder of it, a linked worktree, or its git folder.

    Raises `RepositoryProblem` when git is missing or too old, the path does not exist or lies in no repository, or git
    does not trust the repository's owner. A bare or empty repository opens; `get_worktree` and `find_head` tell.
    """
    _check_git_version()
    if not path.exists():
        message = f"There is no folder {path}."
        raise RepositoryProblem(ProblemKind.NOT_FOUND, message, "Give the path of a git repository.")
    folder = Path(os.path.realpath(path if path.is_dir() else path.parent))
    top, git_dir, is_bare, configured_top = _discover(folder)
    _check_trusted(top or git_dir)
    common_dir = _common_dir(git_dir)
    if git_dir == common_dir:
        main = top
    elif is_bare:
        main = None
    else:
        main = common_dir.parent if common_dir.name == ".git" else configured_top
    return SharedRepository(top or common_dir, git_dir, common_dir, main)


def _discover(folder: Path) -> tuple[Path | None, Path, bool, Path | None]:
    """The worktree (None: bare), its git folder, whether the main repository is bare, and its `core.worktree`."""
    # GitPython looks for git when it is imported, and would raise where our own sentence is better.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git

    try:
        with _without_git_variables(), git.Repo(folder, search_parent_directories=True, expand_vars=False) as found:
            git_dir = Path(os.path.realpath(found.git_dir))
            top = None if found.working_tree_dir is None else Path(os.path.realpath(git_dir / found.working_tree_dir))
            settings = found.config_reader("repository")
            is_bare = str(settings.get_value("core", "bare", "false")).lower() == "true"
            configured = str(settings.get_value("core", "worktree", ""))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError, OSError) as exc:
        message = f"There is no git repository at {folder} or above it."
        action = "Go to a repository, or make one: git init, and a first commit."
        raise RepositoryProblem(ProblemKind.NO_REPOSITORY, message, action) from exc
    worktree = Path(os.path.realpath(_common_dir(git_dir) / configured)) if configured else None
    if (
        worktree is None
        and git_dir.name != ".git"
        and folder.is_relative_to(git_dir)
        and git_dir == _common_dir(git_dir)
    ):
        # Made by `git init --separate-git-dir`: the git folder does not know its worktree, and GitPython guesses one.
        top = None
    return top, git_dir, is_bare, worktree


def _common_dir(git_dir: Path) -> Path:
    """The folder that all worktrees share; read here because GitPython would believe `GIT_COMMON_DIR`."""
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    return Path(os.path.realpath(git_dir / pointer.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")))


def _check_git_version() -> None:
    program = shutil.which("git", path=BARE_ENVIRONMENT["PATH"])
    wanted = ".".join(map(str, GIT_VERSION_MIN))
    if program is None:
        message = "There is no git program on the PATH."
        raise RepositoryProblem(ProblemKind.NO_GIT, message, f"Install git {wanted} or newer.")
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=DISCOVERY_TIMEOUT_S, check=False
    )
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < GIT_VERSION_MIN:
        message = f"{program} is {done.stdout.strip() or 'broken'}; gatewright needs {wanted} or newer."
        raise RepositoryProblem(ProblemKind.OLD_GIT, message, "Install a newer git.")


def _check_trusted(folder: Path) -> None:
    """Let git judge the owner: with `GIT_DIR` given, as `Git` gives it, git would not ask."""
    done = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "--git-dir"],
        env=user_environment(),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=DISCOVERY_TIMEOUT_S,
        check=False,
    )
    if done.returncode and "dubious ownership" in done.stderr:
        message = f"git does not trust {folder}, because it belongs to another user."
        action = f"If you do: git config --global --add safe.directory {folder}"
        raise RepositoryProblem(ProblemKind.NOT_TRUSTED, message, action)
    if done.returncode:
        message = f"git cannot open {folder}: {done.stderr.strip().rpartition(chr(10))[2]}."
        raise RepositoryProblem(ProblemKind.NO_REPOSITORY, message, "Run git status there and mend what it says.")


@contextmanager
def _without_git_variables() -> Generator[None, None, None]:
    """Hide the variables by which git's hooks tell children another repository; GitPython would follow them."""
    names = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
