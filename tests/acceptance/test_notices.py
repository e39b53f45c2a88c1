"""Notices: whoever subscribed is told when to read again, in the way of its generation of the protocol."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.client import Client, Transport
from mcp.client.session import IncomingMessage, MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters
from mcp.client.subscriptions import Subscription
from mcp.server.lowlevel import Server as ProtocolServer
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_types import (
    EmptyResult,
    Implementation,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from gatewright.gates.machine.commands import Cancel
from gatewright.schemas import refusals
from gatewright.schemas.refusals import Refused
from gatewright.server.addresses import CHANGES, LEDGER, PIPELINE, evidence_uri, stage_uri
from gatewright.server.composition import open_services
from gatewright.server.notices import URIS_MAX, Notices
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store.tx import Tx

from .conftest import Repositories
from .house import Agent, Generation, Repository, Server, serving, staged

pytestmark = pytest.mark.anyio

LIST = "(the list of resources)"
WITHIN_S = 20.0
CODE = stage_uri("c1", "code")


class Watch:
    """What one client was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._news = anyio.Event()

    def take(self, uri: str) -> None:
        self.told.append(uri)
        self._news.set()
        self._news = anyio.Event()

    async def until(self, is_so: Callable[[list[str]], bool]) -> list[str]:
        with anyio.fail_after(WITHIN_S):
            while not is_so(self.told):
                await self._news.wait()
        return self.told

    async def hears(self, *uris: str) -> None:
        """Wait until all of these were told."""
        await self.until(lambda told: set(uris) <= set(told))


async def subscribe(client: Client, uri: str) -> None:
    """The handshake generation's own way, which the SDK's client calls deprecated."""
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    """As above."""
    request = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


@asynccontextmanager
async def watching(server: Server, generation: Generation, *uris: str, lists: bool = False) -> AsyncGenerator[Watch]:
    """A client that watches these resources, and the list of them when it should."""
    connection = server.application.mcp_server("stdio:watcher")
    async with watching_over(connection, generation, *uris, lists=lists) as (_, watch):
        yield watch


@asynccontextmanager
async def watching_over(
    connection: ProtocolServer[Any] | StdioServerParameters | Transport,
    generation: Generation,
    *uris: str,
    lists: bool = False,
) -> AsyncGenerator[tuple[Client, Watch]]:
    """The same over any connection, with the client."""
    watch = Watch()
    handler = _into(watch) if generation == "legacy" else None
    information = Implementation(name="test", version="1")
    async with Client(connection, mode=generation, client_info=information, message_handler=handler) as client:
        if generation == "legacy":
            for uri in uris:
                await subscribe(client, uri)
            if lists:
                await client.list_resources()
            yield client, watch
            return
        async with (
            client.listen(resource_subscriptions=uris, resources_list_changed=lists) as stream,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(follow, stream, watch)
            yield client, watch
            tasks.cancel_scope.cancel()


async def follow(stream: Subscription, watch: Watch) -> None:
    async for event in stream:
        match event:
            case ResourceUpdated(uri=uri):
                watch.take(uri)
            case ResourcesListChanged():
                watch.take(LIST)
            case _:
                pass


async def test_a_watched_change_is_told_of_and_no_other(server: Server, generation: Generation) -> None:
    async with server.agent() as ada:
        first, second = await ada.start(), await ada.start()
        watched = f"gatewright://changes/{second}"
        async with watching(server, generation, watched) as watch:
            await ada.claim(first)
            await ada.claim(second)
            await watch.hears(watched)

    assert set(watch.told) == {watched}


@pytest.mark.slow
async def test_a_submission_tells_of_stage_evidence_and_ledger(server: Server, generation: Generation) -> None:
    evidence = evidence_uri("c1", "code", 1, "ok")
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        async with watching(server, generation, CHANGES, CODE, evidence, LEDGER) as watch:
            await ada.submit(brief, {"broken.txt": "x"})
            await watch.hears(CHANGES, CODE, evidence, LEDGER)


async def test_a_waiting_stage_is_told_of_when_what_it_waits_for_moves(
    make: Repositories, generation: Generation
) -> None:
    async with serving(make(staged())) as server, server.agent() as ada:
        await ada.start()
        async with watching(server, generation, CODE) as watch:
            await ada.claim("c1", "plan")
            await watch.hears(CODE)


async def test_the_list_is_told_of_when_a_change_begins_and_ends(server: Server, generation: Generation) -> None:
    async with server.agent() as ada, watching(server, generation, lists=True) as watch:
        change = await ada.start()
        await watch.hears(LIST)
        watch.told.clear()
        await server.decide(change, Cancel("person:eve", "Not needed."))
        await watch.hears(LIST)


@pytest.mark.slow
async def test_a_landed_change_tells_of_the_pipeline(server: Server, generation: Generation) -> None:
    async with server.agent() as ada, watching(server, generation, PIPELINE) as watch:
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        await server.landed(change)
        await watch.hears(PIPELINE)


async def test_what_another_process_decides_is_told(
    server: Server, repository: Repository, generation: Generation
) -> None:
    """People decide at a terminal, through a store of their own."""
    services = await server.services.act(lambda: open_services(repository.common_dir))
    async with server.agent() as ada:
        change = await ada.start()
        async with watching(server, generation, f"gatewright://changes/{change}") as watch:
            cancel = Cancel("person:eve", "Not needed.")
            await services.run(lambda tx: apply(tx, get_change(tx, change), cancel, services.clock()))
            await watch.hears(f"gatewright://changes/{change}")
    services.store.close()


async def test_renewing_a_lease_is_no_news(server: Server, generation: Generation) -> None:
    async with server.agent() as ada:
        await all_told(server, ada)
        brief = await ada.claim()
        await all_told(server, ada)
        async with watching(server, generation, CODE) as watch:
            await ada.get("renew_lease", lease=brief["lease"])
            await all_told(server, ada)
            assert watch.told == []
            await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="x")
            await watch.hears(CODE)


