"""Measure what gates, loops and reviews are worth: the same tasks through four policies, by simulated agents.

Each arm is a repository under its own policy behind a real server; README.md says what is simulated and what it shows.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence

from arena import Arena
from draws import Kind
from figures import Outcome, cheats_table, objections, other_figures, outcomes_of, table
from judging import judge_handed_on, judge_landings
from project import Arm
from tasks import Task, make_task

from gatewright.server.cli.demo_scratch import scratch_folder

CHANGES = 300
SEED = 20_261_122
AGENTS = 4


def main() -> int:
    options = _options()
    number = max(math.ceil(options.changes / len(Arm)), len(Kind))
    tasks = [make_task(options.seed, n) for n in range(1, number + 1)]
    print(f"{len(tasks)} tasks through each of {len(Arm)} arms, {options.agents} agents at a time, seed {options.seed}")
    found = {}
    for arm in Arm:
        since = time.monotonic()
        found[arm] = run_arm(arm, options.seed, tasks, options.agents)
        print(f"{time.monotonic() - since:6.1f} s  {arm}", flush=True)
    print(f"\n{table(found)}\n\n{cheats_table(found)}\n\n{other_figures(found)}\n")
    problems = objections(found)
    for problem in problems:
        print(f"FAIL: {problem}")
    if not problems:
        print("Nothing landed that gates could have seen to be wrong, wherever there were gates.")
    return 1 if problems else 0


def run_arm(arm: Arm, seed: int, tasks: Sequence[Task], agents: int) -> list[Outcome]:
    """Take the tasks through one arm, and judge what went on and what landed."""
    with scratch_folder(keep=False) as scratch:
        arena = Arena(arm, seed, scratch)
        arena.prepare(tasks)
        told = arena.work(tasks, agents)
        return outcomes_of(told, judge_landings(scratch, told), judge_handed_on(scratch, told))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES, help="so many in all, the same number in each arm")
    parser.add_argument("--seed", type=int, default=SEED, help="of the tasks, and of what agents do")
    parser.add_argument("--agents", type=int, default=AGENTS, help="so many at a time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
