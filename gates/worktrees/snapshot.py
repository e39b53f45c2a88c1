"""Take what an agent has in its workspace as a commit, without touching the agent's HEAD, index or files.

The files are added to an index of our own. The agent's `.gitignore` and the person's clean filters (LFS) hold, as they
would for the agent's own commit; hooks and fsmonitor do not run. What git would record wrongly without a word (a nested
repository, of which only an id would be kept) is refused with a sentence.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..git import SERVER_IDENTITY, Git, GitFailed
from ..text import number_of
from .problems import WorkspaceProblem
from .worktree import index_copy

# An agent or its tools may write while files are read; git then refuses the file that changed under it.
SNAPSHOT_TRIES = 4
SNAPSHOT_PAUSE_S = 0.1
SNAPSHOT_TIMEOUT_S = 300.0
UNCOMMITTED_FILES_MAX = 100_000
UNCOMMITTED_BYTES_MAX = 2**30

# What ended leases left unsaved.
SAVED_REFS = "refs/gatewright/saved/"

_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f<>]")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A workspace's content as a commit. `changed`: its tree is not the tree of the stage's base."""

    commit: str
    tree: str
    changed: bool


def take_snapshot(git: Git, *, base: str, message: str, author: str, when: datetime) -> Snapshot:
    """Commit the workspace that `git` stands in; its HEAD itself when there is nothing to commit.

    The parent is HEAD, so that the agent's own commits stay. A HEAD that does not descend from `base` (an amended base,
    another branch) would make an artifact that nobody accepts: then the parent is `base`. A merge that the agent has
    begun becomes the second parent. Equal content, parents, message, author and time make the same commit.

    Raises `WorkspaceProblem` when the content cannot be committed; then only loose objects are left over.
    """
    try:
        head, head_tree, base_tree = _find_ids(git, base)
        is_on_base = head is not None and (head == base or is_ancestor(git, base, head))
        parent, parent_tree = (head, head_tree) if head is not None and is_on_base else (base, base_tree)
        tree = _write_tree(git, parent, base_tree)
        merged = _merge_head(git, head) if parent == head else None
        commit = parent
        if merged is not None or tree != parent_tree:
            parents = [parent] if merged is None else [parent, merged]
            commit = commit_tree(git, tree, parents, message=message, author=author, when=when)
    except GitFailed as exc:
        message = f"The workspace {git.work_tree} cannot be read as a commit: {exc.stderr.partition(chr(10))[0]}."
        raise WorkspaceProblem(message, "Mend that, or end what still writes there, then try again.") from exc
    return Snapshot(commit, tree, changed=tree != base_tree)


def commit_tree(git: Git, tree: str, parents: Sequence[str], *, message: str, author: str, when: datetime) -> str:
    """Write a commit object; `author` is a name, and the committer is gatewright."""
    moment = f"@{int(when.timestamp())} +0000"
    identity = {
        **SERVER_IDENTITY,
        "GIT_AUTHOR_NAME": _NOT_IN_A_NAME.sub("", author).strip(" .,:;'\"") or SERVER_IDENTITY["GIT_AUTHOR_NAME"],
        "GIT_AUTHOR_DATE": moment,
        "GIT_COMMITTER_DATE": moment,
    }
    flags = (part for parent in parents for part in ("-p", parent))
    text = message.replace("\0", "").encode("utf-8", "replace")
    written = git.run("commit-tree", tree, *flags, "-F", "-", stdin=text, environment=identity)
    return written.decode("ascii").strip()


def drop_unreadable(copy: Git) -> bool:
    """Whether there is an index that git can read; a killed git can leave none, or half of one, which is deleted."""
    assert copy.index_file is not None, "a copy has a file of its own"
    readable = (
        copy.index_file.exists() and copy.run_status("ls-files", "--", ":(literal).git", expected=(0, 128))[0] == 0
    )
    if not readable:
        copy.index_file.unlink(missing_ok=True)
    return readable


def find_head(git: Git) -> str | None:
    """HEAD's commit; None on a branch without a commit."""
    found = git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", expected=(0, 1, 128))
    return found.decode("ascii", "replace").strip() or None


def is_ancestor(git: Git, old: str, new: str) -> bool:
    return git.run_status("merge-base", "--is-ancestor", old, new, expected=(0, 1))[0] == 0


