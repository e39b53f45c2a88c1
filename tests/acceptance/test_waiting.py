"""Long polls: whoever waits wakes at the event and at nothing else, and a dropped wait loses nothing."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio
import pytest

from gatewright.gates.machine.commands import Answer, Cancel, KeepOrphan
from gatewright.server.composition import open_services
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store.tx import Tx

from .conftest import Repositories
from .house import Agent, Clock, Repository, Server, serving, solo

pytestmark = pytest.mark.anyio

# From the event to the reply; the promise is 200 ms on a machine that has nothing else to do.
BUSY_MACHINE_S = 0.6
SOON_S = 0.3


SHORT_LEASE = solo() + "limits: {lease: 1m}\n"


class Waiting:
    """An agent that waits in the background, and when it was answered."""

    def __init__(self, agent: Agent, tool: str, **given: object) -> None:
        self._agent, self._tool, self._given = agent, tool, given
        self.reply: dict[str, object] = {}
        self.answered_at = 0.0
        self.done = anyio.Event()

    async def wait(self) -> None:
        told = await self._agent.get(self._tool, **self._given)
        self.answered_at = time.monotonic()
        self.reply = dict(told.content)
        self.done.set()


async def test_a_waiter_wakes_within_a_moment_of_what_another_agent_does(desk: Server) -> None:
    async with desk.agent() as ada, desk.agent("bob") as bob:
        change = await ada.start()
        brief = await ada.claim()
        position = (await bob.get("wait_for_update", change=change, wait_s=0))["position"]
        waiting = Waiting(bob, "wait_for_update", change=change, after=position, wait_s=30)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.wait)
            await in_flight(desk)
            assert not waiting.done.is_set()
            begun = time.monotonic()
            await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="No idea.")
            with anyio.fail_after(10):
                await waiting.done.wait()
            assert waiting.answered_at - begun < BUSY_MACHINE_S

    assert waiting.reply["happened"] == ["c1: 'code' was released (cannot): No idea."]
    assert waiting.reply["claimable"] == ["c1/code"]


async def in_flight(server: Server) -> None:
    """Until everybody who was started has come to wait on the server's signal."""
    with anyio.fail_after(10):
        while not server.services.changed.ticket().statistics().tasks_waiting:  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.005)


@pytest.mark.parametrize("after", [None, "now"])
async def test_a_waiter_wakes_when_a_lease_runs_out(make: Repositories, clock: Clock, after: str | None) -> None:
    """No event happens at that moment, and no timer of the server's says so: the waiter itself must know."""
    desk = serving(make(SHORT_LEASE), clock=clock, has_engine=False)
    async with desk as server, server.agent() as ada, server.agent("bob") as bob:
        change = await ada.start()
        await ada.claim()
        position = (await bob.get("wait_for_update", change=change, wait_s=0))["position"]
        given = {} if after is None else {"after": position}
        clock.advance(60 - SOON_S)
        begun = time.monotonic()
        told = await bob.get("wait_for_update", change=change, wait_s=20, **given)
        took_s = time.monotonic() - begun
        taken = await bob.claim(change, "code")

    assert took_s < SOON_S + BUSY_MACHINE_S
    assert told["happened"] == []
    assert told["claimable"] == ["c1/code"]
    assert taken["stage"] == "code"


async def test_a_claim_that_waits_gets_the_stage_when_the_lease_runs_out(make: Repositories, clock: Clock) -> None:
    desk = serving(make(SHORT_LEASE), clock=clock, has_engine=False)
    async with desk as server, server.agent() as ada, server.agent("bob") as bob:
        await ada.start()
        await ada.claim()
        clock.advance(60 - SOON_S)
        begun = time.monotonic()
        brief = await bob.claim("c1", "code", wait_s=20)
        took_s = time.monotonic() - begun

    assert took_s < SOON_S + BUSY_MACHINE_S
    assert brief["lease"]


async def test_a_waiter_wakes_when_a_person_decides_in_another_process(desk: Server, repository: Repository) -> None:
    """People answer at a terminal, through a store of their own."""
    services = await desk.services.act(lambda: open_services(repository.common_dir))
    async with desk.agent() as ada, anyio.create_task_group() as tasks:
        tasks.start_soon(desk.application.run)
        change = await ada.start()
        brief = await ada.claim()
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Which one?")
        position = (await ada.get("wait_for_update", change=change, wait_s=0))["position"]
        waiting = Waiting(ada, "wait_for_update", change=change, after=position, wait_s=30)
        tasks.start_soon(waiting.wait)
        await in_flight(desk)
        answer = Answer("code", None, True, "person:eve", "The first.")
        begun = time.monotonic()
        await desk.services.act(
            lambda: services.store.run(lambda tx: apply(tx, get_change(tx, change), answer, services.clock()))
        )
        with anyio.fail_after(10):
            await waiting.done.wait()
        again = await ada.claim()
        assert waiting.answered_at - begun < BUSY_MACHINE_S
        assert any("The first." in text for text in waiting.reply["happened"])  # type: ignore[attr-defined]  # JSON
        assert any("The first." in note for note in again["notes"])
        tasks.cancel_scope.cancel()
    services.store.close()


