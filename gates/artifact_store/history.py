"""Ask our store how commits follow each other."""

from dataclasses import dataclass

from ..git import Git
from .objects import TooLarge

# Before the line of a commit, among those of objects.
STEP = "="


@dataclass(frozen=True, slots=True)
class Step:
    """One commit of a range."""

    tree: str
    parents: tuple[str, ...]


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Whether `old` is `new` or is reachable from it."""
    return git.run_status("merge-base", "--is-ancestor", old, new, expected=(0, 1))[0] == 0


def merge_bases(git: Git, one: str, other: str) -> tuple[str, ...]:
    """The common ancestors that no other one descends from, sorted by id."""
    _, printed = git.run_status("merge-base", "--all", one, other, expected=(0, 1))
    return tuple(sorted(printed.decode("ascii").split()))


def steps_between(
    git: Git, base: str, commit: str, commits_max: int, *, landed: str | None = None, is_known_whole: bool = True
) -> tuple[Step, ...]:
    """Every commit that is reachable from `commit` and not from `base`; raises `TooLarge` above the bound.

    Nor from `landed`, whose history may be as long as it is. Unless it `is_known_whole`, every object of these commits
    is looked for as well; `GitFailed` when one is not there.
    """
    arguments = ("rev-list", "--no-commit-header", f"--format={STEP}%T %P", f"--max-count={commits_max + 1}")
    objects = () if is_known_whole else ("--objects", "--no-object-names")
    ends = (commit, f"^{base}", *([] if landed is None else [f"^{landed}"]))
    printed = git.text(*arguments, *objects, *ends).splitlines()
    lines = [line.removeprefix(STEP) for line in printed if line.startswith(STEP)]
    if len(lines) > commits_max:
        raise TooLarge(f"There are more than {commits_max} commits above {base}.")
    return tuple(Step(tree, tuple(parents)) for tree, *parents in map(str.split, lines))


def descends(base: str, commit: str, steps: tuple[Step, ...]) -> bool:
    """Whether `base` is `commit` or reachable from it, by the steps between them.

    The commit that comes right after `base` on a way to it cannot be reachable from `base`, so it is one of the steps.
    """
    return base == commit or any(base in step.parents for step in steps)
