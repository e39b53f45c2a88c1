"""Search every scenario, two at a time, and print what was found: `python -m tests.model [--mutants] [NAME ...]`.

Ends with 1 when an invariant does not hold, or when a bug survives.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator

from .mutants import MUTANTS, Mutant, hunt
from .plans import SCENARIOS
from .search import search
from .ways import Figures

SIDE_BY_SIDE = 2
FOUND_TOLD_MAX = 3


def main() -> int:
    """Print one line a scenario, or a bug, and what the whole came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--mutants", action="store_true", help="let the search find the seeded bugs instead")
    parser.add_argument("names", nargs="*", help="only those whose name has one of these in it")
    asked = parser.parse_args()
    return _bugs(asked.names) if asked.mutants else _scenarios(asked.names)


def _scenarios(names: list[str]) -> int:
    began = time.perf_counter()
    # The largest begin first, so that neither processor waits long for the other.
    wanted = [name for name in reversed(SCENARIOS) if _is_wanted(name, names)]
    total = states = transitions = broken = 0
    _say(f"{'':30} {'states':>8} {'transitions':>12} {'decisions':>10} {'depth':>6} {'seconds':>8}")
    for figures in _figures(wanted):
        end = "" if figures.is_complete else "  (bounded)"
        counts = f"{figures.states:8,} {figures.transitions:12,} {figures.decisions:10,} {figures.depth:6}"
        _say(f"{figures.scenario:30} {counts} {figures.seconds:8.1f}{end}")
        for found in figures.found[:FOUND_TOLD_MAX]:
            _say(f"!! {found}")
        total, states, transitions = total + 1, states + figures.states, transitions + figures.transitions
        broken += len(figures.found)
    seconds = time.perf_counter() - began
    _say(f"{total} scenarios: {states:,} states, {transitions:,} transitions, {seconds:.1f} s; {broken} broken.")
    return 1 if broken or not total else 0


def _figures(names: list[str]) -> Iterator[Figures]:
    with multiprocessing.get_context("spawn").Pool(SIDE_BY_SIDE) as pool:
        yield from pool.imap_unordered(search, [SCENARIOS[name] for name in names])


def _bugs(names: list[str]) -> int:
    wanted = [mutant for mutant in MUTANTS if _is_wanted(mutant.name, names)]
    killed = sum(_is_killed(mutant) for mutant in wanted)
    _say(f"{killed} of {len(wanted)} bugs found.")
    return 0 if wanted and killed == len(wanted) else 1


def _is_killed(mutant: Mutant) -> bool:
    figures = hunt(mutant)
    found = figures.found[0] if figures.found else None
    by = f"{found.invariant} after {len(found.steps)} steps: {found.sentence}" if found is not None else "SURVIVED"
    _say(f"{mutant.name:55} {figures.states:6,} states  {by}")
    return found is not None and found.invariant in mutant.invariants


def _is_wanted(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
