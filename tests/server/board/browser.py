"""A headless Chromium, driven by the DevTools protocol over a pipe: no further library, and nothing beyond loopback."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN_S = 20.0
LOOK_EVERY_S = 0.05
# A browser reads from descriptor 3 and writes to 4, whatever they were before.
AS_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # nothing is shown to it but our own page, and root in a container has no other
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "about:blank",
)


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class BrowserProblem(Exception):
    """The browser did not do as it was told, or the page threw."""


class Tab:
    """One tab. Whatever the page says on its console, and whatever it asked for, is kept."""

    def __init__(self, browser: "Browser", session: str, context: str) -> None:
        self._browser = browser
        self.session = session
        self.context = context
        self.console: list[str] = []
        self.requests: list[str] = []

    def send(self, method: str, /, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return self._browser.send(method, params, self.session)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """The value of an expression, a promise's when it is one; fails when it throws."""
        done = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in done:
            raise BrowserProblem(str(done["exceptionDetails"]))
        return done["result"].get("value")

    def text(self) -> str:
        """What a person reads."""
        return str(self.run("document.body.innerText"))

    def until(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """The expression's value once it is true; fails after WITHIN_S with what is shown then."""
        deadline = time.monotonic() + WITHIN_S
        found = None
        while not found:
            with suppress(BrowserProblem):  # there is no page yet, or another one by now
                found = self.run(expression)
            assert found or time.monotonic() < deadline, f"never: {expression}\n{self.console}\n{self.text()}"
            time.sleep(0 if found else LOOK_EVERY_S)
        return found

    def until_shown(self, words: str) -> None:
        self.until(f"document.body.innerText.includes({json.dumps(words)})")

    def picture(self, path: Path) -> None:
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def close(self) -> None:
        self._browser.send("Target.disposeBrowserContext", {"browserContextId": self.context})


class Browser:
    """The process, and its two pipes."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to = os.fdopen(to_browser, "wb", buffering=0)
        self._from = os.fdopen(from_browser, "rb", buffering=0)
        self._read = b""
        self._last = 0
        self._tabs: dict[str, Tab] = {}

    def tab(self) -> Tab:
        """A tab that shares nothing with the others."""
        context = self.send("Target.createBrowserContext", {})["browserContextId"]
        target = self.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = self._tabs[session] = Tab(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.send(f"{domain}.enable")
        tab.size(1100, 800)
        return tab

    def send(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """The result of a command; what the browser tells meanwhile is kept by the tabs."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        self._to.write(json.dumps(message if session is None else {**message, "sessionId": session}).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise BrowserProblem(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._keep(answer)

    def close(self) -> None:
        self._to.close()
        self._from.close()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            piece = self._from.read(65_536)
            assert piece, "the browser is gone"
            self._read += piece
        line, _, self._read = self._read.partition(b"\0")
        return dict(json.loads(line))

    def _keep(self, event: dict[str, Any]) -> None:
        tab = self._tabs.get(event.get("sessionId", ""))
        if tab is None:
            return
        match event:
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                tab.console.append(str(details))
            case {"method": "Runtime.consoleAPICalled", "params": {"args": arguments}}:
                tab.console.append(str([argument.get("value") for argument in arguments]))
            case {"method": "Log.entryAdded", "params": {"entry": entry}}:
                tab.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
            case {"method": "Network.requestWillBeSent", "params": {"request": request}}:
                tab.requests.append(str(request["url"]))
            case _:
                pass


@contextmanager
def running(executable: str, profile: Path) -> Generator[Browser]:
    """A browser with a profile of its own until the block ends."""
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for pair in (os.pipe(), os.pipe()) for end in _closing(pair)]
    its_input, our_output, our_input, its_output = ends
    command = [sys.executable, "-c", AS_3_AND_4, str(its_input), str(its_output), executable, *OPTIONS]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={profile}"],
        pass_fds=(its_input, its_output),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_input)
    os.close(its_output)
    browser = Browser(our_output, our_input)
    try:
        yield browser
        browser.send("Browser.close", {})
        process.wait(WITHIN_S)
    finally:
        process.kill()
        process.wait()
        browser.close()


def _closing(pair: tuple[int, int]) -> Iterator[int]:
    """Both ends of a pipe, each closed once it was taken over."""
    for end in pair:
        yield end
        os.close(end)
