"""`get_status` of one stage is everything about why it does not move; people are shown first what waits for them."""

import pytest

from gatewright.gates.machine.commands import Because, Release, Settle
from gatewright.schemas.records import GateOutcome, Outcome, StageState
from gatewright.server.operations import awaiting

from .conftest import Repositories
from .house import Agent, Clock, Server, serving, solo, staged

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_failing_stage_tells_who_holds_it_for_how_long_and_what_was_tried(make: Repositories) -> None:
    clock = Clock()
    async with serving(make(solo()), clock=clock) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim(model="opus")
        await ada.submit(brief, {"broken.txt": "1"})
        clock.advance(120)
        status = await ada.get("get_status", change=change, stage="code")
        why = status["why"]

    assert (why["stage"], why["state"], why["is_claimable"], why["holder"]) == ("code", "claimed", False, "ada")
    assert why["held_s"] >= 120
    assert why["since_s"] >= 120
    assert why["expires_in_s"] <= 15 * 60
    assert (why["attempts_made"], why["attempts_left"]) == (1, 2)
    (attempt,) = why["attempts"]
    assert (attempt["number"], attempt["holder"], attempt["outcome"]) == (1, "ada", "failed")
    assert "ok failed" in attempt["gates"]
    assert {"who": "an agent", "how": f'claim_stage(change="{change}", stage="code")'} == {
        name: value for name, value in why["unlocks"][0].items() if name != "in_s"
    }
    assert 0 < why["unlocks"][0]["in_s"] <= 15 * 60


async def test_an_escalated_stage_names_each_command_that_would_be_accepted(desk: Server) -> None:
    async with desk.agent() as ada:
        change = await ada.start()
        brief = await ada.claim(change, "code")
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Which one?")
        why = (await ada.get("get_status", change=change, stage="code"))["why"]

    assert [unlock["how"] for unlock in why["unlocks"]] == [
        f"`gatewright answer {change} code`",
        f"`gatewright grant-attempts {change} code 1`",
        f'`gatewright reopen {change} code --reason "..."`',
    ], "there is no artifact whose gates could be retried"


async def test_however_much_there_is_to_say_commands_stay_whole_in_a_reply_that_fits(desk: Server) -> None:
    """That every reply fits is held by the house; a command that was cut would be another one."""
    async with desk.agent() as ada:
        change = await ada.start("T" * 200)
        for number in range(1, 12):
            brief = await ada.claim(change, "code")
            await ada.get("release_stage", lease=brief["lease"], because="cannot", reason=f"{number} " + "ä" * 1_900)
        brief = await ada.claim(change, "code")
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="?" * 1_900)
        status = await ada.get("get_status", change=change, stage="code")

    assert status["why"]["unlocks"][-1]["how"] == f'`gatewright reopen {change} code --reason "..."`'
    assert status["why"]["left_out"] == "8 earlier notes"


async def test_the_landing_is_asked_for_by_its_name(server: Server, ada: Agent) -> None:
    change = await ada.start()
    waiting = (await ada.get("get_status", change=change, stage="land"))["why"]
    await ada.pass_stage({"a.txt": "a"})
    await server.landed(change)
    landed = (await ada.get("get_status", change=change, stage="land"))["why"]
    unknown = await ada.refused("get_status", change=change, stage="nowhere")

    assert waiting["because"] == f"Landing {change} waits for 'code' to pass."
    assert landed["state"] == "landed"
    assert unknown == "unknown_stage"


async def test_a_change_tells_the_newest_of_its_history(desk: Server) -> None:
    async with desk.agent() as ada:
        change = await ada.start()
        await ada.claim(change)
        history = (await ada.get("get_status", change=change))["history"]

    assert [line.split(" ", 3)[3] for line in history] == [
        f"{change} started: Add sub",
        "'code' is open",
        "'ada' claimed 'code'",
    ]


async def test_what_waits_for_people_is_told_of_every_change_however_many_there_are(desk: Server) -> None:
    """The oldest change waits longest; that newer ones fill the list must not hide it."""
    async with desk.agent() as ada:
        asking = [await ada.start("Ask") for _ in range(awaiting.TOLD_MAX + 3)]
        for change in asking:
            await ada.claim(change)
            await desk.decide(change, Release("code", 1, Because.NEEDS_DECISION, "Which one?"))
        for _ in range(10):
            await ada.start("Newer")
        status = await ada.get("get_status")

    told = status["waiting_for_people"]
    assert [line.partition("/")[0] for line in told] == asking[: awaiting.TOLD_MAX]
    assert status["waiting_more"] == 3
    assert f"{len(asking)} wait for a person" in status["summary"]
    assert asking[0] not in [change["change"] for change in status["changes"]]


async def test_a_change_in_review_is_found_among_many(make: Repositories) -> None:
    async with serving(make(staged()), has_engine=False) as desk, desk.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        await ada.get("submit_artifact", lease=brief["lease"], summary="x", files={"a.txt": "a"}, wait_s=0)
        gates = (GateOutcome("scope", Outcome.PENDING), GateOutcome("document", Outcome.PASSED))
        record = await desk.decide(change, Settle("plan", f"{change}.e1", gates))
        for _ in range(9):
            await ada.start("Newer")
        status = await ada.get("get_status")
        why = (await ada.get("get_status", change=change, stage="plan"))["why"]

    assert record.stage("plan").state is StageState.IN_REVIEW
    assert status["waiting_for_people"] == [f"gate 'scope' asks about {change}/plan: `gatewright answer {change} plan`"]
    assert why["because"] == f"'plan' of {change} passed its floor and waits for people to answer what 'scope' asks."
