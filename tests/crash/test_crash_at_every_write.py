"""A server that dies right before, amid or right after any write of a whole job ends up where one that lived does.

One life is played to find the points; then, in a new repository each, one life dies at a point, and
the next, in which the client repeats all of its calls with the same keys, comes to the same end.
"""

import sys
from collections import Counter

import pytest

from .conftest import Theatre
from .ending import Ending, ending_of
from .play import HERE
from .points import KILLED, Point

SAMPLE = 150
PARTS = 32
STRIDE_HERE = 32
PARTS_HERE = range(0, STRIDE_HERE, 4)
MISSED_OF_ALL_MAX = 0.1
KINDS = ("store: before", "store: after", "git: before", "git: during", "git: after", "file: before")


@pytest.fixture(scope="module")
def first(theatre: Theatre) -> tuple[list[Point], Ending]:
    return first_life(theatre)


def first_life(theatre: Theatre) -> tuple[list[Point], Ending]:
    """The points of a life without a crash, and how it ends."""
    repository = theatre.repository()
    assert theatre.play(repository) == 0, theatre.log()
    points, ending = theatre.points(), ending_of(repository)
    theatre.forget(repository)
    return points, ending


def without_same_state(points: list[Point]) -> list[Point]:
    """After one write and before the next nothing is written: one of the two is enough to die at."""
    following = [*(point.label for point in points[1:]), ""]
    return [p for p, label in zip(points, following, strict=True) if not (": after" in p.label and ": before" in label)]


def crash_and_repeat(theatre: Theatre, point: Point, expected: Ending) -> list[str] | None:
    """What is wrong after a crash at `point` and a second life; None when the first never came to the point."""
    repository = theatre.repository()
    status = theatre.play(repository, point)
    if status == 0:
        return None
    assert status == KILLED, f"{point}: {theatre.log()}"
    if theatre.play(repository) != 0:
        return [f"{point}: the second life failed: {theatre.log()[-3000:]}"]
    problems = [f"{point}: {difference}" for difference in expected.differences(ending_of(repository))]
    theatre.forget(repository)
    return problems


def check_points(theatre: Theatre, first: tuple[list[Point], Ending], choose: slice) -> None:
    points, expected = first
    distinct = without_same_state(points)
    chosen = distinct[choose]
    counts = Counter(kind for point in points for kind in KINDS if point.label.startswith(kind))
    sys.stderr.write(f"{len(chosen)} of {len(distinct)} states at {len(points)} points: {dict(counts)}\n")

    found = [crash_and_repeat(theatre, point, expected) for point in chosen]

    problems = [problem for problems in found for problem in problems or ()]
    assert not problems, "\n".join(problems)
    assert set(counts) == set(KINDS), "every kind of write is there"
    # A heartbeat more or less, on a slow machine, moves what comes after it.
    assert found.count(None) <= max(1, len(chosen) * MISSED_OF_ALL_MAX)


@pytest.mark.slow
def test_two_lives_without_a_crash_come_to_the_same_points_and_the_same_end(
    theatre: Theatre, first: tuple[list[Point], Ending]
) -> None:
    """The yardstick: without it the comparisons below would say nothing."""
    points, ending = first
    again, end_again = first_life(theatre)

    assert {point.label for point in points} == {point.label for point in again}
    assert ending.differences(end_again) == []


def test_a_sample_of_crashes_converges(theatre: Theatre, first: tuple[list[Point], Ending]) -> None:
    check_points(theatre, first, slice(SAMPLE // 2, None, SAMPLE))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_at_every_write_converges(theatre: Theatre, first: tuple[list[Point], Ending], part: int) -> None:
    check_points(theatre, first, slice(part, None, PARTS))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS_HERE)
def test_a_crash_amid_what_git_writes_converges_in_the_persons_checkout_too(theatre: Theatre, part: int) -> None:
    """From the claim of the stage that works there on: before it, and in the store, all is as in any other job."""
    theatre.pipeline = HERE
    points, expected = first_life(theatre)
    of_git = [point for point in without_same_state(points) if point.label.startswith(("git:", "file:"))]
    from_the_claim = next(n for n, point in enumerate(of_git) if point.label == "git: before read-tree")
    chosen = of_git[from_the_claim + part :: STRIDE_HERE]

    found = [crash_and_repeat(theatre, point, expected) for point in chosen]

    assert [problem for problems in found for problem in problems or ()] == []
    assert found.count(None) <= 1