async def test_news_of_one_change_are_found_among_those_of_many(desk: Server) -> None:
    """Hundreds of events of others lie before them."""
    async with desk.agent() as ada:
        one, other = await ada.start(), await ada.start()
        position = (await ada.get("wait_for_update", change=one, wait_s=0))["position"]
        await desk.services.run(lambda tx: keep_orphans(tx, other, 300))
        await desk.decide(one, Cancel("person:eve", "Not needed."))
        told = await ada.get("wait_for_update", change=one, after=position, wait_s=0)
        quiet = await ada.get("wait_for_update", change=one, after=told["position"], wait_s=0)

    assert told["happened"] == ["c1: cancelled by person:eve: Not needed."]
    assert quiet["happened"] == []


async def test_nobody_waits_for_a_change_that_has_ended(desk: Server) -> None:
    """What was handed in may have landed before its author asks for news of it."""
    async with desk.agent() as ada:
        change = await ada.start()
        await desk.decide(change, Cancel("person:eve", "Not needed."))
        begun = time.monotonic()
        told = await ada.get("wait_for_update", change=change, wait_s=20)
        took_s = time.monotonic() - begun

    assert took_s < 10
    assert told["summary"] == "Nothing new. Change c1 is cancelled; nothing more happens to it."
    assert told["next"] == "claim_stage for other work, or start_change for a new intent."


def keep_orphans(tx: Tx, change: str, count: int) -> None:
    for number in range(count):
        apply(tx, get_change(tx, change), KeepOrphan("code", 1, f"{number:040x}", "ada", "x"), datetime.now(UTC))


async def test_a_wait_that_is_over_says_so_and_a_later_one_finds_what_came_between(desk: Server) -> None:
    async with desk.agent() as ada, desk.agent("bob") as bob:
        change = await ada.start()
        brief = await ada.claim()
        first = await bob.get("wait_for_update", change=change, wait_s=0)
        await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="x")
        second = await bob.get("wait_for_update", change=change, after=first["position"], wait_s=0)

    assert (first["happened"], first["claimable"]) == ([], [])
    assert any("released" in text for text in second["happened"])


@pytest.mark.slow
async def test_a_call_that_is_given_up_changes_nothing_and_asking_again_finds_the_same_evaluation(
    make: Repositories,
) -> None:
    """Gates never run inside a request."""
    slow = '{command: {name: slow, run: "sleep 0.5"}}'
    async with serving(make(solo(slow))) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: ada.submit(brief, {"a.txt": "a"}, wait_s=60))
            await server.until(change, lambda r: r.stage("code").attempts)
            tasks.cancel_scope.cancel()
        record = await server.record(change)
        told = await ada.get("wait_for_update", evaluation=record.stage("code").attempts[0].evaluation)
        after = await server.record(change)

    assert told["outcome"] == "passed"
    assert len(after.stage("code").attempts) == 1


@pytest.mark.slow
async def test_progress_is_told_while_a_call_waits(make: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's clock is reset by it."""
    from gatewright.server.operations import waiting

    monkeypatch.setattr(waiting, "REPORT_EVERY_S", 0.1)
    slow = '{command: {name: slow, run: "sleep 1"}}'
    async with serving(make(solo(slow))) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        await ada.submit(brief, {"a.txt": "a"})

    assert waiting.REPORT_EVERY_S < 10
    assert any("slow" in text for text in ada.progress), ada.progress


async def test_how_long_a_call_waits_is_what_the_client_is_known_to_bear() -> None:
    from gatewright.server.calls import WAIT_S_BY_CLIENT, WAIT_S_DEFAULT

    assert WAIT_S_DEFAULT == 45
    assert set(WAIT_S_BY_CLIENT.values()) == {240}


@pytest.mark.slow
async def test_who_waits_for_something_to_claim_tries_again_only_when_something_has_happened(
    desk: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: a try that found nothing woke everybody who waits, itself first, and the server was never idle."""
    tries = 0
    run = desk.services.store.run

    def counted(work: Callable[[Tx], object]) -> object:
        nonlocal tries
        tries += 1
        return run(work)

    async def claim_nothing(waiter: Agent) -> None:
        told = await waiter.get("claim_stage", agent=waiter.name, wait_s=1)
        assert told["kind"] == "none"

    async with desk.agent() as ada, desk.agent("bob") as bob, desk.agent("eve") as eve:
        await ada.start()
        await ada.claim()
        monkeypatch.setattr(desk.services.store, "run", counted)
        async with anyio.create_task_group() as tasks:
            for waiter in (bob, eve):
                tasks.start_soon(claim_nothing, waiter)

    assert 2 <= tries <= 8
