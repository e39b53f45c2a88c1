"""A connection of an agent over HTTP: to one server, and after an answer that never came to the other."""

import json
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import httpx2

from gatewright.server.cli.demo_agent import Data, DemoFailed, Refusal

from ..chaos.worker import ERROR

CONNECT_TIMEOUT_S = 3.0
# Above what a call waits by itself.
ANSWER_WITHIN_S = 20.0
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}


class Caller:
    """One principal's; any server answers the next call, and knows nothing of the one before."""

    def __init__(self, token: str, urls: Sequence[str], certificate: Path) -> None:
        self._urls = list(urls)
        self._calls = 0
        self._http = httpx2.Client(
            headers={**HEADERS, "authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(certificate)),
        )

    def call(self, tool: str, **arguments: object) -> Data:
        """The tool's structured reply. Raises `Refusal`, and `DemoFailed` when nobody knows what became of it."""
        self._calls += 1
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": self._calls, "method": "tools/call", "params": params}
        waits_s = arguments.get("wait_s")
        within_s = ANSWER_WITHIN_S + (waits_s if isinstance(waits_s, int) else 0)
        timeout = httpx2.Timeout(within_s, connect=CONNECT_TIMEOUT_S)
        try:
            answer = self._http.post(self._urls[0], json=message, timeout=timeout)
        except httpx2.TimeoutException as exc:
            self.turn()
            raise DemoFailed(f"{tool} has not answered within {within_s:.0f} s") from exc
        except httpx2.TransportError as exc:
            self.turn()
            raise DemoFailed(f"The connection ended during {tool}: {exc!r}") from exc
        if answer.status_code != HTTPStatus.OK:
            self.turn()
            raise DemoFailed(f"HTTP {answer.status_code}: {answer.text[:200]}")
        return _reply_of(tool, answer.text)

    def turn(self) -> None:
        """Ask the next server from now on."""
        self._urls.append(self._urls.pop(0))

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def _reply_of(tool: str, text: str) -> Data:
    """What stands in the last event of a stream."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    if not lines:
        raise DemoFailed(f"The connection ended during {tool}: the stream had no answer")
    message = json.loads(lines[-1])
    if "result" not in message:
        raise DemoFailed(f"{tool} answered {ERROR}: {message.get('error')}")
    content = message["result"]["structuredContent"]
    if message["result"].get("isError"):
        raise Refusal(str(content["code"]), str(content["message"]), str(content["next"]))
    return dict(content)
