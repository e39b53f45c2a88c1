"""What is refused before anybody asks who calls: another site's pages, too much, too slow, too many."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from gatewright.server.http import health
from gatewright.server.http.limits import Limits, Rate

from ...acceptance.house import Repository
from .house import HEADERS, LIST_TOOLS, Site, bearer, serving_site

pytestmark = pytest.mark.anyio

PATHS = ("/mcp", "/healthz", "/readyz", "/", "/nothing/here", "/.well-known/oauth-protected-resource/mcp")
QUICK = Limits(head_s=0.2, body_s=0.3, unread_s=0.3, idle_s=1)
WITHIN_S = 10.0


async def test_a_name_that_is_not_its_own_reaches_nothing_on_any_path(site: Site) -> None:
    """DNS rebinding: the name is the attacker's, the address is ours."""
    host, port = site.address
    token = await site.issue("ada")
    names = (
        "evil.example",
        f"evil.example:{port}",
        f"127.0.0.1.evil.example:{port}",
        f"{host}:1",
        host,
        "",
        f"{host}:{port}@evil",
    )

    for path in PATHS:
        for name in names:
            answer = await site.http.post(site.base + path, headers={**HEADERS, **bearer(token), "host": name}, json={})
            assert (path, name, answer.status_code) == (path, name, 421)
    assert (await site.http.get(site.base + "/healthz", headers={"host": f"localhost:{port}"})).status_code == 200


async def test_a_page_of_another_origin_reaches_nothing_on_any_path(site: Site) -> None:
    _, port = site.address
    token = await site.issue("ada")
    origins = (
        "https://evil.example",
        "null",
        f"https://127.0.0.1:{port}",
        f"http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1",
    )

    for path in PATHS:
        for origin in origins:
            answer = await site.http.post(
                site.base + path, headers={**HEADERS, **bearer(token), "origin": origin}, json=LIST_TOOLS
            )
            assert (path, origin, answer.status_code) == (path, origin, 403)
            assert "access-control-allow-origin" not in answer.headers
    own = await site.post(token, headers={"origin": f"http://127.0.0.1:{port}"})
    assert own.status_code == 200


async def test_only_what_is_meant_for_the_protocol_is_answered(site: Site) -> None:
    token = await site.issue("ada")
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
        answer = await site.http.request(method, site.url, headers={**HEADERS, **bearer(token)})
        assert (method, answer.status_code) == (method, 405)
    for path in ("/mcp/", "//mcp", "/mcp/../healthz/x", "/%6dcp/", "/admin", "/.git/config", "/mcp%00"):
        answer = await site.http.post(
            httpx2.URL(site.base).copy_with(raw_path=path.encode()), headers=HEADERS, json=LIST_TOOLS
        )
        assert (path, answer.status_code) == (path, 404)


@pytest.mark.slow
async def test_what_is_no_message_is_answered_as_such(site: Site) -> None:
    token = await site.issue("ada")
    bodies = (
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":1,"method":5}',
        b"1" * 5_000,
    )

    for body in bodies:
        for version in ({}, {"mcp-protocol-version": "2026-07-28"}, {"mcp-protocol-version": "1999-01-01"}):
            answer = await site.post(token, content=body, headers=version)
            assert 400 <= answer.status_code < 500, (body[:20], version, answer.status_code)
            assert "Traceback" not in answer.text


@pytest.fixture
async def small(repository: Repository) -> AsyncIterator[Site]:
    async with serving_site(repository, limits=replace(QUICK, request_bytes=10_000), has_engine=False) as site:
        yield site


