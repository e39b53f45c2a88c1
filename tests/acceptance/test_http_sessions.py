"""What is left of a session over HTTP, at whichever replica: a client's name, and what it wants to be told of."""

from contextlib import suppress
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.streamable_http import streamable_http_client

from gatewright.server.http.limits import Limits

from ..server.http.house import bearer, serving_site
from .conftest import Repositories
from .house import WITHIN_S, Generation
from .test_notices import LIST, subscribe, unsubscribe, watching_over

pytestmark = pytest.mark.anyio

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "codex-mcp-client", "version": "1"},
    },
}


@pytest.mark.slow
async def test_a_notice_reaches_whoever_listens_at_another_replica(make: Repositories, generation: Generation) -> None:
    """The older generation subscribes by one request and hears on another: each of them at a replica of its own."""
    repository = make()
    async with serving_site(repository) as here, serving_site(repository) as there:
        token = await here.issue("ada")
        async with here.agent(token) as ada, httpx2.AsyncClient(headers=bearer(token), timeout=60) as http:
            first, second = await ada.start(), await ada.start()
            uri, other = f"gatewright://changes/{first}", f"gatewright://changes/{second}"
            transport = streamable_http_client(there.url, http_client=http)
            async with watching_over(transport, generation, other, lists=True) as (watcher, watch):
                if generation == "legacy":
                    await subscribe(watcher, uri)
                    await unsubscribe(watcher, other)
                with anyio.fail_after(WITHIN_S):
                    while not there.web.under_way.total:  # noqa: ASYNC110 - a stream that opens tells nobody
                        await anyio.sleep(0.02)
                wanted, unwanted = (uri, other) if generation == "legacy" else (other, uri)
                for change in (first, second):
                    await ada.claim(change)
                await ada.start()
                await watch.hears(wanted, LIST)

                assert unwanted not in watch.told
                there.web.drain()
                there.server.application.end_waits()
                with anyio.fail_after(WITHIN_S):
                    await there.web.under_way.until_none()


async def test_what_was_subscribed_at_one_replica_is_heard_of_at_another(make: Repositories) -> None:
    """As a balancer has it: the subscription here, the stream there; of the same session, and of no other."""
    repository = make()
    async with serving_site(repository) as here, serving_site(repository) as there:
        token, eve = await here.issue("ada"), await here.issue("eve")
        async with here.agent(token) as ada:
            change = await ada.start()
        uri = f"gatewright://changes/{change}"
        session = (await here.post(token, json=HELLO)).headers["mcp-session-id"]
        named = {"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
        wish = {"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": uri}}
        assert "error" not in (await here.post(token, json=wish, headers=named)).text
        strange = {**wish, "params": {"uri": "file:///etc/passwd"}}
        assert "There is no such resource" in (await here.post(token, json=strange, headers=named)).text
        assert "Mcp-Session-Id" in (await here.post(token, json=wish)).text
        for headers in ({}, {"mcp-session-id": "gw1.x"}, {**named, "accept": "application/json"}):
            assert (await there.http.get(there.url, headers={**bearer(token), **headers})).status_code == 405
        head = {**bearer(token), **named, "accept": "text/event-stream"}
        assert (await there.http.head(there.url, headers=head)).status_code == 405

        async def first_line(who: str) -> str:
            headers = {**bearer(who), **named, "accept": "text/event-stream"}
            async with there.http.stream("GET", there.url, headers=headers) as stream:
                async for line in stream.aiter_lines():
                    if line == ": here":
                        opened.append(who)
                    if line.startswith("data: ") and "updated" in line:
                        return line
            return ""

        opened: list[str] = []
        heard: dict[str, str] = {}

        async def hear(who: str) -> None:
            heard[who] = await first_line(who)

        with anyio.fail_after(WITHIN_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hear, token)
                tasks.start_soon(hear, eve)
                while len(opened) < 2:  # noqa: ASYNC110 - said by the other side
                    await anyio.sleep(0.02)
                async with here.agent(token) as ada:
                    await ada.claim(change)
                while token not in heard:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.02)
                tasks.cancel_scope.cancel()

    assert uri in heard[token]
    assert eve not in heard, "a session's id is of no use to another principal"


async def test_a_stream_is_cut_when_its_token_is_good_no_more(make: Repositories) -> None:
    repository = make()
    async with serving_site(repository, limits=Limits(recheck_s=0.05), has_engine=False) as site:
        token, other = await site.issue("ada"), await site.issue("ada")
        session = (await site.post(token, json=HELLO)).headers["mcp-session-id"]
        headers = {**bearer(token), "mcp-session-id": session, "accept": "text/event-stream"}
        with anyio.fail_after(WITHIN_S):
            async with site.http.stream("GET", site.url, headers=headers) as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == ": here"
                await site.revoke(token)
                with suppress(httpx2.RemoteProtocolError):
                    async for line in lines:
                        assert not line.startswith("data")
            await site.web.under_way.until_none()
        assert (await site.post(other)).status_code == 200, "another token of the subject is another"


async def test_an_old_client_is_known_by_its_name_at_every_replica(make: Repositories) -> None:
    """How long it can bear to wait depends on it, and it says its name once."""
    repository = make()
    from gatewright.server import calls

    async with serving_site(repository, has_engine=False) as here, serving_site(repository, has_engine=False) as there:
        token = await here.issue("ada")
        greeted = await here.post(token, json=HELLO)
        session = greeted.headers["mcp-session-id"]
        names: list[str] = []
        original = calls.call_tool

        async def spy(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is called
            names.append(named["client"])
            return await original(*given, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calls, "call_tool", spy)
            for sent in (session, "gw1.!!!", "gw1." + "A" * 5_000, "0123", ""):
                call = {
                    "jsonrpc": "2.0",
                    "id": 2,
                    "method": "tools/call",
                    "params": {"name": "get_status", "arguments": {}},
                }
                answer = await there.post(
                    token, json=call, headers={"mcp-session-id": sent, "mcp-protocol-version": "2025-11-25"}
                )
                assert answer.status_code == 200, answer.text

    assert names == ["codex-mcp-client", "", "", "", ""]
