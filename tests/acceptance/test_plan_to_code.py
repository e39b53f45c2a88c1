"""A requirement goes from the plan through the design into the tests, and nobody loses it on the way."""

import json

import pytest

from .conftest import Repositories
from .house import serving

pytestmark = pytest.mark.anyio

PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what must hold, as numbered requirements.
    writes: ["docs/changes/{change}/plan.md"]
    gates:
      - document: {path: "docs/changes/{change}/plan.md", sections: [Goal, Requirements], ids: "R\\\\d+"}
  design:
    needs: [plan]
    goal: Say how, and in which tasks.
    writes: ["docs/changes/{change}/design.md", "docs/changes/{change}/tasks.yaml"]
    gates:
      - schema: {path: "docs/changes/{change}/tasks.yaml", schema: schemas/tasks.json}
      - trace: {from: plan, ids: "R\\\\d+", into: ["docs/changes/{change}/design.md"]}
  code:
    needs: [design]
    goal: Make it, with its tests and its generated list.
    gates:
      - trace: {from: plan, ids: "R\\\\d+", into: ["tests/**"]}
      - transform: {run: "sh tools/list.sh", paths: ["docs/functions.txt"]}
land: {needs: [code], strategy: merge}
"""
SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["tasks"],
        "properties": {"tasks": {"type": "array", "items": {"type": "object", "required": ["id", "title"]}}},
    }
)
PLAN = "# Goal\n\nSubtract.\n\n# Requirements\n\n- R1: `sub(a, b)` is a minus b.\n- R2: it takes floats.\n"
DESIGN = "# Approach\n\nA function for R1; floats come for free (R2).\n"
TASKS = "tasks:\n  - id: T1\n    title: Write sub\n"
SUB = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"


@pytest.mark.slow
async def test_requirements_are_traced_into_design_and_tests_and_what_is_generated_is_fresh(make: Repositories) -> None:
    repository = make(PIPELINE)
    repository.write("schemas/tasks.json", SCHEMA)
    repository.write("tools/list.sh", "sed -n 's/^def \\([a-z]*\\).*/\\1/p' calc.py > docs/functions.txt\n")
    repository.write("docs/functions.txt", "add\n")
    # An older change's tests: their R2 is another one.
    repository.write("tests/test_old.py", "# R2 of an older plan, and R9\n")
    repository.commit("Begin with a schema")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        folder = f"docs/changes/{change}"

        plan = await ada.claim()
        unnumbered = await ada.submit(plan, {f"{folder}/plan.md": PLAN.replace("R1:", "").replace("R2:", "")})
        assert [found["rule"] for found in unnumbered["findings"]] == ["ids-missing"]
        numbered = await ada.submit(plan, {f"{folder}/plan.md": PLAN})
        assert numbered["outcome"] == "passed", numbered.text

        design = await ada.claim()
        wrong = await ada.submit(
            design, {f"{folder}/design.md": DESIGN.replace("R2", "R3"), f"{folder}/tasks.yaml": "tasks:\n  - id: T1\n"}
        )
        assert {(found["gate"], found["rule"], found["where"]) for found in wrong["findings"]} == {
            ("schema", "required", f"{folder}/tasks.yaml:2"),
            ("trace", "untraced", f"{folder}/plan.md:8"),
            ("trace", "unknown-id", f"{folder}/design.md:3"),
        }
        right = await ada.submit(design, {f"{folder}/design.md": DESIGN, f"{folder}/tasks.yaml": TASKS})
        assert right["outcome"] == "passed", right.text
        assert {gate["gate"]: gate["count"] for gate in right["gates"]} == {"scope": 2, "schema": 1, "trace": 2}

        code = await ada.claim()
        lost = await ada.submit(code, {"calc.py": SUB, "tests/test_sub.py": "# R1\n"})
        assert {(found["gate"], found["rule"], found["where"]) for found in lost["findings"]} == {
            ("trace", "untraced", f"{folder}/plan.md:8"),
            ("transform", "differs", "docs/functions.txt:2"),
        }
        # Whoever may write the plan cannot drop a requirement by it.
        dropped = await ada.submit(
            code,
            {f"{folder}/plan.md": PLAN.replace("- R2: it takes floats.\n", ""), "docs/functions.txt": "add\nsub\n"},
        )
        assert [(found["gate"], found["rule"]) for found in dropped["findings"]] == [("trace", "untraced")]
        done = await ada.submit(code, {f"{folder}/plan.md": PLAN, "tests/test_sub.py": "# R1, R2\n"})
        assert done["outcome"] == "passed", done.text
        await server.landed(change)

    assert repository.git("show", "main:docs/functions.txt") == "add\nsub"