async def test_a_body_that_is_too_large_is_not_read_whether_it_says_so_or_not(repository: Repository) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000

    async with serving_site(repository, limits=Limits(request_bytes=10_000), has_engine=False) as site:
        token = await site.issue("ada")
        declared = await site.post(token, content=b" " * 10_001)
        chunked = await site.post(token, content=chunks())
        whole = await site.post(token, content=b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'.ljust(10_000))

    assert (declared.status_code, chunked.status_code, whole.status_code) == (413, 413, 200)


async def test_nobody_s_body_is_read_at_all(small: Site) -> None:
    """Memory is for those who are known."""
    stranger = await small.post(content=b" " * 10_001)

    assert stranger.status_code == 401


async def _until_closed(stream: SocketStream) -> bytes:
    """Everything that comes until the other side closes; fails when it does not."""
    received = b""
    with anyio.fail_after(WITHIN_S):
        while True:
            try:
                received += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return received


async def _until_refused(send: Callable[[], Awaitable[None]]) -> None:
    """Send until the other side takes no more."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await send()


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again: what is asked for tells nobody when it comes."""
    with anyio.fail_after(WITHIN_S):
        while not await is_so():  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.01)


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /mcp HT", b"POST /mcp HTTP/1.1\r\nHost: x\r\n", b"\r\n"],
    ids=["nothing", "half a line", "half a head", "blanks"],
)
async def test_a_client_that_never_ends_its_head_is_hung_up_on(small: Site, said: bytes) -> None:
    async with await anyio.connect_tcp(*small.address) as slow:
        if said:
            await slow.send(said)

        assert b"200 OK" not in await _until_closed(slow)


async def test_a_byte_now_and_then_does_not_keep_a_head_open(small: Site) -> None:
    """Slowloris."""
    async with await anyio.connect_tcp(*small.address) as slow, anyio.create_task_group() as tasks:

        async def drip() -> None:
            await slow.send(b"GET /healthz HTTP/1.1\r\n")
            while True:
                await slow.send(b"X-A: b\r\n")
                await anyio.sleep(0.02)

        tasks.start_soon(_until_refused, drip)
        assert await _until_closed(slow) == b""
        tasks.cancel_scope.cancel()


async def test_a_body_that_never_ends_is_hung_up_on_also_once_it_was_answered(small: Site) -> None:
    token = await small.issue("ada")
    host, port = small.address
    for path, more in (("/mcp", f"Authorization: Bearer {token}\r\n"), ("/healthz", "")):
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{more}Content-Type: application/json\r\n"
        async with await anyio.connect_tcp(*small.address) as slow, anyio.create_task_group() as tasks:

            async def drip(slow: SocketStream = slow, head: str = head) -> None:
                await slow.send(f"{head}Content-Length: 9000\r\n\r\n".encode())
                while True:
                    await slow.send(b" ")
                    await anyio.sleep(0.02)

            tasks.start_soon(_until_refused, drip)
            await _until_closed(slow)
            tasks.cancel_scope.cancel()
    assert small.web.under_way.total == 0


