"""Stages as a directed acyclic graph; pure.

A graph is a mapping from each stage to the stages it needs, in the order in which the file declares them. Every name
that is needed must be a stage of the mapping: the checks of the policy report the others before they ask anything here.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

Needs = Mapping[str, tuple[str, ...]]


def order(needs: Needs) -> tuple[str, ...]:
    """Every stage once, each after all it needs; among those that are free to come next, the one declared first."""
    assert find_cycle(needs) is None, "a graph with a cycle has no order; ask find_cycle first"
    placed: dict[str, None] = {}
    while len(placed) < len(needs):
        free = (stage for stage in needs if stage not in placed and all(need in placed for need in needs[stage]))
        placed[next(free)] = None
    return tuple(placed)


def find_cycle(needs: Needs) -> tuple[str, ...] | None:
    """One cycle, each stage followed by a stage it needs and the last needing the first; None when there is no cycle.

    Of several cycles it is the first that a walk from the first declared stage meets.
    """
    finished: set[str] = set()
    for start in needs:
        cycle = _cycle_from(start, needs, finished)
        if cycle is not None:
            return cycle
    return None


def draw_cycle(cycle: tuple[str, ...]) -> str:
    """`a -> b -> c -> a`: the first stage again at the end closes the circle."""
    return " -> ".join((*cycle, cycle[0]))


def upstream(stage: str, needs: Needs) -> frozenset[str]:
    """All that the stage needs, directly or through others; the stage itself only when it stands in a cycle."""
    found: set[str] = set()
    waiting = list(needs[stage])
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting.extend(needs[need])
    return frozenset(found)


def consumers(stage: str, needs: Needs) -> frozenset[str]:
    """All that need the stage, directly or through others: what a reopen sends back to waiting."""
    return frozenset(other for other in needs if stage in upstream(other, needs))


def unordered_pairs(needs: Needs) -> Iterator[tuple[str, str]]:
    """The pairs of stages of which neither precedes the other, so that two agents may work on both at once."""
    above = {stage: upstream(stage, needs) for stage in needs}
    pairs = combinations(needs, 2)
    return ((one, other) for one, other in pairs if one not in above[other] and other not in above[one])


def _cycle_from(start: str, needs: Needs, finished: set[str]) -> tuple[str, ...] | None:
    """A depth-first walk with a stack of its own: the depth of a file is no business of Python's recursion limit."""
    path: dict[str, Iterator[str]] = {}
    if start not in finished:
        path[start] = iter(needs[start])
    while path:
        stage, rest = next(reversed(path.items()))
        need = next(rest, None)
        if need is None:
            finished.add(stage)
            del path[stage]
        elif need in path:
            walked = tuple(path)
            return walked[walked.index(need) :]
        elif need not in finished:
            path[need] = iter(needs[need])
    return None
