"""A relay for tests: HTTP on loopback to the real command's standard input and output, message by message.

So the suite, which speaks HTTP, also sees what stands between a client and the application: bridge, socket and server
process. A session of the handshake generation is one process for its whole life, a request of the stateless generation
is one process of its own. The relay knows no method but `initialize`; statuses of HTTP are its own, made from the codes
of errors.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from subprocess import DEVNULL
from typing import Any
from uuid import uuid4

import anyio
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectSendStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .front import PATH
from .installed import Command

SESSION = "mcp-session-id"
LINE_BYTES_MAX = 1_000_000
ANSWER_WITHIN_S = 60.0
LEAVE_WITHIN_S = 5.0
METHOD_NOT_FOUND = -32601

Message = dict[str, Any]  # JSON


class _Conversation:
    """One process of the command. What it sends goes to the request that it answers, else to the one asked last."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._waiting: dict[str | int, MemoryObjectSendStream[Message]] = {}

    async def send(self, message: Message) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send(json.dumps(message).encode() + b"\n")

    async def ask(self, message: Message) -> AsyncGenerator[Message]:
        """Everything that comes until the answer, which is the last."""
        send, receive = anyio.create_memory_object_stream[Message](100)
        self._waiting[message["id"]] = send
        try:
            await self.send(message)
            async with receive:
                async for coming in receive:
                    yield coming
                    if coming.get("id") == message["id"] and "method" not in coming:
                        return
        finally:
            self._waiting.pop(message["id"], None)
            send.close()

    async def read(self) -> None:
        """Until the process ends: then nobody waits any longer."""
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        try:
            while True:
                message = json.loads(await lines.receive_until(b"\n", LINE_BYTES_MAX))
                answered = self._waiting.get(message.get("id")) if "method" not in message else None
                stream = answered or next(reversed(self._waiting.values()), None)
                if stream is not None:
                    await stream.send(message)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            for stream in self._waiting.values():
                stream.close()


@asynccontextmanager
async def relaying(command: Command) -> AsyncGenerator[Starlette]:
    """The HTTP application; its processes are ended with the block."""
    async with anyio.create_task_group() as tasks, AsyncExitStack() as sessions:
        yield Starlette(routes=[Route(PATH, _Relay(command, tasks, sessions).post, methods=["POST"])])


class _Relay:
    def __init__(self, command: Command, tasks: TaskGroup, open_sessions: AsyncExitStack) -> None:
        self._command = command
        self._tasks = tasks
        self._open = open_sessions
        self._sessions: dict[str, _Conversation] = {}

    async def post(self, request: Request) -> Response:
        message: Message = await request.json()
        session = request.headers.get(SESSION)
        if session is not None and session not in self._sessions:
            return Response(status_code=404)
        if session is None and message.get("method") == "initialize":
            session = uuid4().hex
            self._sessions[session] = await self._open.enter_async_context(self._conversation())
        if session is None:
            return await self._answer(self._asked_alone(message), {})
        conversation = self._sessions[session]
        if "method" in message and "id" in message:
            return await self._answer(conversation.ask(message), {SESSION: session})
        await conversation.send(message)
        return Response(status_code=202)

    async def _asked_alone(self, message: Message) -> AsyncGenerator[Message]:
        async with self._conversation() as conversation:
            async for coming in conversation.ask(message):
                yield coming

    async def _answer(self, messages: AsyncGenerator[Message], headers: Mapping[str, str]) -> Response:
        """An error alone as JSON, with the status that its code asks for; everything else as a stream of events."""
        with anyio.fail_after(ANSWER_WITHIN_S):
            first = await anext(messages)
        if "error" in first:
            await messages.aclose()
            status = 404 if first["error"]["code"] == METHOD_NOT_FOUND else 400
            return JSONResponse(first, status, headers=headers)

        async def events() -> AsyncIterator[bytes]:
            yield _event(first)
            async for message in messages:
                yield _event(message)

        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    @asynccontextmanager
    async def _conversation(self) -> AsyncGenerator[_Conversation]:
        process = await anyio.open_process(
            self._command.argv, cwd=self._command.folder, env=self._command.environment, stderr=DEVNULL
        )
        conversation = _Conversation(process)
        self._tasks.start_soon(conversation.read)
        try:
            yield conversation
        finally:
            with anyio.CancelScope(shield=True):
                assert process.stdin is not None
                await process.stdin.aclose()
                with anyio.move_on_after(LEAVE_WITHIN_S):
                    await process.wait()
                if process.returncode is None:
                    process.kill()
                await process.aclose()


def _event(message: Message) -> bytes:
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()
