"""MCP over a unix socket: the SDK's own loop between a stream of bytes and an application's server.

Both protocol generations: the loop decides by the client's first request, as it does over stdio.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio import create_memory_object_stream
from anyio.abc import SocketStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from .lines import INVALID_REQUEST, LineSplitter, Oversized, RequestId, as_request_id, error_line, parse_message

READ_BYTES = 65_536


async def serve_connection(
    server: Server[Any], stream: SocketStream, splitter: LineSplitter, early: list[bytes | Oversized]
) -> None:
    """Run `server` for the client at the other end of `stream` until it is gone; `early` lines were read already."""
    to_server, from_client = create_memory_object_stream[SessionMessage | Exception](0)
    to_client, from_server = create_memory_object_stream[SessionMessage](0)
    send_lock = anyio.Lock()

    async def send(line: bytes) -> None:
        async with send_lock:
            await stream.send(line)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, stream, splitter, early, to_server, send)
        tasks.start_soon(_write, from_server, send)
        await server.run(from_client, to_client, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _read(
    stream: SocketStream,
    splitter: LineSplitter,
    early: list[bytes | Oversized],
    to_server: MemoryObjectSendStream[SessionMessage | Exception],
    send: Callable[[bytes], Awaitable[None]],
) -> None:
    """Hand each message to the server; answer by itself what is none. Ends, and so ends the server, with the stream."""
    async with to_server:
        lines = early
        while True:
            for line in lines:
                message = _message_or_error(line)
                if isinstance(message, bytes):
                    await send(message)
                else:
                    await to_server.send(message)
            try:
                lines = list(splitter.feed(await stream.receive(READ_BYTES)))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return


async def _write(
    from_server: MemoryObjectReceiveStream[SessionMessage], send: Callable[[bytes], Awaitable[None]]
) -> None:
    async with from_server:
        async for item in from_server:
            try:
                await send(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return


def _message_or_error(line: bytes | Oversized) -> SessionMessage | bytes:
    if isinstance(line, Oversized):
        return error_line(line.request_id(), INVALID_REQUEST, "This message is too large.")
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return error_line(_request_id(line), INVALID_REQUEST, "This line is not a JSON-RPC message.")


def _request_id(line: bytes) -> RequestId | None:
    try:
        return as_request_id(parse_message(line).get("id"))
    except ValueError:
        return None
