"""A holder disputes what gates found: people decide, and what they uphold is judged again without it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gatewright.gates.findings import Judged, Problem, conclude
from gatewright.gates.kinds.scope import default_gate
from gatewright.gates.machine.commands import Answer, Reopen
from gatewright.gates.runner import without_upheld
from gatewright.schemas.records import Outcome, StageState

from .conftest import Repositories
from .house import OK_GATE, PLAN, Agent, Repository, Server, Told, serving, staged

pytestmark = pytest.mark.anyio

GOAL_ONLY = "# Goal\n\nSubtract.\n"


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make(staged())


async def failed(ada: Agent, change: str, text: str, beside: Mapping[str, str] | None = None) -> tuple[Told, Told]:
    """The brief and the verdict of a plan whose document misses a section, or that is not alone."""
    brief = await ada.claim(change, "plan")
    verdict = await ada.submit(brief, {f"docs/changes/{change}.md": text, **(beside or {})})
    assert verdict["outcome"] == "failed", verdict.text
    return brief, verdict


def disputes(verdict: Told, note: str) -> list[dict[str, str]]:
    return [{"finding": f["id"], "disposition": "disputed", "note": note} for f in verdict["findings"]]


def upheld(*, allowed: bool = True) -> Answer:
    return Answer("plan", None, allowed, "person:eve", "Requirements are in the ticket.")


@pytest.mark.slow
async def test_the_same_tree_with_every_finding_disputed_asks_a_person_who_lets_it_pass(
    server: Server, ada: Agent
) -> None:
    change = await ada.start()
    brief, verdict = await failed(ada, change, GOAL_ONLY)
    answers = disputes(verdict, "They are in the ticket.")

    told = await ada.get("submit_artifact", lease=brief["lease"], summary="It is complete.", answers=answers)
    asked = await server.record(change)
    await server.decide(change, upheld())
    passed = await server.until(change, lambda r: r.stage("plan").state is StageState.PASSED)

    assert told["stage_state"] == "escalated", told.text
    escalation = asked.stage("plan").escalation
    assert escalation is not None
    assert "They are in the ticket." in escalation.question
    first, second = passed.stage("plan").attempts
    assert (first.tree, first.upheld) == (second.tree, first.fingerprints)


@pytest.mark.slow
async def test_another_tree_with_nothing_but_what_was_disputed_asks_a_person_and_spends_no_budget(
    server: Server, ada: Agent
) -> None:
    change = await ada.start()
    brief, verdict = await failed(ada, change, GOAL_ONLY)
    path = f"docs/changes/{change}.md"
    answers = disputes(verdict, "They are in the ticket.")

    again = await ada.submit(brief, {path: f"{GOAL_ONLY}\nAnd more.\n"}, answers=answers)
    asked = await server.record(change)
    await server.decide(change, upheld(allowed=False))
    opened = (await server.record(change)).stage("plan")

    assert again["stage_state"] == "escalated", again.text
    assert (asked.stage("plan").failed, len(asked.stage("plan").attempts)) == (1, 2)
    assert opened.state is StageState.OPEN
    assert opened.notes[-1].text == "Requirements are in the ticket."


@pytest.mark.slow
async def test_what_names_a_file_and_no_line_is_upheld_for_the_bytes_that_were_seen(server: Server, ada: Agent) -> None:
    """Otherwise a file that one stage may not write holds whatever its next holder likes."""
    change = await ada.start()
    plan = f"docs/changes/{change}.md"
    brief, verdict = await failed(ada, change, PLAN, {"deploy.sh": "echo seen\n"})
    answers = disputes(verdict, "It belongs to the plan.")
    await ada.get("submit_artifact", lease=brief["lease"], summary="It is complete.", answers=answers)
    await server.decide(change, upheld())
    await server.until(change, lambda r: r.stage("plan").state is StageState.PASSED)

    code = await ada.claim(change, "code")
    await ada.get("release_stage", lease=code["lease"], because="spec_conflict", stage="plan", reason="Too vague.")
    again = await ada.claim(change, "plan")
    other = await ada.submit(again, {"deploy.sh": "echo unseen\n"})
    same = await ada.submit(again, {"deploy.sh": "echo seen\n", plan: f"{PLAN}\nAnd more.\n"})

    assert [(f["gate"], f["rule"], f["where"]) for f in verdict["findings"]] == [("scope", "outside", "deploy.sh")]
    assert (other["outcome"], same["outcome"]) == ("failed", "passed")


def found(*problems: Problem, counted: int = 3) -> tuple[str, ...]:
    return tuple(f.fingerprint for f in conclude(default_gate(), Judged(counted, "files", new=problems)).findings)


def test_a_gate_that_finds_anything_beside_what_was_upheld_fails() -> None:
    known, other = Problem("r1", "one", "a.py"), Problem("r2", "two", "a.py")
    both = conclude(default_gate(), Judged(3, "files", new=(known, other)))
    twice = conclude(default_gate(), Judged(3, "files", new=(known, known)))
    once = conclude(default_gate(), Judged(3, "files", new=(known,)))
    nothing = replace(once, counted=0)

    judged = [without_upheld(evidence, found(known)).outcome for evidence in (once, both, twice, nothing)]

    assert judged == [Outcome.PASSED, Outcome.FAILED, Outcome.FAILED, Outcome.FAILED]


REPORTED = '{command: {name: check, run: "sh check.sh", report: junit, path: out.xml}}'
# What a test says lies in the tree, in a file that the script does not name: what it names is protected.
CHECK = 'cat repor? > out.xml; ! grep -q "<failure" out.xml\n'
SUMS = f"""\
version: 1
target: main
stages:
  code: {{goal: Make the change., gates: [{REPORTED}]}}
  docs: {{needs: [code], goal: Tell of it., gates: [{OK_GATE}]}}
land: {{needs: [docs], strategy: merge}}
"""


def report(message: str | None) -> str:
    failure = "" if message is None else f'<failure message="{message}"/>'
    return f'<testsuite><testcase classname="t" name="sums" file="t.py">{failure}</testcase></testsuite>'


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        pytest.param("7 is not 8, at 0x7f2f", "passed", id="the same", marks=pytest.mark.slow),
        pytest.param("KeyError", "failed", id="another"),
    ],
)
async def test_an_upheld_dispute_covers_no_other_failure_of_the_same_test(
    make: Repositories, later: str, outcome: str
) -> None:
    """Regression: a test's finding is known again by the test's name, and so whatever came later was covered."""
    repository = make(SUMS)
    repository.commit("Check", check__sh=CHECK, report=report(None), t__py="")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim(change, "code")
        verdict = await ada.submit(brief, {"report": report("7 is not 8, at 0x7f01")})
        answers = disputes(verdict, "It is 8 here.")
        await ada.get("submit_artifact", lease=brief["lease"], summary="It is right.", answers=answers)
        await server.decide(change, Answer("code", None, True, "person:eve", "So it is."))
        await server.until(change, lambda r: r.stage("code").state is StageState.PASSED)
        await server.decide(change, Reopen("code", "person:eve", "More of it."))
        again = await ada.claim(change, "code")
        told = await ada.submit(again, {"report": report(later), "more.py": "x = 1\n"})

    assert [(f["gate"], f["where"]) for f in verdict["findings"]] == [("check", "t.py")]
    assert told["outcome"] == outcome, told.text
