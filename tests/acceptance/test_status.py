"""`get_status` tells why anything cannot move and what would unlock it, in the words of the refusal one would get."""

import pytest

from gatewright.gates.machine.commands import Cancel, Settle
from gatewright.schemas.records import GateOutcome, Outcome

from .conftest import Repositories
from .house import OK_GATE, Clock, Server, Told, serving, solo, staged

pytestmark = pytest.mark.anyio

LEASE_S = 15 * 60
PENDING = (GateOutcome("scope", Outcome.PENDING), GateOutcome("document", Outcome.PASSED))


def stage(status: Told, name: str) -> dict[str, object]:
    (change,) = status["changes"]
    return next(told for told in change["stages"] if told["stage"] == name)


@pytest.mark.slow
async def test_each_state_says_why_and_what_would_unlock_it(make: Repositories, clock: Clock) -> None:
    desk = serving(make(staged()), clock=clock, has_engine=False)
    async with desk as server, server.agent() as ada:
        empty = await ada.get("get_status")
        change = await ada.start()

        async def told(name: str = "plan") -> dict[str, object]:
            return stage(await ada.get("get_status", change=change), name)

        opened, waiting = await told(), await told("code")
        brief = await ada.claim()
        claimed, held = await told(), await told("code")
        clock.advance(LEASE_S + 60)
        expired = await told()
        clock.advance(-60)
        await ada.get("submit_artifact", lease=brief["lease"], summary="x", files={"a.txt": "a"}, wait_s=0)
        evaluating = await told()
        await settle(server, change)
        in_review = await told()
        whole = await ada.get("get_status", change=change)
        await ada.get("release_stage", lease=brief["lease"], because="withdraw", reason="x")
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Which one?")
        escalated = await told()
        await server.decide(change, Cancel("person:eve", "Not needed."))
        over = await told()

    assert "No change is under way" in empty.text
    assert "start_change" in empty["next"]
    assert (opened["state"], opened["because"]) == ("open", "open")
    assert opened["unlock"] == f'claim_stage(change="{change}", stage="plan").'
    assert waiting["because"] == f"'code' of {change} waits for 'plan', which is open."
    assert (claimed["holder"], claimed["attempt"]) == ("ada", None)
    assert claimed["because"] == f"'plan' of {change} is held by agent 'ada' for 15 more minutes."
    assert "'plan', which agent 'ada' holds for 15 more minutes" in str(held["because"])
    assert "takeover" in str(expired["because"])
    assert (evaluating["state"], evaluating["attempt"], evaluating["expires_in_s"]) == ("evaluating", 1, None)
    assert f"evaluation {change}.e1" in str(evaluating["because"])
    assert "waits for people" in str(in_review["because"])
    assert whole["waiting_for_people"] == [f"gate 'scope' asks about {change}/plan: `gatewright answer {change} plan`"]
    assert "1 waits for a person" in whole["summary"]
    assert "Which one?" in str(escalated["because"])
    assert str(escalated["unlock"]).startswith(f"A person: `gatewright answer {change} plan` or ")
    assert over["because"] == f"Change {change} is cancelled; nothing more happens to it."


async def settle(server: Server, change: str) -> None:
    current = (await server.record(change)).stage("plan").current
    assert current is not None
    await server.decide(change, Settle("plan", current.evaluation, PENDING))


async def test_one_stage_can_be_asked_for_and_no_secret_is_in_it(desk: Server) -> None:
    async with desk.agent() as ada, desk.agent("bob") as bob:
        change = await ada.start()
        brief = await ada.claim()
        status = await bob.get("get_status", change=change, stage="code")
        nothing = await bob.get("claim_stage", agent="bob")
        news = await bob.get("wait_for_update", after=0, wait_s=0)

    assert [told["stage"] for told in status["changes"][0]["stages"]] == ["code"]
    for told in (status, nothing, news):
        assert brief["lease"] not in told.text
        assert brief["workspace"] not in told.text


@pytest.mark.slow
async def test_what_ended_last_is_told_where_nothing_goes_on_any_more(server: Server) -> None:
    """What a person asks after a landing: did it?"""
    async with server.agent() as ada:
        landed, cancelled = await ada.start(), await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"})
        record = await server.landed(landed)
        await server.decide(cancelled, Cancel("person:eve", "Not needed."))
        status = await ada.get("get_status")
        one = await ada.get("get_status", change=landed)

    assert "No change is under way" in status.text
    assert status["ended"] == [
        f"{cancelled} '{record.title}' was cancelled",
        f"{landed} '{record.title}' landed on 'main' as {record.landed_commit}",
    ]
    assert one["ended"] == []


@pytest.mark.slow
async def test_nobody_is_sent_to_the_review_of_their_own_work(make: Repositories) -> None:
    async with (
        serving(make(solo(OK_GATE, "{review: {}}"))) as server,
        server.agent() as ada,
        server.agent("bob") as bob,
    ):
        change = await ada.start()
        await ada.submit(await ada.claim(), {"a.txt": "a"})

        told = [
            (await agent.get("get_status", **given))["next"]
            for agent in (ada, bob)
            for given in ({}, {"change": change})
        ]
        nothing = await ada.get("claim_stage", agent="ada", role="reviewer")

    assert nothing["why"].startswith(f"'code' of {change} waits for 1 review by others than 'ada'")
    assert "an agent by an MCP connection or a token of its own" in nothing["next"]
    assert [following.partition("(")[0] for following in told] == ["wait_for_update"] * 2 + ["claim_stage"] * 2
