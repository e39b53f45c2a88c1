"""A scripted agent: it talks MCP over the standard streams of a real `gatewright`, as every client does."""

import os
import select
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..lines import LineSplitter, Oversized, message_line, parse_message
from ..reach import SERVER_COMMAND

GATEWRIGHT = SERVER_COMMAND[:-1]
PROTOCOL_VERSION = "2025-11-25"
# Longer than a call waits for a verdict.
CALL_TIMEOUT_S = 50.0
CLOSE_TIMEOUT_S = 5.0
READ_BYTES = 65_536

Data = dict[str, object]


class DemoFailed(Exception):
    """Something that the demo promises did not happen; `str()` says what."""


class Refusal(Exception):
    """The server said no; `code`, `message` and `next` are its own."""

    def __init__(self, code: str, message: str, next_action: str) -> None:
        self.code = code
        self.message = message
        self.next = next_action
        super().__init__(f"{code}: {message}")


class Agent:
    """One MCP client with a process of its own. One call at a time; `refusals` are those it has met."""

    def __init__(self, name: str, repository: Path, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self.name = name
        self.refusals: list[Refusal] = []
        self._calls = 0
        self._splitter = LineSplitter()
        # A session of its own, so that Ctrl-C reaches the demo alone, which then ends everything in order.
        self._process = subprocess.Popen(
            [*GATEWRIGHT, "mcp", "--repo", str(repository)],
            cwd=repository,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

    def greet(self) -> None:
        """The handshake; the repository's server is started by whoever comes first."""
        about = {"name": f"demo-{self.name}", "version": "1"}
        self._request("initialize", {"protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": about})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool: str, **arguments: object) -> Data:
        """The tool's structured reply. Raises `Refusal`, and `DemoFailed` when there is no answer."""
        result = self._request("tools/call", {"name": tool, "arguments": arguments})
        content = result.get("structuredContent")
        if not isinstance(content, dict):
            raise DemoFailed(f"{tool} answered {self.name} without structured content: {result}")
        if result.get("isError") is True:
            refusal = Refusal(str(content.get("code")), str(content.get("message")), str(content.get("next")))
            self.refusals.append(refusal)
            raise refusal
        return content

    def close(self) -> None:
        """Go, as a client that ends does; the lease, if there is one, stays what it is."""
        with suppress(OSError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def _request(self, method: str, params: Data) -> Data:
        self._calls += 1
        self._send({"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params})
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while True:
            for line in self._splitter.feed(self._receive(method, deadline)):
                match {} if isinstance(line, Oversized) else parse_message(line):
                    case {"id": int(answered), "result": dict() as result} if answered == self._calls:
                        return result
                    case {"id": int(answered), "error": error} if answered == self._calls:
                        raise DemoFailed(f"{method} answered {self.name} with an error: {error}")
                    case _:
                        pass  # progress

    def _send(self, message: Data) -> None:
        data = message_line(message)
        try:
            _pipe(self._process.stdin).write(data)
            _pipe(self._process.stdin).flush()
        except (OSError, ValueError) as exc:
            raise DemoFailed(f"The connection of {self.name} is gone.") from exc

    def _receive(self, method: str, deadline: float) -> bytes:
        descriptor = _pipe(self._process.stdout).fileno()
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise DemoFailed(f"{method} has not answered {self.name} within {CALL_TIMEOUT_S:.0f} s.")
        data = os.read(descriptor, READ_BYTES)
        if not data:
            raise DemoFailed(f"The connection of {self.name} ended during {method}.")
        return data


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "all streams are pipes"
    return stream
