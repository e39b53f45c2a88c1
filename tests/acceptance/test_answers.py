"""What a person decides about a question reaches the agent that waits for it."""

import pytest

from gatewright.gates.machine.commands import Answer

from .house import Server, solo

pytestmark = pytest.mark.anyio

ASKING = {"gatewright.yaml": f"# mine\n{solo()}", "sub.py": "def sub(a, b):\n    return a - b\n"}


@pytest.mark.slow
async def test_who_waits_for_a_person_is_told_who_refused_and_why(server: Server) -> None:
    async with server.agent("ada") as ada:
        change = await ada.start()
        asked = await ada.submit(await ada.claim(change), ASKING)
        assert asked["outcome"] == "pending", asked.text

        await server.decide(change, Answer("code", None, False, "person:eve", "Leave the pipeline alone."))
        told = await ada.get("wait_for_update", evaluation=asked["evaluation"], wait_s=10)

        assert told["outcome"] == "failed"
        assert "person:eve refused what gate 'scope' asked: Leave the pipeline alone." in told["summary"]
        assert "must decide" not in told["summary"]


@pytest.mark.slow
async def test_a_gate_that_fails_afterwards_is_what_the_agent_hears_of(server: Server) -> None:
    """The note stays on the stage; it is not the reason of a later failure."""
    async with server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        await ada.submit(brief, ASKING)
        await server.decide(change, Answer("code", None, False, "person:eve", "Leave the pipeline alone."))

        told = await ada.submit(brief, {"gatewright.yaml": solo(), "broken.txt": "x"})

        assert told["outcome"] == "failed"
        assert "ok failed" in told["summary"]
        assert "person:eve" not in told["summary"]
