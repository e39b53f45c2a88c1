"""Whatever anybody asks for, in whatever order, the invariants of docs/protocol.md hold: part of the fast tests."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .copying import replaced
from .plans import SCENARIOS
from .search import Search
from .ways import Ways

SMALL = ("adopted", "approved by two", "made by the server alone", "made first")
SLICE_STATES_MAX = 500
STATES_MIN = 200_000
# How many states each comes to at least, rounded down: about half a minute each, the largest a whole.
LARGE = {
    "diamond": 47_000,
    "diamond that loops": 72_000,
    "diamond under errors": 65_000,
    "made from an agent's": 41_000,
    "one stage": 4_000,
    "one after the other": 3_000,
    "reviewed by two": 1_000,
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", SMALL)
def test_no_sequence_of_commands_breaks_an_invariant_or_leads_nowhere(name: str) -> None:
    """Exhaustive. Every invariant in each state, and from each something leads to landed (I12)."""
    figures = Search(SCENARIOS[name]).run()

    assert figures.is_complete
    assert not figures.found, "\n".join(map(str, figures.found))


@pytest.mark.parametrize("name", ["diamond", "reviewed by two", "one stage"])
def test_the_first_states_of_what_is_searched_elsewhere_break_no_invariant(name: str) -> None:
    figures = Search(SCENARIOS[name], states_max=SLICE_STATES_MAX).run()

    assert figures.states >= SLICE_STATES_MAX
    assert not figures.found, "\n".join(map(str, figures.found))


def test_a_search_ends_at_the_same_states_however_often_it_is_made() -> None:
    one, other = (Search(SCENARIOS["approved by two"]).run() for _ in range(2))

    assert (one.states, one.transitions, one.depth) == (other.states, other.transitions, other.depth)


def test_the_search_reaches_every_kind_of_thing_that_may_happen() -> None:
    """A happening that leads to no state of its own would be searched for nothing."""
    first = Search(SCENARIOS["approved by two"]).run().first_by

    for name in ("claim", "submit", "eve approves", "do not approve", "merge", "crash", "report", "move the target"):
        assert first[name], name


def test_from_where_nothing_leads_to_an_end_is_cut_off() -> None:
    ways = Ways()
    ways.came.extend([(0, "start"), (0, "a"), (0, "b"), (2, "c")])
    for here, there in ((0, 1), (0, 2), (2, 3), (3, 2)):
        ways.add(here, there)

    assert ways.cut_off([1]) == [2, 3]
    assert ways.steps_to(3) == ("b", "c")


def test_a_copy_is_what_dataclasses_replace_makes() -> None:
    search = Search(SCENARIOS["approved by two"], states_max=5)
    search.run()
    record = search.waiting[0].world.record

    for value in (record, *record.stages):
        assert replaced(value) == value
        assert replaced(value) is not value
    assert replaced(record, version=7) == replace(record, version=7)
    assert replaced(record.stages[0], fence=7, orphans=()) == replace(record.stages[0], fence=7, orphans=())


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_no_sequence_breaks_an_invariant_in_what_is_large(name: str) -> None:
    """Exhaustive, too. A search that got smaller has lost something that may happen."""
    figures = Search(SCENARIOS[name]).run()

    assert figures.is_complete
    assert not figures.found, "\n".join(map(str, figures.found))
    assert figures.states >= LARGE[name]


def test_the_whole_search_is_of_two_hundred_thousand_states_at_least() -> None:
    assert sum(LARGE.values()) >= STATES_MIN
    assert {*LARGE, *SMALL} == {*SCENARIOS}


@pytest.mark.slow
def test_the_command_prints_what_a_search_came_to() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.model", "made by the server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert re.search(r"made by the server alone +\d+ +\d+", told.stdout), told.stdout
    assert "0 broken." in told.stdout
