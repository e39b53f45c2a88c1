"""Bring a person's checkout of the target along after a landing, or say what is in the way.

Files that nobody committed are never overwritten, ignored ones included: git itself would do that (`read-tree -u`
treats ignored files as worthless), so what stands in the way is looked for here.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..git import Git, GitFailed
from .worktree import TEMPORARY_PREFIX, WorktreeInfo, index_copy, user_git

PATHS_TOLD_MAX = 50
# In a checkout's private git folder, as long as its files are being written: from which commit to which.
BEGUN = "gatewright-bringing-along"

UNFINISHED: Mapping[str, str] = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_START": "a bisect",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a checkout cannot be brought along; `paths` are relative to it and empty when no file is the reason.

    `may_pass` without anybody's doing: git runs there now, or could not write.
    """

    worktree: Path
    paths: tuple[str, ...]
    reason: str
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Step:
    """The way from one commit to another: what each touched path was and will be (absent: it does not exist there)."""

    old: Mapping[str, Entry]
    new: Mapping[str, Entry]

    @property
    def paths(self) -> set[str]:
        return {*self.old, *self.new}


def find_obstacle(worktree: WorktreeInfo, old: str, new: str) -> Obstacle | None:
    """Say what bringing the checkout along from `old` to `new` would overwrite; changes nothing in it."""
    for name, what in UNFINISHED.items():
        if (worktree.git_dir / name).exists():
            return Obstacle(worktree.path, (), f"{what} is unfinished there")
    if (worktree.git_dir / "index.lock").exists():
        reason = f"a git command is running there, or one left {worktree.git_dir}/index.lock"
        return Obstacle(worktree.path, (), reason, may_pass=True)
    git = user_git(worktree.git_dir, worktree.path)
    step = step_between(git, old, new)
    try:
        with index_copy(git) as copy:
            _accept_what_is_there(copy, step)
            return _overlap(copy, worktree.path, step, old, new)
    except GitFailed as exc:
        return Obstacle(worktree.path, (), _last_line(exc), may_pass=True)


def bring_along(worktree: WorktreeInfo, old: str, new: str) -> Obstacle | None:
    """Take the checkout's files and index from `old` to `new`; other local changes, staged ones too, stay as they are.

    Returns what is in the way. Then nothing has changed, unless that may pass: git failed half-way, on a full disk for
    one. Doing it again finishes the work, also after a crash half-way.
    """
    git = user_git(worktree.git_dir, worktree.path)
    begun = worktree.git_dir / BEGUN
    try:
        if _is_begun(begun, old, new):
            _remove_what_was_cut_short(git, step_between(git, old, new))
        obstacle = find_obstacle(worktree, old, new)
        if obstacle is not None:
            return obstacle
        begun.write_text(f"{old} {new}\n")
        _accept_what_is_there(git, step_between(git, old, new))
        git.run("read-tree", "-m", "-u", old, new)
        begun.unlink(missing_ok=True)
    except GitFailed as exc:
        return Obstacle(worktree.path, (), _last_line(exc), may_pass=True)
    except OSError as exc:
        return Obstacle(worktree.path, (), str(exc), may_pass=True)
    return None


def step_between(git: Git, old: str, new: str) -> Step:
    """What differs between two commits or trees, by path; a rename is a path that goes and one that comes."""
    raw = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv", old, new)
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    before: dict[str, Entry] = {}
    after: dict[str, Entry] = {}
    for header, path in zip(fields[0:-1:2], fields[1::2], strict=True):
        old_mode, new_mode, old_oid, new_oid, _ = header.removeprefix(":").split(" ")
        if old_mode.strip("0"):
            before[path] = Entry(old_mode, old_oid)
        if new_mode.strip("0"):
            after[path] = Entry(new_mode, new_oid)
    return Step(before, after)


def _accept_what_is_there(git: Git, step: Step) -> None:
    """Refresh the index, and record the new state of every path whose file already has it.

    That is how a second call gets over what a first one, killed half-way, left behind; a path whose index entry is
    neither the old nor the new one was staged by somebody and is left alone.
    """
    entries = _index_entries(git)
    waiting = {p: e for p, e in step.new.items() if entries.get(p) == step.old.get(p) and e.mode != "160000"}
    there = {path: entry for path, entry in waiting.items() if os.path.lexists(_work_tree(git) / path)}
    same = there.keys() - _differing(git, there) if there else set()
    if same:
        git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=index_info(there, same))
    git.run("update-index", "-q", "--unmerged", "--refresh", expected=(0, 1))


