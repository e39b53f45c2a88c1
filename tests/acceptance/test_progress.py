"""Progress: a client that waits hears something at least every ten seconds, whatever it waits for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from gatewright.server.progress import SILENCE_MAX_S, keep_told

from .house import Agent, Clock, Generation, Repository, Server, serving
from .jumping import JumpingLoop

pytestmark = pytest.mark.anyio

PROMISED_S = 10.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]]:
    """Waiting takes no time here."""
    return "asyncio", {"loop_factory": JumpingLoop}


@pytest.fixture
async def still(repository: Repository, clock: Clock) -> AsyncIterator[Server]:
    """A server that judges nothing, on a clock that stands while a thread works."""
    async with serving(repository, clock=clock, has_engine=False) as served:
        services = served.services
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        threads = (services._store_threads, services._git_threads)
        loop.watch_threads(lambda: any(limiter.borrowed_tokens for limiter in threads))
        yield served


class Heard:
    """A call, and when its client heard of it."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.said: list[str] = []
        self.at: list[float] = []

    async def call(self, agent: Agent, tool: str, /, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Call a tool and note each progress; fails on an error."""

        async def note(progress: float, total: float | None, message: str | None) -> None:
            self.values.append(progress)
            self.said.append(message or "")
            self.at.append(anyio.current_time())

        self.at.append(anyio.current_time())
        result = await agent.client.call_tool(tool, given, progress_callback=note)
        self.at.append(anyio.current_time())
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return dict(result.structured_content)

    @property
    def took_s(self) -> float:
        return self.at[-1] - self.at[0]

    @property
    def longest_silence_s(self) -> float:
        return max(after - before for before, after in zip(self.at, self.at[1:], strict=False))

    def check(self, wait_s: float) -> None:
        """What is promised of a call that waits so long."""
        assert wait_s <= self.took_s < wait_s + PROMISED_S
        assert self.longest_silence_s <= PROMISED_S
        assert self.values == sorted(set(self.values)), "each is more than the last"
        assert all(self.said), "each says something"


async def test_a_submission_that_is_judged_for_minutes(still: Server, generation: Generation) -> None:
    async with still.agent("ada", generation) as ada:
        await ada.start()
        brief = await ada.claim()
        heard = Heard()
        verdict = await heard.call(ada, "submit_artifact", lease=brief["lease"], summary="Work.", wait_s=240)

    assert verdict["state"] == "running"
    heard.check(240)


async def test_a_dry_run_of_minutes(still: Server, generation: Generation) -> None:
    async with still.agent("ada", generation) as ada:
        await ada.start()
        brief = await ada.claim()
        heard = Heard()
        verdict = await heard.call(ada, "check_gates", lease=brief["lease"], wait_s=120)

    assert verdict["state"] == "running"
    heard.check(120)


async def test_a_claim_that_waits_for_something_to_open(still: Server, generation: Generation) -> None:
    async with still.agent("ada", generation) as ada:
        heard = Heard()
        brief = await heard.call(ada, "claim_stage", agent="ada", wait_s=120)

    assert brief["kind"] == "none"
    heard.check(120)


async def test_a_wait_for_news_that_do_not_come(still: Server, generation: Generation) -> None:
    async with still.agent("ada", generation) as ada:
        change = await ada.start()
        await ada.claim()
        heard = Heard()
        update = await heard.call(ada, "wait_for_update", change=change, wait_s=120)

    assert update["happened"] == []
    heard.check(120)


@pytest.mark.parametrize("tool", ["start_change", "claim_stage", "submit_artifact", "check_gates"])
async def test_a_call_that_git_holds_up(
    still: Server, generation: Generation, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace of a large repository takes its time, and says nothing by itself."""
    act = still.services.act

    async def slowly(work: Callable[[], object]) -> object:
        await anyio.sleep(60)
        return await act(work)

    async with still.agent("ada", generation) as ada:
        lease = {}
        if tool != "start_change":
            await ada.start()
        if tool not in ("start_change", "claim_stage"):
            lease = {"lease": (await ada.claim())["lease"]}
        given: dict[str, dict[str, object]] = {
            "start_change": {"title": "t", "intent": "i"},
            "claim_stage": {"agent": "ada"},
            "submit_artifact": {"summary": "s", "wait_s": 0},
            "check_gates": {"wait_s": 0},
        }
        monkeypatch.setattr(still.services, "act", slowly)
        heard = Heard()
        await heard.call(ada, tool, **given[tool], **lease)

    assert heard.took_s >= 60
    assert heard.longest_silence_s <= PROMISED_S
    assert all(tool in said for said in heard.said)


async def test_a_first_call_while_the_store_is_opened(
    repository: Repository, clock: Clock, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(repository, clock=clock, has_engine=False) as server:
        opened = server.application.services

        async def slowly() -> object:
            await anyio.sleep(60)
            return await opened()

        monkeypatch.setattr(server.application, "services", slowly)
        async with server.agent("ada", generation) as ada:
            heard = Heard()
            await heard.call(ada, "start_change", title="t", intent="i")

    assert heard.took_s >= 60
    assert heard.longest_silence_s <= PROMISED_S


async def test_a_quick_call_says_nothing_but_its_answer(still: Server, generation: Generation) -> None:
    async with still.agent("ada", generation) as ada:
        change = await ada.start()
        await ada.claim()
        await ada.get("get_status", change=change)

    assert ada.progress == []


async def test_what_is_going_on_is_said(still: Server, generation: Generation) -> None:
    """In the words of the runner, which this test plays."""
    async with still.agent("ada", generation) as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=0)
        evaluation, now = verdict["evaluation"], still.services.clock()
        await still.services.run(lambda tx: tx.start_evaluation(evaluation, "token", now, stale_before=now))
        await still.services.run(lambda tx: tx.heartbeat(evaluation, "token", now, "gate 'ok' is running"))
        heard = Heard()
        await heard.call(ada, "wait_for_update", evaluation=evaluation, wait_s=30)

    assert set(heard.said) == {"gate 'ok' is running"}


async def test_what_the_work_raises_comes_out_as_it_is() -> None:
    async def fail(_: object) -> None:
        raise ZeroDivisionError

    async def send(_: str) -> None: ...

    with pytest.raises(ZeroDivisionError):
        await keep_told(fail, send, "x")


async def test_a_client_that_cannot_be_told_ends_the_call_and_its_work() -> None:
    has_ended = False

    async def work(_: object) -> None:
        nonlocal has_ended
        try:
            await anyio.sleep_forever()
        finally:
            has_ended = True

    async def send(_: str) -> None:
        raise anyio.BrokenResourceError

    begun = anyio.current_time()
    with pytest.raises(anyio.BrokenResourceError):
        await keep_told(work, send, "x")

    assert has_ended
    assert SILENCE_MAX_S <= anyio.current_time() - begun < PROMISED_S
