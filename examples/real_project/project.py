"""What is done with one project: four changes, each with what must become of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edits import Edit


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
    """A change that must pass at its first attempt, without anybody being asked."""

    title: str
    edits: Sequence[Edit]


@dataclass(frozen=True)
class Bad:
    """A change that breaks what a test covers, and then takes the test away instead of mending the code."""

    title: str
    breaking: Sequence[Edit]
    where: str
    hiding: Sequence[Edit]


@dataclass(frozen=True)
class Project:
    """A published project, by its name on the registry, and the tag that a clone of this version would have."""

    name: str
    tag: str
    about: str
    feature: Feature
    refactoring: Honest
    dependency: Honest
    bad: Bad
