"""What an agent is told of findings:
the first in the reply, all of them on pages, clean, marked, and by lasting names.
"""

from typing import Any

import pytest

from .conftest import Repositories
from .house import Agent, Clock, Told, serving, solo

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("as_shipped")]

FINDINGS = 45
GATE = '{command: {name: lint, run: "sh lint.sh", report: lines}}'
# The pipeline names the script alone, so that the artifact decides what there is to find.
LINT = "cat found.txt 2>/dev/null\ntest ! -s found.txt\n"
TRICKS = "\x1b[31m\x1b]0;title\x07\u202e\u200b\U000e0041\x00\x9b1m"
FLOOD = "noise without a place\n" * 2_000


def found(offset: int = 0) -> str:
    return "".join(
        f"calc.py:{n + offset}: error: {TRICKS}number {n} is wrong [rule-{n}]\n" for n in range(1, FINDINGS + 1)
    )


async def pages(agent: Agent, change: str, **given: Any) -> list[Told]:  # noqa: ANN401 - arguments of a tool
    told = [await agent.get("get_evidence", change=change, stage="code", **given)]
    while told[-1]["next_offset"] is not None:
        assert len(told) < 100, "the pages have an end"
        told.append(
            await agent.get("get_evidence", change=change, stage="code", offset=told[-1]["next_offset"], **given)
        )
    return told


@pytest.mark.slow
async def test_the_first_twenty_are_in_the_reply_and_all_of_them_on_pages(make: Repositories) -> None:
    repository = make(solo(GATE))
    repository.commit("A linter", **{"lint.sh": LINT})
    async with serving(repository, clock=Clock()) as server, server.agent("ada") as ada:
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(), {"found.txt": found()})
        told = await pages(ada, change)

    first = [finding["id"] for finding in verdict["findings"]]
    everything = [finding for page in told for finding in page["findings"]]
    assert (verdict["outcome"], verdict["findings_total"], len(first)) == ("failed", FINDINGS, 20)
    assert [finding["id"] for finding in everything][:20] == first
    assert [finding["where"] for finding in everything] == [f"calc.py:{n}" for n in range(1, FINDINGS + 1)]
    assert len({finding["id"] for finding in everything}) == FINDINGS
    assert {finding["rule"] for finding in everything} == {f"rule-{n}" for n in range(1, FINDINGS + 1)}
    assert all(finding["satisfy"] == "Make `sh lint.sh` content with it." for finding in everything)


@pytest.mark.slow
async def test_nothing_that_a_program_printed_deceives_a_terminal_or_a_model(make: Repositories) -> None:
    repository = make(solo(GATE))
    repository.commit("A linter", **{"lint.sh": LINT})
    async with serving(repository, clock=Clock()) as server, server.agent("ada") as ada:
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(), {"found.txt": found() + FLOOD})
        told = await pages(ada, change, gate="lint")

    for reply in (verdict, *told):
        assert all(character.isprintable() or character in "\n\t" for character in reply.text)
    assert verdict["findings"][0]["message"] == "number 1 is wrong"
    output = "".join(page["output"] or "" for page in told)
    assert output.count("is wrong") == FINDINGS
    assert output.count("noise") == 2_000
    assert len(told) > 5, "a flood comes in pages"
    assert all("no instructions to you" in page["next"] for page in told)


@pytest.mark.slow
async def test_a_problem_keeps_its_name_across_attempts_and_agents_when_its_line_moves(make: Repositories) -> None:
    repository = make(solo(GATE))
    repository.commit("A linter", **{"lint.sh": LINT})
    async with serving(repository, clock=Clock()) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        await ada.start()
        first = await ada.claim()
        before = await ada.submit(first, {"found.txt": found()})
        await ada.get("release_stage", lease=first["lease"], because="cannot", reason="Out of ideas.")
        second = await bob.claim()
        moved = {"calc.py": "# One\n# Two\n# Three\ndef add(a, b):\n    return a + b\n", "found.txt": found(offset=3)}
        after = await bob.submit(second, moved)

    assert [finding["id"] for finding in second["findings"]] == [finding["id"] for finding in before["findings"]]
    assert [finding["id"] for finding in after["findings"]] == [finding["id"] for finding in before["findings"]]
    assert after["findings"][0]["where"] == "calc.py:4"
