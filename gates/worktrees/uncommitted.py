"""What a person's checkout has that a commit has not, told through a copy of its index.

The person's `assume-unchanged` and `skip-worktree` hold: what git does not look at there is as the commit has it.
"""

from pathlib import Path

from ..git import Git
from .bring_along import UNFINISHED
from .problems import WorkspaceProblem
from .snapshot import SNAPSHOT_TIMEOUT_S, drop_unreadable

IGNORED_MAX = 100_000
TOLD_MAX = 5


def names_of(listing: bytes) -> list[str]:
    """What git printed with `-z`."""
    return listing.decode("utf-8", "surrogateescape").split("\0")[:-1]


def joined(names: list[str]) -> bytes:
    """Names as git reads them with `-z`."""
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


def uncommitted(copy: Git, commit: str) -> list[str]:
    """Every path that is not as `commit` has it, staged ones too, sorted; a nested repository ends in a slash.

    The copy of the index is set to `commit` by this. Raises `WorkspaceProblem` for conflicts that wait to be resolved.
    """
    staged = b""
    if drop_unreadable(copy):
        _refuse_conflicts(copy)
        staged = copy.run("diff-index", "--cached", "-z", "--name-only", "--no-renames", "--no-ext-diff", commit)
    copy.run("read-tree", "--reset", commit)
    listed = copy.run(*("ls-files", "-z", "--others", "--modified", "--exclude-standard"), timeout_s=SNAPSHOT_TIMEOUT_S)
    return sorted({*names_of(staged), *names_of(listed)})


def ignored(git: Git) -> frozenset[str]:
    """What git ignores, a folder that is ignored as a whole once; raises `WorkspaceProblem` where that is too much."""
    listed = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    found = frozenset(names_of(git.run(*listed, timeout_s=SNAPSHOT_TIMEOUT_S)))
    if len(found) > IGNORED_MAX:
        message = f"The checkout has {len(found)} files that git ignores; at most {IGNORED_MAX} can be told apart."
        raise WorkspaceProblem(message, "Name the folder that they lie in, not each of them, in .gitignore.")
    return found


def refuse_unfinished(git: Git) -> None:
    """Raise `WorkspaceProblem` in the middle of a merge, a rebase and the like: half of it would be taken for work."""
    for name, what in UNFINISHED.items():
        if (git.git_dir / name).exists():
            message = f"{what.capitalize()} is unfinished in {git.work_tree}."
            raise WorkspaceProblem(message, "Finish or abort it there, then try again.")


def lies_open(root: Path, path: str) -> bool:
    """Whether nothing is at `path` below `root`, nor a file or a link on the way to it."""
    place = root / path
    if place.is_symlink() or place.exists():
        return False
    for folder in place.relative_to(root).parents:
        here = root / folder
        if here.is_symlink() and here != root:
            return False
        if here.exists() and not here.is_dir():
            return False
    return True


def _refuse_conflicts(copy: Git) -> None:
    conflicts = sorted({line.partition("\t")[2] for line in names_of(copy.run("ls-files", "-u", "-z"))})
    if conflicts:
        message = f"{copy.work_tree} has unresolved conflicts in {', '.join(conflicts[:TOLD_MAX])}."
        raise WorkspaceProblem(message, "Resolve them and git add the files, then try again.")