async def test_who_unsubscribed_is_told_nothing_more(server: Server) -> None:
    async with server.agent("ada", "legacy") as ada, watching(server, "legacy", CHANGES) as watch:
        await all_told(server, ada)
        heard = Watch()
        other = Client(server.application.mcp_server("stdio:other"), mode="legacy", message_handler=_into(heard))
        async with other as client:
            await subscribe(client, CHANGES)
            await subscribe(client, LEDGER)
            await unsubscribe(client, CHANGES)
            await unsubscribe(client, "gatewright://pipeline")
            await ada.start()
            await watch.hears(CHANGES)
            await all_told(server, ada)

    assert heard.told == []


async def test_who_asked_for_nothing_is_told_nothing(server: Server, generation: Generation) -> None:
    """A client that never listed resources would not know what to do with it."""
    heard = Watch()
    silent = Client(server.application.mcp_server("stdio:silent"), mode=generation, message_handler=_into(heard))
    async with silent as client, server.agent() as ada, watching(server, generation, CHANGES) as watch:
        await client.list_tools()
        await ada.start()
        await watch.hears(CHANGES)
        await all_told(server, ada)

    assert heard.told == []


async def test_what_cannot_be_a_resource_is_not_watched(server: Server) -> None:
    async with server.agent("ada", "legacy") as ada:
        with pytest.raises(MCPError, match="no such resource"):
            await subscribe(ada.client, "gatewright://weather")
    async with server.agent() as ada, ada.client.listen(resource_subscriptions=["gatewright://weather", LEDGER]) as sub:
        assert sub.honored.resource_subscriptions == [LEDGER]


async def test_how_much_one_client_watches_is_bounded(server: Server) -> None:
    uris = [f"gatewright://changes/c{number}" for number in range(1, URIS_MAX + 2)]
    async with server.agent("ada", "legacy") as ada:
        for uri in uris[:URIS_MAX]:
            await subscribe(ada.client, uri)
        await subscribe(ada.client, uris[0])
        with pytest.raises(MCPError, match="256"):
            await subscribe(ada.client, uris[-1])
    async with server.agent() as ada:
        with pytest.raises(MCPError, match="256"):
            async with ada.client.listen(resource_subscriptions=uris):
                pass


async def test_a_client_that_is_gone_is_forgotten(server: Server, generation: Generation) -> None:
    bus = server.application.notices.bus
    assert not bus.is_heard()
    async with watching(server, generation, CHANGES, lists=True):
        assert bus.is_heard()

    assert not bus.is_heard()


