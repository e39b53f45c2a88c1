"""The hidden oracle: what an artifact really is worth, told by properties and by nothing that a gate uses.

It lies beside the harness and in no repository, and is asked after the landing. It knows the four requirements of a
task as statements about prices; it has no reference program, and never looks at the known cases.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks import RULES, Stage, Task, Values, read_design, read_plan
from works import approach_path, design_path, plan_path, program_path

ANSWERS_TIMEOUT_S = 60
# Runs programs that may print, fail or leave; what it says itself goes to a descriptor that they are not told of.
ASK = """
import json, os, runpy, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
answers = {}
for name, (path, orders) in json.load(sys.stdin).items():
    try:
        price = runpy.run_path(path)["price"]
        answers[name] = [price(*order) for order in orders]
    except (Exception, SystemExit):
        answers[name] = None
json.dump(answers, out)
out.close()
"""

Order = tuple[int, int]


def is_good(task: Task, stage: Stage, files: Mapping[str, str]) -> bool:
    """Whether an artifact, given as its own files by path, is what the task wants."""
    match stage:
        case Stage.PLAN:
            return has_form(task, stage, files) and read_plan(files[plan_path(task)]) == task.values
        case Stage.DESIGN:
            return has_form(task, stage, files) and read_design(files[design_path(task)]) == task.values
        case Stage.CODE:
            return not broken_rules({task: files[program_path(task)]})[task]


def has_form(task: Task, stage: Stage, files: Mapping[str, str]) -> bool:
    """Whether a plan or a design has the form that was asked for, whatever it says."""
    if stage is Stage.PLAN:
        lines = files[plan_path(task)].splitlines()
        once = all(sum(line.startswith(f"- {rule}: ") for line in lines) == 1 for rule in RULES.values())
        return once and "# Requirements" in lines
    text = files[approach_path(task)]
    try:
        data = json.loads(files[design_path(task)])
    except ValueError:
        return False
    is_complete = isinstance(data, dict) and data.keys() == RULES.keys()
    return is_complete and {line[2:4] for line in text.splitlines() if line.startswith("- ")} == set(RULES.values())


def broken_rules(programs: Mapping[Task, str]) -> Mapping[Task, frozenset[str]]:
    """The requirements that each program breaks; all of them when it gives no answers."""
    orders = {task: _orders(task.values) for task in programs}
    answers = ask(programs, orders)
    return {task: _broken(task.values, orders[task], answers[task]) for task in programs}


def ask(programs: Mapping[Task, str], orders: Mapping[Task, Sequence[Order]]) -> Mapping[Task, Sequence[object] | None]:
    """What each program says that each order costs, None when it says nothing: run by one process for all of them."""
    with TemporaryDirectory(prefix="gatewright-effect-") as folder:
        asked = {}
        for task, text in programs.items():
            path = Path(folder, f"{task.change}.py")
            path.write_text(text)
            asked[task.change] = [str(path), orders[task]]
        done = subprocess.run(
            [sys.executable, "-I", "-c", ASK],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=ANSWERS_TIMEOUT_S,
            check=True,
        )
    answers = json.loads(done.stdout)
    return {task: answers[task.change] for task in programs}


def _orders(values: Values) -> list[Order]:
    """Orders on both sides of everything that a requirement tells apart."""
    near_cap = values.cap * 100 // values.percent
    cents = {values.floor // 2, values.floor - 1, values.floor, values.floor + 1, 1_234, 7_777, near_cap, 3 * near_cap}
    cents |= set(range(50, values.floor, 50))
    counts = {1, values.least - 1, values.least, values.least + 1, 4 * values.least}
    return [(amount, count) for amount in sorted(cents) for count in sorted(counts)]


def _broken(values: Values, orders: Sequence[Order], answers: Sequence[object] | None) -> frozenset[str]:
    if answers is None:
        return frozenset({"R1", "R2", "R3", "R4"})
    broken = set()
    for (cents, count), answer in zip(orders, answers, strict=True):
        if not isinstance(answer, int):
            return frozenset({"R1", "R2", "R3", "R4"})
        broken |= _broken_by(values, cents, count, cents - answer)
    return frozenset(broken)


def _broken_by(values: Values, cents: int, count: int, discount: int) -> set[str]:
    """The requirements that this discount on this order breaks."""
    if count < values.least:
        return {"R1"} if discount else set()
    if cents < values.floor:
        return {"R4"} if discount else set()
    if not 0 <= discount <= values.cap:
        return {"R3"}
    share = cents * values.percent
    if share >= 100 * values.cap:
        return set() if discount == values.cap else {"R3"}
    if discount == 0 and share >= 100:
        return {"R1"} if count == values.least else {"R2"}
    return set() if 100 * discount <= share < 100 * (discount + 1) else {"R2"}
