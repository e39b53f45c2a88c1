"""A client that sends what it likes, line by line, over a real socket: what the SDK's own client would never send."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from mcp_types import CallToolResult

from gatewright.server.lines import LineSplitter
from gatewright.server.transport import serve_connection

from .house import WITHIN_S, Generation, Server, Told, check_reply

HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
}


class Wire:
    """One connection of one generation. Replies are kept until they are asked for."""

    def __init__(self, stream: SocketStream, generation: Generation) -> None:
        self._stream = stream
        self._is_modern = generation != "legacy"
        self._buffer = b""
        self.replies: dict[object, dict[str, Any]] = {}
        self.notified: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        """One message as it is."""
        await self._stream.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def request(self, number: object, method: str, **params: Any) -> None:  # noqa: ANN401 - JSON
        """Ask, in the way of the generation, and do not wait for the reply."""
        if self._is_modern:
            params["_meta"] = {**ENVELOPE, **params.get("_meta", {})}
        await self.send({"id": number, "method": method, "params": params})

    async def call(self, number: object, tool: str, /, **given: Any) -> None:  # noqa: ANN401 - JSON
        """Call a tool, and do not wait for the reply."""
        await self.request(number, "tools/call", name=tool, arguments=given)

    async def cancel(self, number: object, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Say that a request is not wanted any more."""
        await self.send({"method": "notifications/cancelled", "params": {"requestId": number, **more}})

    async def reply(self, number: object) -> dict[str, Any]:
        """The whole reply to a request; fails after WITHIN_S."""
        with anyio.fail_after(WITHIN_S):
            while number not in self.replies:
                await self._read()
        return self.replies[number]

    async def told(self, number: object, tool: str) -> Told:
        """A tool's reply, held against what all replies promise."""
        reply = await self.reply(number)
        assert "result" in reply, reply
        return check_reply(tool, CallToolResult.model_validate(reply["result"]))

    async def get(self, number: object, tool: str, /, **given: Any) -> Told:  # noqa: ANN401 - JSON
        """Call a tool that must not refuse."""
        await self.call(number, tool, **given)
        told = await self.told(number, tool)
        assert not told.is_refused, told.text
        return told

    async def _read(self) -> None:
        *lines, self._buffer = (self._buffer + await self._stream.receive()).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "method" in message:
                self.notified.append(message)
            else:
                assert message["id"] not in self.replies, f"a second reply to {message['id']}"
                self.replies[message["id"]] = message


@asynccontextmanager
async def wired(server: Server, generation: Generation, socket: Path) -> AsyncGenerator[Wire]:
    """Connect to the server by a socket of this name, which the connection's bytes really go through."""
    listener = await anyio.create_unix_listener(socket)
    # The server ends with its client: nothing is cancelled here.
    async with listener, anyio.create_task_group() as tasks:

        async def serve() -> None:
            async with await listener.accept() as stream:
                await serve_connection(server.application.mcp_server("stdio:wire"), stream, LineSplitter(), [])

        tasks.start_soon(serve)
        async with await anyio.connect_unix(socket) as stream:
            wire = Wire(stream, generation)
            if generation == "legacy":
                await wire.request("handshake", "initialize", **HANDSHAKE)
                await wire.reply("handshake")
                await wire.send({"method": "notifications/initialized"})
            yield wire
