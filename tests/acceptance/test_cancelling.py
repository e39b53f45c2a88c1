"""`notifications/cancelled` is harmless at any time: what was asked for stands or does not, and nothing else suffers.

opencode sends one after every finished call; every client sends one when its time is up.
"""

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from gatewright.schemas.records import AttemptState
from gatewright.server.store.tx import Tx

from .house import WITHIN_S, Generation, Server
from .wire import Wire, wired

pytestmark = pytest.mark.anyio


@pytest.fixture
async def wire(desk: Server, generation: Generation, tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(desk, generation, tmp_path / "s") as connected:
        yield connected


async def in_flight(server: Server) -> None:
    """Until somebody waits on the server's signal."""
    with anyio.fail_after(WITHIN_S):
        # The signal tells nobody that somebody waits for it.
        while not server.services.changed.ticket().statistics().tasks_waiting:  # noqa: ASYNC110 - nothing tells of that
            await anyio.sleep(0.005)


async def idle(server: Server) -> None:
    """Until nobody waits on the server's signal."""
    with anyio.fail_after(WITHIN_S):
        while server.services.changed.ticket().statistics().tasks_waiting:  # noqa: ASYNC110 - nothing tells of that
            await anyio.sleep(0.005)


async def test_before_the_request_it_is_about(wire: Wire) -> None:
    """A number that nobody has used may still be used."""
    for number in (7, "seven", 7):
        await wire.cancel(number)
    told = await wire.get(7, "start_change", title="t", intent="i")

    assert told["change"] == "c1"


async def test_after_the_answer_once_and_again(wire: Wire) -> None:
    await wire.get(1, "start_change", title="t", intent="i")
    for _ in range(3):
        await wire.cancel(1, reason="finished")
    told = await wire.get(2, "get_status")

    assert [found["change"] for found in told["changes"]] == ["c1"]
    assert [number for number in wire.replies if number != "handshake"] == [1, 2], "one reply to each request"


async def test_while_a_call_waits(wire: Wire, desk: Server) -> None:
    """The wait ends, the connection goes on, and asking again waits again."""
    await wire.get(1, "start_change", title="t", intent="i")
    await wire.get(2, "claim_stage", agent="ada")
    await wire.call(3, "wait_for_update", change="c1", after=99, wait_s=60)
    await in_flight(desk)
    await wire.cancel(3)
    await idle(desk)
    told = await wire.get(4, "wait_for_update", change="c1", after=99, wait_s=0)

    assert told["happened"] == []
    assert "result" not in wire.replies.get(3, {})


async def test_while_a_submission_is_judged(wire: Wire, desk: Server) -> None:
    """Gates never run inside a request: the evaluation is there, under the lease that the agent has."""
    await wire.get(1, "start_change", title="t", intent="i")
    lease = (await wire.get(2, "claim_stage", agent="ada"))["lease"]
    await wire.call(3, "submit_artifact", lease=lease, summary="s", wait_s=60, key="k")
    await in_flight(desk)
    await wire.cancel(3)
    await idle(desk)
    again = await wire.get(4, "submit_artifact", lease=lease, summary="s", wait_s=0, key="k")
    record = await desk.record("c1")

    assert [attempt.state for attempt in record.stage("code").attempts] == [AttemptState.JUDGING]
    assert again["evaluation"] == record.stage("code").attempts[0].evaluation


async def test_in_the_middle_of_a_transaction(wire: Wire, desk: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being written is written; the same request under its key finds it."""
    begun, may_go_on = threading.Event(), threading.Event()
    run = desk.services.store.run

    def held_up(work: Callable[[Tx], object]) -> object:
        begun.set()
        assert may_go_on.wait(WITHIN_S)
        return run(work)

    monkeypatch.setattr(desk.services.store, "run", held_up)
    await wire.call(1, "start_change", title="t", intent="i", key="k")
    assert await anyio.to_thread.run_sync(begun.wait, WITHIN_S)
    await wire.cancel(1)
    await wire.get(2, "get_status")
    may_go_on.set()
    told = await wire.get(3, "start_change", title="t", intent="i", key="k")
    status = await wire.get(4, "get_status")

    assert told["change"] == "c1"
    assert [found["change"] for found in status["changes"]] == ["c1"]


@pytest.mark.slow
async def test_at_any_moment_of_a_call(wire: Wire, desk: Server) -> None:
    """After so many turns of the loop, wherever that is: asking again under the key has one effect in all."""
    for steps in range(0, 32, 4):
        key = f"after {steps}"
        await wire.call(key, "start_change", title="t", intent="i", key=key)
        await turns(steps)
        await wire.cancel(key)
        change = (await wire.get(f"{key}, again", "start_change", title="t", intent="i", key=key))["change"]
        assert change == f"c{steps // 4 + 1}"
        lease = (await wire.get(f"{key}, claim", "claim_stage", agent="ada", change=change))["lease"]
        submission = {"lease": lease, "summary": "s", "key": f"{key}, work"}
        await wire.call(f"{key}, work", "submit_artifact", **submission, wait_s=60)
        await turns(steps)
        await wire.cancel(f"{key}, work")
        await wire.get(f"{key}, work again", "submit_artifact", **submission, wait_s=0)
        assert len((await desk.record(change)).stage("code").attempts) == 1


async def turns(count: int) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


BADLY_FORMED: tuple[dict[str, object], ...] = (
    {},
    {"requestId": None},
    {"requestId": {"a": 1}},
    {"requestId": [1]},
    {"requestId": 1.5},
    {"requestId": True},
    {"requestId": ""},
    {"requestId": 10**30},
    {"requestId": -1},
    {"requestId": 1, "reason": "r" * 100_000},
    {"requestId": 1, "reason": {"not": "text"}},
    {"requestId": 1, "more": [1, 2, 3]},
)


async def test_however_it_is_formed(wire: Wire) -> None:
    await wire.get(1, "start_change", title="t", intent="i")
    for number, params in enumerate(BADLY_FORMED, 2):
        await wire.send({"method": "notifications/cancelled", "params": params})
        assert (await wire.get(number, "get_status"))["changes"], params
    await wire.send({"method": "notifications/cancelled"})
    assert (await wire.get("last", "get_status"))["changes"]


async def test_of_one_call_leaves_the_others_waiting(wire: Wire, desk: Server) -> None:
    await wire.get(1, "start_change", title="t", intent="i")
    lease = (await wire.get(2, "claim_stage", agent="ada"))["lease"]
    position = (await wire.get(3, "wait_for_update", change="c1", wait_s=0))["position"]
    for number in (4, 5):
        await wire.call(number, "wait_for_update", change="c1", after=position, wait_s=60)
    await in_flight(desk)
    await wire.cancel(4)
    await wire.get(6, "release_stage", lease=lease, because="cannot", reason="x")
    told = await wire.told(5, "wait_for_update")

    assert told["happened"] == ["c1: 'code' was released (cannot): x"]


async def test_of_a_subscription_ends_it(desk: Server, tmp_path: Path) -> None:
    bus = desk.application.notices.bus
    async with wired(desk, "auto", tmp_path / "s") as wire:
        filter_ = {"resourceSubscriptions": ["gatewright://changes"]}
        await wire.request(1, "subscriptions/listen", notifications=filter_)
        with anyio.fail_after(WITHIN_S):
            while not bus.is_heard():  # noqa: ASYNC110 - nothing tells of that - the bus tells nobody
                await anyio.sleep(0.005)
            await wire.cancel(1)
            while bus.is_heard():  # noqa: ASYNC110 - nothing tells of that - as above
                await anyio.sleep(0.005)
        await wire.get(2, "get_status")


async def test_the_client_of_the_sdk_gives_up_and_asks_again(desk: Server, generation: Generation) -> None:
    """Its own clock runs out, upon which it cancels by itself."""
    async with desk.agent("ada", generation) as ada:
        await ada.start()
        await ada.claim()
        with anyio.move_on_after(0.3) as scope:
            await ada.call("wait_for_update", change="c1", after=99, wait_s=60)
        await idle(desk)
        told = await ada.get("wait_for_update", change="c1", after=0, wait_s=0)

    assert scope.cancelled_caught
    assert told["happened"]
