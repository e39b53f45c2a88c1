"""The search finds what it is there to find: each seeded bug, by an invariant that the bug is against."""

from types import CodeType

import pytest

from .mutants import MUTANTS, Mutant, bred, functions_of, hunt


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_search_finds_the_bug(mutant: Mutant, capsys: pytest.CaptureFixture[str]) -> None:
    figures = hunt(mutant)

    assert figures.found, f"'{mutant.name}' survived {figures.states} states"
    found = figures.found[0]
    with capsys.disabled():
        print(f"\n{mutant.name}: {found.invariant} after {figures.states} states, {len(found.steps)} steps")  # noqa: T201 - the table is what the test is run for
    assert found.invariant in mutant.invariants, str(found)


def test_there_are_bugs_against_every_invariant_but_the_replay() -> None:
    """I9 is held by construction: `decide` returns the events that made its record."""
    against = {invariant for mutant in MUTANTS for invariant in mutant.invariants}

    assert against >= {f"I{number}" for number in (1, 2, 3, 4, 5, 7, 8, 10, 11, 12)}
    assert len(MUTANTS) >= 15


def test_a_bug_is_gone_when_its_hunt_is_over() -> None:
    before = _codes()

    for mutant in MUTANTS:
        with bred(mutant):
            assert _codes() != before

    assert _codes() == before


def _codes() -> list[CodeType]:
    return [function.__code__ for mutant in MUTANTS for function in functions_of(mutant)]
