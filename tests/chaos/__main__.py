"""Chaos: `python -m tests.chaos [--minutes 10] [--seed WORD] [--keep]`.

Eight agents, people and a saboteur around one real server; ends with 1 when anything is lost, doubled or broken, and
prints the seed that makes the same choices again.
"""

import argparse
import secrets
import sys
import time

from .campaign import Report, run
from .world import make_world


def main() -> int:
    """Run, print, and answer with the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Chaos around one real server.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", default=None, help="every choice is drawn from this (default: a new one)")
    parser.add_argument("--keep", action="store_true", help="keep the folder, and say where it is")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    _say(f"chaos with seed {seed} for {options.minutes:g} minutes, from {time.strftime('%H:%M:%S')}")
    with make_world(keep=options.keep) as world:
        if options.keep:
            _say(f"everything is in {world.root}")
        report = run(world, seed, options.minutes)
    _print(report)
    if report.problems:
        _say(f"\nThe same choices again: make chaos MINUTES={options.minutes:g} SEED={seed}")
    return 1 if report.problems else 0


def _print(report: Report) -> None:
    width = max(map(len, report.figures))
    for name, figure in report.figures.items():
        _say(f"{name:{width}}  {figure}")
    _say(f"{'lost':{width}}  {report.lost}")
    _say(f"{'doubled':{width}}  {report.doubled}")
    for problem in report.problems:
        _say(f"!! {problem}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