def _find_ids(git: Git, base: str) -> tuple[str | None, str | None, str]:
    """HEAD's commit and tree (None on a branch without a commit), and the tree of `base`, from one process."""
    wanted = f"HEAD^{{commit}}\nHEAD^{{tree}}\n{base}^{{tree}}\n".encode("ascii")
    printed = git.run("cat-file", "--batch-check=%(objectname)", stdin=wanted).decode("utf-8", "replace")
    found = [line if _FULL_ID.fullmatch(line) else None for line in printed.splitlines()]
    head, head_tree, base_tree = found
    if base_tree is None:
        raise GitFailed(("cat-file",), 128, f"there is no commit {base}")
    return head, head_tree, base_tree


def _write_tree(git: Git, parent: str, base_tree: str) -> str:
    """The tree of all files that are not ignored, written through a copy of the agent's index."""
    # Objects are synced together, not one by one; line ends are converted as configured, without an opinion on them.
    settings = {"core.fsyncMethod": "batch", "core.safecrlf": "false", "i18n.commitEncoding": "UTF-8"}
    quiet = replace(git, config={**git.config, **settings})
    for tries_left in reversed(range(SNAPSHOT_TRIES)):
        try:
            with index_copy(quiet) as copy:
                refuse_what_is_no_content(copy, _uncommitted(copy, parent))
                copy.run("add", "--all", "--sparse", timeout_s=SNAPSHOT_TIMEOUT_S)
                tree = copy.text("write-tree")
                refuse_nested_in_tree(copy, base_tree, tree)
                return tree
        except GitFailed:
            if not tries_left:
                raise
            time.sleep(SNAPSHOT_PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _uncommitted(copy: Git, parent: str) -> list[str]:
    """The names of all files that are not as the index has them; an index that git cannot read is made anew first."""
    listed = ("ls-files", "-z", "--others", "--modified", "--exclude-standard")
    assert copy.index_file is not None, "a copy has a file of its own"
    try:
        if not copy.index_file.exists():
            raise GitFailed(listed, 128, "there is no index")
        listing = copy.run(*listed, timeout_s=SNAPSHOT_TIMEOUT_S)
    except GitFailed:
        if drop_unreadable(copy):
            raise
        copy.run("read-tree", "--reset", parent)
        listing = copy.run(*listed, timeout_s=SNAPSHOT_TIMEOUT_S)
    return listing.decode("utf-8", "surrogateescape").split("\0")[:-1]


def refuse_what_is_no_content(copy: Git, names: Sequence[str]) -> None:
    """Look at the names of everything uncommitted before a byte of it is stored."""
    nested = [name for name in names if name.endswith("/")]
    if nested:
        raise _nested(nested)
    root = copy.work_tree
    assert root is not None, "a workspace has files"
    sizes = {name: _size(root / name) for name in names}
    total = sum(sizes.values())
    if len(sizes) > UNCOMMITTED_FILES_MAX or total > UNCOMMITTED_BYTES_MAX:
        largest = max(sizes, key=lambda name: sizes[name])
        message = (
            f"The workspace has {number_of(len(sizes), 'uncommitted files')} of {total} bytes in all (the largest is "
            f"{largest});"
            f" at most {UNCOMMITTED_FILES_MAX} files and {UNCOMMITTED_BYTES_MAX} bytes are taken."
        )
        raise WorkspaceProblem(message, "Delete what is no part of the work, or name it in .gitignore.")


def refuse_nested_in_tree(git: Git, base_tree: str, tree: str) -> None:
    """Find a nested repository that the agent added itself; `.gitmodules` names the submodules that are meant."""
    raw = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", base_tree, tree).decode("utf-8", "surrogateescape")
    fields = raw.split("\0")
    links = [
        path for header, path in zip(fields[0:-1:2], fields[1::2], strict=True) if header.split(" ")[1] == "160000"
    ]
    if not links:
        return
    _, listing = git.run_status(
        "config", "-z", "--blob", f"{tree}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$", expected=(0, 1, 128)
    )
    registered = {entry.partition("\n")[2] for entry in listing.decode("utf-8", "surrogateescape").split("\0")}
    nested = [path for path in links if path not in registered]
    if nested:
        raise _nested(nested)


def _nested(names: Sequence[str]) -> WorkspaceProblem:
    message = f"There is a git repository of its own inside the workspace ({', '.join(names[:5])})."
    return WorkspaceProblem(message, "Delete it or its .git folder, or name it in .gitignore: its files would be lost.")


def _merge_head(git: Git, head: str | None) -> str | None:
    """The commit that the agent is merging; None unless it is one commit with a common history that HEAD lacks."""
    try:
        merged = (git.git_dir / "MERGE_HEAD").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if head is None or not _FULL_ID.fullmatch(merged):
        return None
    # 128: there is no such commit.
    related, _ = git.run_status("merge-base", head, merged, expected=(0, 1, 128))
    return merged if related == 0 and not is_ancestor(git, merged, head) else None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # deleted, or gone since it was listed