def _is_begun(begun: Path, old: str, new: str) -> bool:
    try:
        return begun.read_text() == f"{old} {new}\n"
    except FileNotFoundError:
        return False


def _remove_what_was_cut_short(git: Git, step: Step) -> None:
    """Remove each new file that holds only the beginning of what it will hold: a former try was ended in it."""
    for path, entry in step.new.items():
        place = _work_tree(git) / path
        if not entry.mode.startswith("100") or place.is_symlink() or not place.is_file():
            continue
        beginning, whole = place.read_bytes(), git.run("cat-file", "--filters", f"--path={path}", entry.oid)
        if len(beginning) < len(whole) and whole.startswith(beginning):
            place.unlink()


def _differing(git: Git, entries: Mapping[str, Entry]) -> set[str]:
    """The paths whose files are not what `entries` say, compared as git would after the person's filters."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=git.git_dir) as folder:
        only_these = replace(git, index_file=Path(folder) / "index")
        only_these.run("update-index", "-z", "--add", "--index-info", stdin=index_info(entries, entries))
        only_these.run("update-index", "-q", "--refresh", expected=(0, 1))
        return _names(only_these.run("diff-files", "-z", "--name-only"))


def _overlap(copy: Git, path: Path, step: Step, old: str, new: str) -> Obstacle | None:
    try:
        copy.run("read-tree", "-n", "-m", "-u", old, new)
    except GitFailed as exc:
        differs = [_names(copy.run("diff-index", "-z", "--name-only", "--no-ext-diff", side)) for side in (old, new)]
        changed = sorted(step.paths & differs[0] & differs[1])
        if changed:
            told = changed[:PATHS_TOLD_MAX]
            if all(name in step.new for name in told) and not _differing(copy, {name: step.new[name] for name in told}):
                return Obstacle(path, tuple(told), "another version than the file's own is staged (git add it again)")
            return Obstacle(path, tuple(told), "local changes would be overwritten")
        untracked = _untracked_in_the_way(copy, step)
        if not untracked:
            return Obstacle(path, (), _last_line(exc))
    else:
        untracked = _untracked_in_the_way(copy, step)
    if untracked:
        return Obstacle(path, tuple(untracked[:PATHS_TOLD_MAX]), "files that git does not track would be overwritten")
    return None


def _untracked_in_the_way(git: Git, step: Step) -> list[str]:
    """Every file without an index entry that lies where a new file, or a folder of it, would be written."""
    tracked = set(_index_entries(git))
    found: set[str] = set()
    for path in step.new.keys() - tracked:
        steps = path.split("/")
        for depth in range(1, len(steps) + 1):
            part = "/".join(steps[:depth])
            place = _work_tree(git) / part
            if place.is_symlink() or not place.is_dir():
                if os.path.lexists(place) and part not in tracked:
                    found.add(part)
                break
        else:
            found.update(_untracked_files(_work_tree(git), path, tracked))
    return sorted(found)


def _untracked_files(root: Path, folder: str, tracked: set[str]) -> Iterator[str]:
    for parent, folders, files in os.walk(root / folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *links):
            relative = (Path(parent) / name).relative_to(root).as_posix()
            if relative not in tracked:
                yield relative


def _index_entries(git: Git) -> dict[str, Entry]:
    """The index by path; of a path in conflict the last stage, which equals neither side and so counts as changed."""
    entries = {}
    for line in git.run("ls-files", "-s", "-z").decode("utf-8", "surrogateescape").split("\0")[:-1]:
        header, path = line.split("\t", 1)
        mode, oid, stage = header.split(" ")
        entries[path] = Entry(mode, oid if stage == "0" else f"conflict {oid}")
    return entries


def index_info(entries: Mapping[str, Entry], paths: Iterable[str]) -> bytes:
    lines = (f"{entries[path].mode} {entries[path].oid}\t{path}\0" for path in paths)
    return "".join(lines).encode("utf-8", "surrogateescape")


def _work_tree(git: Git) -> Path:
    assert git.work_tree is not None, "a person's checkout has files"
    return git.work_tree


def _names(listing: bytes) -> set[str]:
    return set(listing.decode("utf-8", "surrogateescape").split("\0")[:-1])


def _last_line(failure: GitFailed) -> str:
    return failure.stderr.rpartition("\n")[2] or str(failure)
