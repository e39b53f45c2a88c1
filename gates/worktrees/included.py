"""Copy what `.worktreeinclude` names into a new workspace: files that git ignores and an agent needs, such as `.env`.

The file lies in the main worktree's root and has gitignore syntax. Only files that git ignores are copied; nothing that
is there is overwritten, and nothing is written through a link that the checked-out commit brought along.
"""

import os
import shutil
from pathlib import Path

from ..git import Git
from ..text import number_of
from .problems import WorkspaceProblem

INCLUDE_FILE = ".worktreeinclude"
INCLUDED_FILES_MAX = 50_000
INCLUDED_BYTES_MAX = 2**30


def copy_included(git: Git, workspace: Path) -> None:
    """Copy from the main worktree that `git` stands in; raises `WorkspaceProblem` above the bounds."""
    source = git.work_tree
    assert source is not None, "only a worktree has files to copy"
    try:
        _copy(git, source, workspace)
    except OSError as exc:
        message = f"What {INCLUDE_FILE} names cannot be copied: {exc.filename}: {exc.strerror}."
        raise WorkspaceProblem(message, "Mend that, or take it out of the file, then claim the stage again.") from exc


def included_paths(git: Git) -> list[str]:
    """The untracked files that both `.worktreeinclude` and the ignore rules name, in the main worktree of `git`."""
    if git.work_tree is None or not (git.work_tree / INCLUDE_FILE).is_file():
        return []
    named = git.run("ls-files", "-z", "--others", "--ignored", f"--exclude-from={INCLUDE_FILE}")
    ignored = git.run("check-ignore", "-z", "--stdin", stdin=named, expected=(0, 1)) if named else b""
    return [path for path in ignored.decode("utf-8", "surrogateescape").split("\0") if path and not path.endswith("/")]


def _copy(git: Git, source: Path, workspace: Path) -> None:
    paths = [path for path in included_paths(git) if _is_plain(source / path) and _is_free(workspace, path)]
    total = sum((source / path).lstat().st_size for path in paths)
    if len(paths) > INCLUDED_FILES_MAX or total > INCLUDED_BYTES_MAX:
        message = (
            f"{INCLUDE_FILE} names {number_of(len(paths), 'files')} of {total} bytes;"
            f" at most {INCLUDED_FILES_MAX} files and {INCLUDED_BYTES_MAX} bytes are copied."
        )
        raise WorkspaceProblem(message, "Name fewer files there; what can be installed belongs into `setup`.")
    for path in paths:
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, workspace / path, follow_symlinks=False)


def _is_plain(file: Path) -> bool:
    return file.is_symlink() or file.is_file()


def _is_free(workspace: Path, path: str) -> bool:
    """Whether nothing is at `path`, and every folder on the way to it is a real one or missing."""
    place = workspace / path
    between = list(place.relative_to(workspace).parents)[:-1]
    folders = (workspace / folder for folder in between)
    blocked = any(folder.is_symlink() or (folder.exists() and not folder.is_dir()) for folder in folders)
    return not blocked and not os.path.lexists(place)
