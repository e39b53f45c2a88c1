"""The checkouts of a person's repository: which there are, who has a branch checked out, and running git in them.

A checkout belongs to the person who works in it. The person's own filters (LFS, autocrlf) run there, as they would for
the person; hooks and fsmonitor do not.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..git import Git
from ..preparation.server_settings import SECRET_PREFIX

TEMPORARY_PREFIX = "gatewright-index-"
# Longer than any command may run that uses one.
TEMPORARY_KEPT_S = 3_600.0

# Where a person's settings lie, and how the person's filters reach their server; the other GIT_* would redirect us.
KEPT_GIT_VARIABLES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSH", "GIT_SSL", "GIT_LFS_")


@dataclass(frozen=True, slots=True)
class WorktreeInfo:
    """A checkout, main or linked. `branch` is None when HEAD is detached, `head` when there is no commit yet."""

    path: Path
    git_dir: Path
    branch: str | None
    head: str | None


def user_environment() -> dict[str, str]:
    """The environment of a person's own checkout: theirs, without what would point git at another repository.

    Nor with what only `setup` may see: filters are named in a configuration that agents can write.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", SECRET_PREFIX)) or name.startswith(KEPT_GIT_VARIABLES)
    }
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
    }


def user_git(git_dir: Path, work_tree: Path | None) -> Git:
    """git in a person's checkout, with the person's settings, without hooks and fsmonitor."""
    # The attributes are the person's own; splitting the index would leave parts of our copies in the git folder.
    config = {"core.attributesFile": None, "core.splitIndex": "false"}
    return Git(git_dir, work_tree, config=config, base_environment=user_environment())


def list_worktrees(common_dir: Path, main_worktree: Path | None) -> tuple[WorktreeInfo, ...]:
    """Every checkout whose folder exists, the main one first (it has no record when the repository is bare)."""
    linked = {os.path.realpath(path): admin for admin, path in linked_git_dirs(common_dir)}
    infos = []
    for position, record in enumerate(_worktree_records(common_dir)):
        path = main_worktree if position == 0 else Path(record["worktree"])
        git_dir = common_dir if position == 0 else linked.get(os.path.realpath(record["worktree"]))
        if path is None or git_dir is None or "bare" in record or not path.is_dir():
            continue
        branch = record["branch"].removeprefix("refs/heads/") if "branch" in record else None
        head = record.get("HEAD", "")
        infos.append(WorktreeInfo(path, git_dir, branch, head if head.strip("0") else None))
    return tuple(infos)


def linked_git_dirs(common_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Every linked worktree's private git folder with the checkout that it says it belongs to."""
    for pointer in sorted((common_dir / "worktrees").glob("*/gitdir")):
        place = find_linked_place(pointer.parent)
        if place is not None:
            yield pointer.parent, place


def find_linked_place(admin: Path) -> Path | None:
    """The checkout that a linked worktree's private git folder says it belongs to; None when there is none."""
    try:
        target = (admin / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    except OSError:
        return None
    # Relative since git 2.48 with `worktree.useRelativePaths`.
    return Path(os.path.normpath(admin / target)).parent


def holds_branch(worktree: WorktreeInfo, branch: str) -> bool:
    """Whether the branch is checked out there, or will be again when an unfinished rebase or bisect ends."""
    if worktree.branch == branch:
        return True
    places = (worktree.git_dir / name for name in ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"))
    return any(_first_line(place).removeprefix("refs/heads/") == branch for place in places)


@contextmanager
def index_copy(git: Git) -> Generator[Git, None, None]:
    """The same repository with a temporary copy of its index, so that nobody's own index is touched.

    The copy keeps the time stamp: git compares files by content that are as new as the index, and a newer copy would
    take their recorded state for granted.
    """
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=git.git_dir) as folder:
        _sweep(Path(folder))
        index = Path(folder) / "index"
        if (git.git_dir / "index").exists():
            shutil.copy2(git.git_dir / "index", index)
        yield replace(git, index_file=index)


def _sweep(mine: Path) -> None:
    """Delete what killed processes left beside our temporary folder, by the age that it has compared to ours."""
    for other in mine.parent.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if mine.stat().st_mtime - other.stat().st_mtime > TEMPORARY_KEPT_S:
                shutil.rmtree(other, ignore_errors=True)


def _worktree_records(common_dir: Path) -> list[dict[str, str]]:
    listing = Git(common_dir).run("worktree", "list", "--porcelain", "-z").decode("utf-8", "surrogateescape")
    records = (record.split("\0") for record in listing.split("\0\0") if record)
    return [{key: value for key, _, value in (line.partition(" ") for line in lines)} for lines in records]


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")[0]
    except OSError:
        return ""
