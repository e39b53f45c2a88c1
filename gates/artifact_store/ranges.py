"""The commits of `base..commit`: which they are, whether they descend from the base, and what each of them changes."""

from collections.abc import Iterable, Sequence

from ..git import Git, GitFailed
from . import history, transfer
from .objects import BadArtifact, TooLarge
from .readers import ReaderPool
from .walk import Change, TreeBudget, compare


class Ranges:
    """Of one store; every commit that is named is there. For any number of threads."""

    def __init__(self, git: Git, readers: ReaderPool) -> None:
        self._git = git
        self._readers = readers

    def steps(
        self, base: str, commit: str, budget: TreeBudget, *, landed: str | None = None, is_known_whole: bool = True
    ) -> tuple[history.Step, ...]:
        """As `history.steps_between`, with no walk where there is one commit."""
        if is_known_whole and landed in {None, base}:
            with self._readers.reader() as reader:
                # One commit right above the base: most are, and then there is nothing to walk.
                if reader.parents_of(commit) == (base,):
                    return (history.Step(reader.tree_of(commit), (base,)),)
        return history.steps_between(
            self._git, base, commit, budget.commits_max, landed=landed, is_known_whole=is_known_whole
        )

    def checked_steps(
        self, base: str, commit: str, landed: str | None, budget: TreeBudget, *, is_known_whole: bool
    ) -> Sequence[history.Step]:
        """The same of what an agent named.

        Raises `BadArtifact` when it is no commit, does not descend from `base` or lacks something of its history,
        `TooLarge` above the budget's commits.
        """
        transfer.check_kind(commit, self._readers.kind_of(commit))
        try:
            steps = self.steps(base, commit, budget, landed=landed, is_known_whole=is_known_whole)
            is_descendant = history.descends(base, commit, steps)
            if landed is not None and not is_descendant:
                # The way to it may lead through what has landed.
                is_descendant = history.is_ancestor(self._git, base, commit)
        except TooLarge:
            if history.is_ancestor(self._git, base, commit):
                raise
            steps, is_descendant = (), False
        except GitFailed as exc:
            if is_known_whole or exc.is_outage:
                raise
            raise BadArtifact(f"The commit cannot be taken over: {transfer.reason_of(exc)}") from exc
        if not is_descendant:
            raise BadArtifact(f"{commit} does not descend from {base}. Start your work from that commit.")
        return steps

    def changes_of(self, steps: Iterable[history.Step], budget: TreeBudget) -> set[Change]:
        """What each step changes against all of its parents; raises `TooLarge` when that exceeds the entries."""
        found: set[Change] = set()
        with self._readers.reader() as reader:
            for step in steps:
                trees = [reader.tree_of(parent) for parent in step.parents]
                changes = compare(reader, next(iter(trees), None), step.tree, budget)
                for other in trees[1:]:
                    paths = {change.path for change in compare(reader, other, step.tree, budget)}
                    changes = tuple(change for change in changes if change.path in paths)
                found.update(changes)
                if len(found) > budget.entries_max:
                    raise TooLarge(f"The commits change more than {budget.entries_max} entries.")
        return found
