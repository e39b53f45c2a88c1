"""Who made something stays its maker: also when somebody else adopts it, it is judged by neither of them (I5)."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from gatewright.schemas.records import Maker, StageState
from gatewright.schemas.refusals import Refusal, Refused
from gatewright.server.operations.approving import approve, find_asked, pinned_policy
from gatewright.server.people.known import Person, Proof

from .conftest import Repositories
from .house import OK_GATE, Agent, Clock, Repository, Server, Told, solo, write_all

pytestmark = pytest.mark.anyio

LEASE_S = 900.0
SUB = {"sub.py": "def sub(a, b):\n    return a - b\n"}
LAND = f"land: {{needs: [code], strategy: merge, gates: [{OK_GATE}, {{approval: {{name: release}}}}]}}"


@pytest.fixture
def repository(make: Repositories) -> Repository:
    judged = solo(OK_GATE, "{review: {}}", "{approval: {}}")
    return make(judged.replace("land: {needs: [code], strategy: merge}", LAND))


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Agent]:
    async with server.agent("bob") as agent:
        yield agent


async def late_work(ada: Agent, bob: Agent, clock: Clock) -> tuple[str, Told, str]:
    """What ada hands in after bob took over: the change, bob's brief and the commit that is kept."""
    change = await ada.start()
    brief = await ada.claim(change)
    clock.advance(LEASE_S + 1)
    await bob.claim(change, key="k")
    assert await ada.refused("submit_artifact", lease=brief["lease"], summary="Late.", files=SUB) == "lease_lost"
    packet = await bob.claim(change, key="k")
    (orphan,) = (orphan for orphan in packet["orphans"] if orphan["note"] == "Late.")
    assert orphan["holder"] == "ada"
    return change, packet, str(orphan["commit"])


async def say(server: Server, change: str, stage: str, name: str) -> str | None:
    """A person's approval; the code that it is refused with."""
    services = server.services

    def work() -> str | None:
        asked = services.store.read(lambda tx: find_asked(tx, change, stage, None))
        assert not isinstance(asked, Refusal), asked
        policy = pinned_policy(services, change)
        try:
            approve(
                services,
                asked,
                Person(name, Proof.SIGNATURE, f"SHA256:{name}"),
                policy,
                is_given=True,
                note="",
                request=None,
            )
        except Refused as exc:
            return str(exc.refusal.code)
        return None

    code = await anyio.to_thread.run_sync(work)
    services.changed.fire()
    return code


async def test_whose_late_work_was_adopted_neither_reviews_nor_approves_it(
    server: Server, ada: Agent, bob: Agent, clock: Clock
) -> None:
    change, packet, commit = await late_work(ada, bob, clock)
    verdict = await bob.get("submit_artifact", lease=packet["lease"], summary="Adopted.", commit=commit)
    assert verdict["outcome"] == "pending", verdict.text

    refused = [
        await agent.refused("claim_stage", agent=agent.name, change=change, stage="code") for agent in (ada, bob)
    ]
    said = [await say(server, change, "code", name) for name in ("ada", "bob@example.org", "eve")]
    async with server.agent("cleo") as cleo:
        brief = await cleo.get("claim_stage", agent="cleo", change=change, stage="code")
        await cleo.get("review_artifact", lease=brief["lease"], findings=[], inspected=["sub.py"])
    await server.until(change, lambda r: r.landing is not None and r.landing.asked)
    said += [await say(server, change, "land", name) for name in ("ada", "bob", "eve")]
    record = await server.landed(change)

    assert refused == ["own_work", "own_work"]
    assert said == ["own_work", "own_work", None] * 2
    stage = record.stage("code")
    assert stage.makers(stage.attempts[0]) == (
        Maker("stdio:bob", "bob"),
        Maker("stdio:ada", "ada"),
    )


@pytest.mark.slow
async def test_unsaved_work_of_whoever_let_go_is_theirs_when_it_is_adopted(
    server: Server, ada: Agent, bob: Agent
) -> None:
    change = await ada.start()
    brief = await ada.claim(change)
    write_all(Path(brief["workspace"]), SUB)
    await ada.get("release_stage", lease=brief["lease"], because="done_for_now", reason="Tomorrow.")
    packet = await bob.claim(change)
    (orphan,) = packet["orphans"]

    await bob.get("submit_artifact", lease=packet["lease"], summary="Adopted.", commit=orphan["commit"])

    assert await ada.refused("claim_stage", agent="ada", change=change, stage="code") == "own_work"
    assert orphan["holder"] == "ada"
    assert (await server.record(change)).stage("code").state is StageState.IN_REVIEW


@pytest.mark.slow
async def test_who_only_held_the_stage_before_may_judge_what_another_made(
    server: Server, ada: Agent, bob: Agent, clock: Clock
) -> None:
    change, packet, _ = await late_work(ada, bob, clock)
    verdict = await bob.submit(packet, {"other.py": "x = 1\n"})
    assert verdict["outcome"] == "pending", verdict.text

    brief = await ada.get("claim_stage", agent="ada", change=change, stage="code")

    assert brief["kind"] == "review"


@pytest.mark.slow
async def test_a_maker_gives_no_review_by_the_lease_of_another(server: Server, ada: Agent, bob: Agent) -> None:
    """Whoever has the token acts for whoever claimed it, and for the makers nobody does."""
    change = await ada.start()
    await ada.submit(await ada.claim(change), SUB)
    brief = await bob.get("claim_stage", agent="bob", change=change, stage="code")
    given = {"lease": brief["lease"], "findings": [], "inspected": ["sub.py"]}

    refused = await ada.refused("review_artifact", **given)
    async with server.agent("bob", principal="stdio:bob-again") as again:
        told = await again.get("review_artifact", **given)

    assert (refused, told["verdict"]) == ("own_work", "accepted")
