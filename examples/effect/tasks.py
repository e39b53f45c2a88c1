"""The tasks: each wants a price rule of four numbers, which travel from the plan through the design into the program.

Three of them are covered by known tests; the fourth, `floor`, is covered by none, on purpose.
"""

import json
import random
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

# Rule of a task by the name of its number, in the order of the requirements.
RULES = {"least": "R1", "percent": "R2", "cap": "R3", "floor": "R4"}
KNOWN = ("least", "percent", "cap")
# No known case has an order below this, so none is near any floor.
CASE_CENTS_MIN = 1_000


class Stage(StrEnum):
    PLAN = "plan"
    DESIGN = "design"
    CODE = "code"


class Flaw(StrEnum):
    """What is wrong with an artifact: its form, a number that known tests cover, or the one that none covers."""

    FORM = "form"
    KNOWN = "known"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Values:
    """From `least` pieces on `percent` % off, at most `cap` cents; orders below `floor` cents get nothing."""

    least: int
    percent: int
    cap: int
    floor: int


@dataclass(frozen=True, slots=True)
class Task:
    """The one that the change `change` is about; `number` counts from 1."""

    number: int
    values: Values

    @property
    def change(self) -> str:
        return f"c{self.number}"

    @property
    def intent(self) -> str:
        """What the person asks for."""
        return "\n".join(requirements(self.values))


@dataclass(frozen=True, slots=True)
class Case:
    """A known test: what an order of so many cents and so many pieces costs."""

    rule: str
    order: tuple[int, int]
    price: int


def make_task(seed: int, number: int) -> Task:
    """The task of that number; the same for every arm."""
    rng = random.Random(f"{seed}/task/{number}")
    values = Values(
        rng.randint(3, 20), rng.randint(5, 20), 100 * rng.randint(21, 50), 10 * rng.randint(40, CASE_CENTS_MIN // 10)
    )
    return Task(number, values)


def requirements(values: Values) -> list[str]:
    return [
        f"R1: orders of at least {values.least} pieces get a discount, smaller ones none",
        f"R2: the discount is {values.percent} % of the order, rounded down to whole cents",
        f"R3: the discount is at most {values.cap} cents",
        f"R4: orders below {values.floor} cents get no discount",
    ]


def known_cases(values: Values) -> list[Case]:
    """The tests that everybody sees. They cover R1, R2 and R3, and no order that R4 is about."""
    odd, off = 9_999, 9_999 * values.percent // 100
    return [
        Case("R1", (odd, values.least - 1), odd),
        Case("R1", (odd, 1), odd),
        Case("R1", (odd, values.least), odd - off),
        Case("R2", (odd, values.least + 5), odd - off),
        Case("R2", (CASE_CENTS_MIN, values.least), CASE_CENTS_MIN - CASE_CENTS_MIN * values.percent // 100),
        Case("R3", (200_000, values.least), 200_000 - values.cap),
    ]


def spoil(values: Values, flaw: Flaw, rng: random.Random) -> Values:
    """The same with one number wrong: one that known tests cover, or the one that none does."""
    if flaw is Flaw.HIDDEN:
        return replace(values, floor=values.floor - 10 * rng.randint(5, values.floor // 10 - 1))
    match rng.choice(KNOWN):
        case "least":
            return replace(values, least=values.least + rng.choice((-1, 1)))
        case "percent":
            return replace(values, percent=values.percent + rng.choice((-1, 1)))
        case _:
            return replace(values, cap=values.cap + rng.choice((-100, 100)))


def plan_text(values: Values, revision: int) -> str:
    lines = "".join(f"- {line}\n" for line in requirements(values))
    return f"# Goal\n\nA new price rule (revision {revision}).\n\n# Requirements\n\n{lines}"


def read_plan(text: str) -> Values:
    """The numbers that a plan states. What it does not state is guessed, as whoever works from it would."""
    wanted = {
        "least": r"R1: .*?(\d+) pieces",
        "percent": r"R2: .*?(\d+) %",
        "cap": r"R3: .*?(\d+) cents",
        "floor": r"R4: .*?(\d+) cents",
    }
    found = {name: re.search(pattern, text) for name, pattern in wanted.items()}
    return Values(**{name: int(match[1]) if match else 1 for name, match in found.items()})


def design_text(revision: int) -> str:
    said = "".join(f"- {rule}: by `{name.upper()}` in the module\n" for name, rule in RULES.items())
    return f"# Approach\n\nOne module (revision {revision}).\n\n{said}"


def design_data(values: Values) -> str:
    return json.dumps(asdict(values), indent=1) + "\n"


def read_design(text: str) -> Values:
    """The numbers that a design states, guessed where it does not."""
    try:
        data = json.loads(text)
    except ValueError:
        data = {}
    found = data if isinstance(data, dict) else {}
    numbers = {name: found.get(name) for name in RULES}
    return Values(**{name: value if isinstance(value, int) else 1 for name, value in numbers.items()})


def program_text(values: Values, revision: int) -> str:
    return f'''\
"""A price rule: R1, R2, R3, R4 (revision {revision})."""

LEAST = {values.least}
PERCENT = {values.percent}
CAP = {values.cap}
FLOOR = {values.floor}


def price(cents: int, count: int) -> int:
    """What an order of so many pieces costs, in cents."""
    if count < LEAST or cents < FLOOR:
        return cents
    return cents - min(cents * PERCENT // 100, CAP)
'''