async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_worth_no_word(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    token = await site.issue("ada")
    host, port = site.address
    head = f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
    head += (
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 9000\r\n\r\n"
    )
    async with await anyio.connect_tcp(*site.address) as stream:
        await stream.send(head.encode() + b"{")
        await _until(partial(_has_under_way, site, 1))
    with anyio.fail_after(WITHIN_S):
        await site.web.under_way.until_none()

    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.slow
async def test_a_client_that_reads_nothing_is_hung_up_on(small: Site) -> None:
    """It asks for more than any buffer holds, again and again on one connection, and leaves the answers lying."""
    token = await small.issue("ada")
    host, port = small.address
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    head = f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
    head += "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with await anyio.connect_tcp(*small.address) as deaf:

        async def ask_on() -> None:
            while True:
                await deaf.send(request)

        with anyio.fail_after(WITHIN_S):
            await _until_refused(ask_on)
    with anyio.fail_after(WITHIN_S):
        await small.web.under_way.until_none()


async def test_an_address_has_only_so_many_connections(repository: Repository) -> None:
    limits = Limits(connections=8, connections_of_address=3)
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        opened = [await anyio.connect_tcp(*site.address) for _ in range(3)]
        host, port = site.address
        ask = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        for stream in opened:
            await stream.send(ask)
            assert b"200 OK" in await stream.receive()

        async with await anyio.connect_tcp(*site.address) as fourth:
            assert await _until_closed(fourth) == b""
        await opened.pop().aclose()
        await _until(lambda: _answers(site, ask))
        for stream in opened:
            await stream.aclose()


async def _has_under_way(site: Site, count: int) -> bool:
    return site.web.under_way.total == count


async def _answers(site: Site, ask: bytes) -> bool:
    async with await anyio.connect_tcp(*site.address) as stream:
        try:
            await stream.send(ask)
            return b"200 OK" in await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False


async def test_a_flood_from_one_address_is_told_to_wait_before_anybody_looks_who_it_is(repository: Repository) -> None:
    limits = Limits(requests_of_address=Rate(0.001, 5))
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        token = await site.issue("ada")
        answers = [await site.post(token) for _ in range(5)]
        flooded = await site.post(token)

    assert {answer.status_code for answer in answers} == {200}
    assert flooded.status_code == 429
    assert int(flooded.headers["retry-after"]) > 0


async def test_whoever_tries_tokens_is_slowed_down_and_a_neighbour_is_not(repository: Repository) -> None:
    limits = Limits(strangers_of_address=Rate(0.001, 3))
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        token = await site.issue("ada")
        assert (await site.post(token)).status_code == 200
        tried = [(await site.post(f"gwt_{number:043}")).status_code for number in range(5)]

        assert tried == [401, 401, 401, 429, 429]
        assert (await site.post(token)).status_code == 200
        await site.revoke(token)
        assert (await site.post(token)).status_code == 401, "known of lately is not known now"
        assert (await site.post(token)).status_code == 429


async def test_a_principal_has_only_so_many_requests_whatever_tokens_it_has(repository: Repository) -> None:
    limits = Limits(requests_of_principal=Rate(0.001, 4))
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        tokens = [await site.issue("ada"), await site.issue("ada")]
        other = await site.issue("bob")
        told = [(await site.post(tokens[number % 2])).status_code for number in range(6)]

        assert told == [200, 200, 200, 200, 429, 429]
        assert (await site.post(other)).status_code == 200


@pytest.mark.slow
async def test_a_principal_has_only_so_many_requests_under_way(repository: Repository) -> None:
    limits = Limits(open_of_principal=2)
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        token, other = await site.issue("ada"), await site.issue("bob")
        async with site.agent(token) as ada, anyio.create_task_group() as tasks:
            change = await ada.start()
            await ada.claim(change)
            for _ in range(2):
                tasks.start_soon(lambda: ada.call("wait_for_update", change=change, wait_s=60))
            await _until(partial(_has_under_way, site, 2))

            assert (await site.post(token)).status_code == 429
            assert (await site.post(other)).status_code == 200
            tasks.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_a_client_that_hangs_up_takes_its_call_along(repository: Repository, version: str) -> None:
    """Its share of what may be under way is free again, however long it had asked to wait."""
    async with serving_site(repository, has_engine=False) as site:
        token = await site.issue("ada")
        async with site.agent(token) as ada:
            change = await ada.start()
            await ada.claim(change)
            position = (await ada.get("wait_for_update", change=change, wait_s=0))["position"]
        given = {"name": "wait_for_update", "arguments": {"change": change, "after": position, "wait_s": 200}}
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {**given, "_meta": meta} if version == "2026-07-28" else given
        headers = {**HEADERS, **bearer(token), "mcp-protocol-version": version}
        if version == "2026-07-28":
            headers |= {"mcp-method": "tools/call", "mcp-name": "wait_for_update"}
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(site.http.post, site.url, headers=headers, json=call))
            await _until(partial(_has_under_way, site, 1))
            await anyio.sleep(0.2)  # so that it waits, and has not just begun
            assert site.web.under_way.total == 1
            tasks.cancel_scope.cancel()
        with anyio.fail_after(WITHIN_S):
            await site.web.under_way.until_none()


async def test_a_store_that_does_not_answer_makes_it_unready_in_time_however_often_it_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database behind a cut line says neither yes nor no."""
    answer, store = threading.Event(), site.server.services.store
    monkeypatch.setattr(health, "LOOK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(store, "read", lambda work: answer.wait(WITHIN_S))
    try:
        with anyio.fail_after(WITHIN_S):
            told = [await site.http.get(f"{site.base}/readyz") for _ in range(5)]
            lives = await site.http.get(f"{site.base}/healthz")
    finally:
        answer.set()

    assert [(one.status_code, one.json()["because"]) for one in told] == [(503, "store")] * 5
    assert lives.status_code == 200
