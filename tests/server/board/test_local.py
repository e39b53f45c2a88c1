"""`gatewright board` on the loopback address, which every user of the machine and every page in the browser reaches."""

import httpx2
import pytest

from .conftest import Desk

pytestmark = pytest.mark.anyio

NO_KEYS = ("", "Bearer", "Bearer wrong", "Basic wrong", "Bearer \u00e4")
FROM_ELSEWHERE = (
    ("host", "evil.example", 421),
    ("host", "evil.example:PORT", 421),
    ("host", "127.0.0.1", 421),
    ("origin", "http://evil.example", 403),
    ("origin", "http://127.0.0.1:1", 403),
    ("origin", "null", 403),
    ("content-type", "text/plain", 415),
)
ACTING: tuple[tuple[str, dict[str, object]], ...] = (
    ("tools/call", {"name": "claim_stage", "arguments": {"agent": "eve"}}),
    ("tools/call", {"name": "start_change", "arguments": {"title": "t", "intent": "i"}}),
    ("tools/call", {"name": "get_status"}),
    ("tools/list", {}),
    ("resources/read", {"uri": "gatewright://ledger"}),
    ("resources/read", {"uri": "file:///etc/passwd"}),
)


async def test_the_page_is_empty_and_says_what_may_run_in_it(desk: Desk) -> None:
    answer = await desk.http.get(f"{desk.base}/")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert answer.headers["x-frame-options"] == "DENY"
    assert desk.secret not in answer.text


async def test_a_link_opens_one_tab_once(desk: Desk) -> None:
    key = await desk.exchange()

    again = await desk.http.post(f"{desk.base}/session", headers={"authorization": f"Bearer {desk.secret}"})

    assert again.status_code == 401
    assert key not in again.text
    assert (await desk.ask(key, "tools/call", name="get_status", arguments={})).json()["result"]["structuredContent"]
    assert (await desk.ask(desk.secret, "tools/call", name="get_status", arguments={})).status_code == 401


async def test_whoever_has_no_key_is_told_nothing(desk: Desk) -> None:
    """Before anybody has one, and after."""

    async def status_of(path: str, shown: str) -> int:
        answer = await desk.http.post(f"{desk.base}{path}", headers={b"authorization": shown.encode()}, json={})
        assert list(answer.json()) == ["message"]
        return answer.status_code

    for shown in NO_KEYS:
        assert (await status_of("/session", shown), await status_of("/mcp", shown)) == (401, 401), shown
    await desk.exchange()
    assert [await status_of("/mcp", shown) for shown in NO_KEYS] == [401] * len(NO_KEYS)


async def test_another_site_reaches_nothing_even_with_the_key(desk: Desk) -> None:
    """A name that was rebound to this address, a page of another origin, and what a form could send."""
    port = desk.base.rpartition(":")[2]
    sent = {"authorization": f"Bearer {await desk.exchange()}", "content-type": "application/json"}

    for name, value, status in FROM_ELSEWHERE:
        headers = {**sent, name: value.replace("PORT", port)}
        answer = await desk.http.post(f"{desk.base}/mcp", headers=headers, content=b"{}")
        assert (answer.status_code, list(answer.json())) == (status, ["message"]), (name, value)
    for path in ("/", "/session", "/mcp"):
        asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        answer = await desk.http.request("OPTIONS", f"{desk.base}{path}", headers=asked)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (403, None)


async def test_it_looks_and_never_acts(desk: Desk) -> None:
    key = await desk.exchange()

    for method, params in ACTING:
        told = (await desk.ask(key, method, **params)).json()
        assert "result" not in told, (method, params)
        assert told["error"]["message"]
    async with desk.server.agent() as ada:
        assert (await ada.get("get_status"))["changes"] == []


async def test_what_is_no_message_is_answered_as_such(desk: Desk) -> None:
    sent = {"authorization": f"Bearer {await desk.exchange()}", "content-type": "application/json"}

    async def post(body: bytes) -> httpx2.Response:
        return await desk.http.post(f"{desk.base}/mcp", headers=sent, content=body)

    for body in (b"", b"{", b"[]", b"[" * 10_000, b'{"jsonrpc":"2.0","id":null,"method":"x","params":{}}'):
        assert (await post(body)).json()["error"]["message"] == "That is no request."
    assert (await post(b" " * 20_000)).status_code == 413


async def test_it_tells_what_the_tool_tells_and_further_changes_on_request(desk: Desk) -> None:
    key = await desk.exchange()
    async with desk.server.agent() as ada:
        for number in range(1, 11):
            await ada.start(f"Change {number}")
        expected = (await ada.get("get_status")).content

    first = (await desk.ask(key, "tools/call", name="get_status", arguments={})).json()["result"]["structuredContent"]
    last = first["changes"][-1]["change"]
    refused = (await desk.ask(key, "tools/call", name="get_status", arguments={"change": "c99"})).json()["result"]
    read = (await desk.ask(key, "resources/read", uri=f"gatewright://changes/before/{last}")).json()["result"]

    assert first == expected
    assert (len(first["changes"]), first["more"]) == (8, 2)
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "unknown_change")
    assert '"change": "c2"' in read["contents"][0]["text"]
    assert '"change": "c3"' not in read["contents"][0]["text"]
