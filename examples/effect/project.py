"""The repositories of the arms: the same shop and the same known tests, under four policies."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from tasks import Task
from works import cases_path, cases_text

SHOP = Path(__file__).resolve().parent / "shop"
# As short as it may be: a lease that ran out counts only once somebody else claims.
LEASE_S = 1
ATTEMPTS = 4


class Arm(StrEnum):
    """What stands between the agents and the target branch."""

    NO_GATES = "no gates"
    NO_LOOPS = "gates without loops"
    GATEWRIGHT = "gatewright"
    REVIEWS = "gatewright with reviews"


# Something must hold at every stage, so here it is what always does.
NO_GATES = f"""\
version: 1
target: main
limits: {{lease: {LEASE_S}s}}
stages:
  plan:
    gates: [document: {{path: README.md, sections: [Shop]}}]
  design:
    needs: [plan]
    gates: [document: {{path: README.md, sections: [Shop]}}]
  code:
    needs: [design]
    gates: [document: {{path: README.md, sections: [Shop]}}]
land: {{needs: [code], strategy: merge, gates: [document: {{path: README.md, sections: [Shop]}}]}}
"""
GATES = f"""\
version: 1
target: main
limits: {{lease: {LEASE_S}s}}
protect: ["checks/**"]
stages:
  plan:
    goal: Say what the price rule is, as numbered requirements.
    writes: ["docs/changes/{{change}}/plan.md"]
    attempts: ATTEMPTS
    gates:
      - document: {{path: "docs/changes/{{change}}/plan.md", sections: [Goal, Requirements], ids: "R\\\\d+"}}REVIEW
  design:
    needs: [plan]
    goal: Say by which numbers.
    writes: ["docs/changes/{{change}}/design.md", "docs/changes/{{change}}/design.json"]
    attempts: ATTEMPTS
    gates:
      - schema: {{path: "docs/changes/{{change}}/design.json", schema: schemas/design.json}}
      - trace: {{from: plan, ids: "R\\\\d+", into: ["docs/changes/{{change}}/design.md"]}}REVIEW
  code:
    needs: [design]
    goal: Write the rule.
    writes: ["prices/{{change}}.py"]
    attempts: ATTEMPTS
    gates:
      - ruff
      - command: {{name: known, run: "python3 -I checks/check.py {{change}}", report: lines}}REVIEW
land:
  needs: [code]
  strategy: merge
  gates: [command: {{name: known, run: "python3 -I checks/check.py {{change}}", report: lines}}]
"""
REVIEW = "\n      - review: {quorum: 1}"
SCHEMA = """\
{
 "type": "object",
 "required": ["least", "percent", "cap", "floor"],
 "additionalProperties": false,
 "properties": {
  "least": {"type": "integer"},
  "percent": {"type": "integer"},
  "cap": {"type": "integer"},
  "floor": {"type": "integer"}
 }
}
"""


def pipeline(arm: Arm) -> str:
    """The policy of an arm."""
    if arm is Arm.NO_GATES:
        return NO_GATES
    attempts = 1 if arm is Arm.NO_LOOPS else ATTEMPTS
    return GATES.replace("ATTEMPTS", str(attempts)).replace("REVIEW", REVIEW if arm is Arm.REVIEWS else "")


def files(arm: Arm, tasks: Sequence[Task]) -> Iterator[tuple[str, str]]:
    """Every file of the repository before the first change. Nothing in it says what R4 wants of anybody."""
    yield "gatewright.yaml", pipeline(arm)
    yield "README.md", "# Shop\n\nPrice rules, one module each.\n"
    yield "prices/README.md", "One module for each rule.\n"
    yield from protected(tasks).items()


def protected(tasks: Sequence[Task]) -> Mapping[str, str]:
    """What no change may alter: the known tests, and what they are run with."""
    return {
        "checks/check.py": (SHOP / "checks/check.py").read_text(),
        "checks/settings.json": '{"tolerance_cents": 0}\n',
        "schemas/design.json": SCHEMA,
        **{cases_path(task): cases_text(task.values) for task in tasks},
    }
