"""A client of an MCP server over stdio that does nothing but write lines and read lines.

What the SDK's own client does with a reply (it checks each against the tool's schema) would be in every figure.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ANSWER_WITHIN_S = 60.0
READ_BYTES = 65_536
HANDSHAKE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}

Json = dict[str, Any]  # JSON


class Ended(Exception):
    """The server ended, or did not answer in time; what was asked may or may not have happened."""


class LineClient:
    """One server process and its client, shaken hands with. To be used in a `with` block by one thread."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._ids = 0
        self._rest = b""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self.ask("initialize", HANDSHAKE)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close its input, as a client does, and see it end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def call(self, tool: str, **arguments: object) -> Json:
        """The result of one tools/call."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def ask(self, method: str, parameters: Mapping[str, object]) -> Json:
        """The result of one request; raises `Ended` without one. An error of the protocol is told as one of a tool."""
        self._ids += 1
        self._write({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == self._ids and "method" not in message:
                return message.get("result") or {"isError": True, "content": [], "error": message.get("error")}
            if "id" in message and "method" in message:
                unknown = {"code": -32601, "message": "This client does not answer."}
                self._write({"jsonrpc": "2.0", "id": message["id"], "error": unknown})

    def _write(self, message: Json) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
        except OSError as exc:
            raise Ended from exc

    def _read(self) -> Json:
        """The next line that is a message; servers print other things as well."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                if line.startswith(b"{"):
                    message: Json = json.loads(line)
                    return message
                continue
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            data = os.read(self.process.stdout.fileno(), READ_BYTES) if readable else b""
            if not data:
                raise Ended
            self._rest += data


def text_of(result: Json) -> str:
    """All texts of a result."""
    return "\n".join(str(part.get("text", "")) for part in result.get("content", ()))
