"""Put what a stage builds on into the person's checkout: files only, and only where nobody's bytes are.

HEAD and the person's index stay; to git the files are uncommitted changes there.
"""

import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..artifact_store.objects import SUBMODULE
from ..git import Git
from .bring_along import Entry, Step, index_info, step_between
from .snapshot import SNAPSHOT_TIMEOUT_S
from .uncommitted import joined, lies_open
from .worktree import TEMPORARY_PREFIX


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the checkout, which stands at `head`, should have besides: for the stage's base, and for where work goes on.

    Submodules are left out: their folders are repositories of the person's own.
    """

    to_base: Step
    to_content: Step

    @property
    def paths(self) -> set[str]:
        return self.to_base.paths | self.to_content.paths

    def is_there(self, path: str, now: Mapping[str, Entry]) -> bool:
        """Whether the path already is as one of the two has it; `now` is what the checkout has."""
        steps = (step for step in (self.to_content, self.to_base) if path in step.paths)
        return any(step.new.get(path) == now.get(path) for step in steps)


def wanted(git: Git, head: str, base: str, content: str) -> Wanted:
    return Wanted(*(_without_submodules(step_between(git, head, other)) for other in (base, content)))


def present(copy: Git, names: Collection[str]) -> dict[str, Entry]:
    """What the files at these paths are, as git would record them; those that are not there are left out.

    Their bytes are stored, so it is asked only of paths that the change itself names.
    """
    with scratch_index(copy) as scratch:
        add(scratch, names)
        return entries(scratch)


def lay(copy: Git, head: str, step: Step, paths: Collection[str]) -> frozenset[str]:
    """Bring these paths, whose files are as `head` has them, to what the step makes of them.

    Returns those at which nothing stood in the way. `copy` is a copy of the person's index, set to `head`: by it git
    sees that the files still are as they were, and touches no other. Raises `GitFailed`, and then some may be there.
    """
    free = frozenset(p for p in paths if p in step.old or lies_open(_root(copy), p))
    if not free:
        return free
    with scratch_index(copy) as scratch:
        scratch.run("read-tree", head)
        replace_entries(scratch, {path: step.new.get(path) for path in free})
        after = scratch.text("write-tree")
    copy.run("update-index", "-q", "--refresh", expected=(0, 1))
    # Sparse patterns would be applied to the whole checkout, and files taken out of it.
    copy.run("read-tree", "-m", "-u", "--no-sparse-checkout", head, after, timeout_s=SNAPSHOT_TIMEOUT_S)
    return free


def add(copy: Git, names: Collection[str]) -> None:
    """Record the files of these paths in the index, and that they are gone where there are none."""
    if not names:
        return
    # Out first: a `skip-worktree` of the person's, or a file that became a folder, would be in the way.
    replace_entries(copy, dict.fromkeys(names))
    there = sorted(name for name in names if _is_content(_root(copy), name))
    arguments = ("update-index", "-z", "--add", "--remove", "--replace", "--stdin")
    copy.run(*arguments, stdin=joined(there), timeout_s=SNAPSHOT_TIMEOUT_S)


def replace_entries(git: Git, changed: Mapping[str, Entry | None]) -> None:
    """Set these entries of the index; None takes one out. What goes goes first: a folder may take a file's place."""
    gone = sorted(path for path, entry in changed.items() if entry is None)
    if gone:
        git.run("update-index", "-z", "--force-remove", "--stdin", stdin=joined(gone))
    there = {path: entry for path, entry in changed.items() if entry is not None}
    if there:
        git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=index_info(there, sorted(there)))


def entries(git: Git) -> dict[str, Entry]:
    """The whole index by path; it has no conflicts."""
    found = {}
    for line in git.run("ls-files", "-s", "-z").decode("utf-8", "surrogateescape").split("\0")[:-1]:
        header, path = line.split("\t", 1)
        mode, oid, _ = header.split(" ")
        found[path] = Entry(mode, oid)
    return found


@contextmanager
def scratch_index(git: Git) -> Generator[Git, None, None]:
    """The same checkout with an empty index."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=git.git_dir) as folder:
        yield replace(git, index_file=Path(folder) / "index")


def _without_submodules(step: Step) -> Step:
    links = {p for side in (step.old, step.new) for p, entry in side.items() if entry.mode == SUBMODULE}
    kept = ({p: e for p, e in side.items() if p not in links} for side in (step.old, step.new))
    return Step(*kept)


def _is_content(root: Path, name: str) -> bool:
    """Whether git can record what is there: nothing behind a link, of a folder only that it is a repository itself."""
    place = root / name
    if any((root / folder).is_symlink() for folder in PurePosixPath(name).parents[:-1]):
        return False
    if place.is_dir() and not place.is_symlink():
        return (place / ".git").exists()
    return place.is_symlink() or place.exists()


def _root(git: Git) -> Path:
    assert git.work_tree is not None, "a person's checkout has files"
    return git.work_tree