async def test_a_client_that_does_not_read_holds_up_nobody(server: Server, generation: Generation) -> None:
    """What it has not been told yet waits once for each address, and everybody else is told meanwhile."""
    stuck = anyio.Event()

    async def never(message: IncomingMessage) -> None:
        stuck.set()
        await anyio.sleep_forever()

    slow = Client(server.application.mcp_server("stdio:slow"), mode="legacy", message_handler=never)
    async with slow as client, server.agent() as ada, watching(server, generation, CHANGES) as watch:
        await subscribe(client, CHANGES)
        for _ in range(5):
            watch.told.clear()
            await ada.start()
            await watch.hears(CHANGES)
        with anyio.fail_after(WITHIN_S):
            await stuck.wait()


async def test_both_generations_say_what_they_can_be_told_of(server: Server, generation: Generation) -> None:
    async with server.agent("ada", generation) as ada:
        capabilities = ada.client.server_capabilities

    assert capabilities.resources is not None
    assert capabilities.resources.subscribe
    assert capabilities.resources.list_changed
    assert capabilities.prompts is not None
    assert capabilities.completions is not None
    assert capabilities.logging is None


async def test_nothing_is_read_from_the_store_for_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit wakes the teller; without a subscriber it only takes note of where the store stands."""
    positions: list[int] = []
    look = Notices._look

    def noted(notices: Notices, tx: Tx, after: int | None) -> object:
        position, news = look(notices, tx, after)
        assert news == ()
        positions.append(position)
        return position, news

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nobody listens")

    monkeypatch.setattr(Notices, "_look", noted)
    monkeypatch.setattr(Tx, "events_since", refuse)
    async with server.agent() as ada:
        await ada.start()
        newest = await server.services.read(lambda tx: tx.position())
        with anyio.fail_after(WITHIN_S):
            while newest not in positions:  # noqa: ASYNC110 - it looks later, in a thread that tells nobody
                await anyio.sleep(0.01)


async def test_who_subscribed_before_the_store_was_open_is_told_of_what_is_under_way(
    desk: Server, generation: Generation
) -> None:
    """As a client whose server was killed, for which its bridge subscribes again: what came between is told."""
    async with desk.agent() as ada:
        await ada.start()
    async with watching(desk, generation, CHANGES, CODE) as watch, anyio.create_task_group() as tasks:
        tasks.start_soon(desk.application.run)
        await watch.hears(CHANGES, CODE)
        tasks.cancel_scope.cancel()


async def test_a_defect_of_the_teller_ends_neither_it_nor_the_server(
    server: Server, generation: Generation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.agent() as ada, watching(server, generation, CHANGES) as watch:
        await ada.start()
        await watch.hears(CHANGES)
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "position", _broken)
            server.services.changed.fire()
            with anyio.fail_after(WITHIN_S):
                while "nobody was told" not in caplog.text:  # noqa: ASYNC110 - the log tells nobody
                    await anyio.sleep(0.01)
        watch.told.clear()
        await ada.start()
        await watch.hears(CHANGES)


def _broken(*_: object) -> int:
    raise ZeroDivisionError


async def test_a_store_that_cannot_be_read_ends_no_notices(
    server: Server, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = anyio.Event()

    async def out(*_: object) -> object:
        failed.set()
        raise Refused(refusals.store_unavailable("The disk is away."))

    async with server.agent() as ada, watching(server, generation, CHANGES) as watch:
        await ada.start()
        await watch.hears(CHANGES)
        with monkeypatch.context() as patch:
            patch.setattr(server.services, "read", out)
            server.services.changed.fire()
            with anyio.fail_after(WITHIN_S):
                await failed.wait()
        watch.told.clear()
        await ada.start()
        await watch.hears(CHANGES)


def _into(watch: Watch) -> MessageHandlerFnT:
    async def take(message: IncomingMessage) -> None:
        match message:
            case ResourceUpdatedNotification(params=params):
                watch.take(str(params.uri))
            case ResourceListChangedNotification():
                watch.take(LIST)
            case _:
                pass

    return take


async def all_told(server: Server, agent: Agent) -> None:
    """Until all that has happened so far was told: a change that begins now is told of after it."""
    number = len(await server.services.read(lambda tx: tx.change_ids(after=0, limit=100))) + 1
    uri = f"gatewright://changes/c{number}"
    async with watching(server, "auto", uri) as watch:
        await agent.start()
        await watch.hears(uri)
