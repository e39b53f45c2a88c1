"""What is done with one project: a journey of four changes, and honest changes, each with what must become of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edits import Edit
from sources import Archive


@dataclass(frozen=True)
class Feature:
    """A new feature whose first attempt is wrong: a known test fails at `where` (a pattern for `path:line`)."""

    title: str
    wrong: Sequence[Edit]
    where: str
    right: Sequence[Edit]
    """What mends the first attempt."""


@dataclass(frozen=True)
class Honest:
    """A change as good people and agents make it: it must pass at its first attempt.

    With `asks`, a rule's name or several in order, a person must be asked about that instead (rule 8 of
    docs/protocol.md). `meanwhile` is what has landed on the target since, and is merged in after the edits.
    `is_sampled`: part of the quick sample.
    """

    title: str
    edits: Sequence[Edit]
    asks: str | None = None
    meanwhile: Sequence[Edit] = ()
    is_sampled: bool = False


@dataclass(frozen=True)
class Bad:
    """A change that breaks what a test covers, and then takes the test away instead of mending the code."""

    title: str
    breaking: Sequence[Edit]
    where: str
    hiding: Sequence[Edit]


@dataclass(frozen=True)
class Journey:
    """Four changes that are driven through the server by a client, up to their landing."""

    feature: Feature
    refactoring: Honest
    dependency: Honest
    bad: Bad

    @property
    def honest(self) -> tuple[Honest, ...]:
        """Those of them that are honest, the feature as it is in the end."""
        feature = Honest(self.feature.title, [*self.feature.wrong, *self.feature.right])
        return (feature, self.refactoring, self.dependency)


@dataclass(frozen=True)
class Project:
    """A published project, and how it starts.

    A `pipeline` takes the place of what `init` writes, `rules` that of the rules it has ruff hold a project to that
    chose none itself.
    """

    archive: Archive
    about: str
    honest: Sequence[Honest]
    journey: Journey | None = None
    pipeline: str | None = None
    rules: str | None = None

    @property
    def name(self) -> str:
        is_second = self.pipeline is not None or self.rules is not None
        return f"{self.archive.name}.2" if is_second else self.archive.name

    @property
    def changes(self) -> tuple[Honest, ...]:
        """Every honest change, those of the journey first."""
        return (*(self.journey.honest if self.journey is not None else ()), *self.honest)
