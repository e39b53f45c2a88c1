"""What a search found: states by number, the ways between them, and what does not hold."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Found:
    """What does not hold, and the steps that lead there from the start."""

    invariant: str
    sentence: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}\n  " + "\n  ".join(self.steps)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a search did. `decisions` were really made, the other transitions were foreseen.

    `is_complete`: it ended because nothing was left, not by a bound or by what it found. `first_by` counts the states
    by what led to each first.
    """

    scenario: str
    states: int
    transitions: int
    decisions: int
    depth: int
    seconds: float
    is_complete: bool
    found: tuple[Found, ...] = ()
    first_by: Counter[str] = field(default_factory=Counter)


class Ways:
    """Who leads to whom, by number, and by which step each was reached first."""

    def __init__(self) -> None:
        self.came: list[tuple[int, str]] = []
        self._from, self._to = array("I"), array("I")

    def __len__(self) -> int:
        return len(self._to)

    def add(self, here: int, there: int) -> None:
        """One step leads from `here` to `there`."""
        self._from.append(here)
        self._to.append(there)

    def steps_to(self, at: int) -> tuple[str, ...]:
        """The shortest way from the start."""
        steps = []
        while at:
            at, name = self.came[at]
            steps.append(name)
        return tuple(reversed(steps))

    def cut_off(self, ends: Iterable[int]) -> list[int]:
        """From where no sequence of steps leads to any of the ends."""
        first = array("I", [0]) * (len(self.came) + 1)
        for there in self._to:
            first[there + 1] += 1
        for at in range(len(self.came)):
            first[at + 1] += first[at]
        by_end = sorted(range(len(self._to)), key=self._to.__getitem__)
        waiting = [*ends]
        reached = bytearray(len(self.came))
        for end in waiting:
            reached[end] = 1
        while waiting:
            there = waiting.pop()
            for way in by_end[first[there] : first[there + 1]]:
                here = self._from[way]
                if not reached[here]:
                    reached[here] = 1
                    waiting.append(here)
        return [at for at in range(len(self.came)) if not reached[at]]
