"""Reviews by a program that the server runs: told the spec and what was said before, never kept from judging anew."""

import json
from pathlib import Path

import pytest

from .conftest import Repositories
from .house import PLAN, Repository, serving, solo, staged, write_all

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# Objects to every line with TODO, unless what it objected to there before is disputed with a note that begins "Later".
LOOK = """\
import json, sys
told = json.load(sys.stdin)
later = {f["path"] for f in told["former"] if f["disposition"] == "disputed" and f["note"].startswith("Later")}
found = [
    {"severity": "blocking", "path": path, "line": line, "message": "TODO: " + told["spec"]["ask"]}
    for path in told["paths"] if path.endswith(".py") and path not in later
    for line, text in enumerate(open(path), 1) if "TODO" in text
]
inspected = [*told["paths"], told["spec"]["intent"], *(i["stage"] for i in told["spec"]["inputs"])]
json.dump({"findings": found, "inspected": inspected}, sys.stdout)
"""
REVIEW = "{review: {name: look, run: python3 -I tools/look.py, ask: do it now}}"
OK = '{command: {name: ok, run: "test ! -e broken.txt"}}'
TODO = {"sub.py": "# TODO\ndef sub(a, b):\n    return a - b\n"}


def with_reviewer(repository: Repository, program: str = LOOK) -> Repository:
    repository.write("tools/look.py", program)
    repository.commit("Add a reviewer")
    return repository


async def test_what_a_program_objects_to_fails_and_what_it_accepts_lands(make: Repositories) -> None:
    repository = with_reviewer(make(staged(OK, REVIEW)))
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        brief = await ada.claim(change)
        failed = await ada.submit(brief, TODO)
        passed = await ada.submit(brief, {"sub.py": "def sub(a, b):\n    return a - b\n"})
        evidence = await ada.get("get_evidence", change=change, stage="code", gate="look")
        await server.landed(change)

    assert [(f["gate"], f["severity"], f["where"]) for f in failed["findings"]] == [("look", "blocking", "sub.py:1")]
    assert failed["findings"][0]["message"] == "TODO: do it now"
    assert passed["outcome"] == "passed"
    assert evidence["environment"]["isolation"] != "none"
    assert {"Add sub.", "plan"} <= set(json.loads(evidence["output"])["inspected"])


@pytest.mark.parametrize(
    ("note", "outcome", "stage_state"),
    [("Later, in another change.", "passed", "passed"), ("No.", "errored", "escalated")],
)
async def test_a_program_hears_what_is_disputed_and_a_person_decides_when_it_insists(
    make: Repositories, note: str, outcome: str, stage_state: str
) -> None:
    async with serving(with_reviewer(make(solo(OK, REVIEW)))) as server, server.agent() as ada:
        brief = await ada.claim(await ada.start())
        failed = await ada.submit(brief, TODO)
        disputed = {"finding": failed["findings"][0]["id"], "disposition": "disputed", "note": note}

        again = await ada.submit(brief, {"one.py": "x = 1\n"}, answers=[disputed])

    assert (again["outcome"], again["stage_state"]) == (outcome, stage_state)


async def test_a_check_reviews_too_and_its_pass_holds_for_the_submission(make: Repositories) -> None:
    async with serving(with_reviewer(make(solo(OK, REVIEW)))) as server, server.agent() as ada:
        brief = await ada.claim(await ada.start())
        write = {"sub.py": "def sub(a, b):\n    return a - b\n"}
        write_all(Path(brief["workspace"]), write)
        checked = await ada.get("check_gates", lease=brief["lease"])
        submitted = await ada.submit(brief)

    assert {g["gate"]: g["outcome"] for g in checked["gates"]}["look"] == "passed"
    assert {g["gate"]: g["cached"] for g in submitted["gates"]}["look"]


async def test_garbage_escalates_as_a_broken_gate_and_costs_no_attempt(make: Repositories) -> None:
    repository = with_reviewer(make(solo(OK, REVIEW)), "print('Looks good to me!')\n")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(change), TODO, wait_s=0)
        record = await server.until(change, lambda record: record.stage("code").escalation is not None)

    escalation = record.stage("code").escalation
    assert escalation is not None
    assert escalation.cause == "gate_broken"
    assert "answered no review, twice" in escalation.question
    assert record.stage("code").failed == 0


async def test_no_program_reviews_what_failed_another_gate(make: Repositories) -> None:
    async with serving(with_reviewer(make(solo(OK, REVIEW)))) as server, server.agent() as ada:
        verdict = await ada.submit(await ada.claim(await ada.start()), {**TODO, "broken.txt": "x\n"})

    outcomes = {gate["gate"]: (gate["outcome"], gate["summary"]) for gate in verdict["gates"]}
    assert verdict["outcome"] == "failed"
    assert outcomes["look"] == ("errored", "Not reviewed, because ok did not pass.")
