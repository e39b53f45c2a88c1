"""The stream on which a client of the handshake generation hears of changes, for as long as it stays.

Which replica answers it does not matter: what changed each of them hears from the store.
"""

import json
from collections.abc import Callable

import anyio
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..notices import Bus
from .calling import caller_of
from .guards import refusal
from .label import HEADER, is_session_id
from .subscriptions import Subscriptions

# What happens together is told together, and the store is asked once about it.
GATHER_S = 0.2
PING_EVERY_S = 15.0
PENDING_MAX = 2_000

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Streams:
    """Answers `GET /mcp`; all of them end when the server is to end."""

    def __init__(self, bus: Bus, subscriptions: Subscriptions) -> None:
        self._bus = bus
        self._subscriptions = subscriptions
        self._open: set[anyio.CancelScope] = set()

    def close(self) -> None:
        """End every stream."""
        for scope in list(self._open):
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        caller, session = caller_of(request), request.headers.get(HEADER.decode(), "")
        assert caller is not None, "nobody who is unknown gets as far as this"
        takes_stream = request.method == "GET" and "text/event-stream" in request.headers.get("accept", "")
        if not is_session_id(session) or not takes_stream:
            problem = refusal(405, "A stream is for whoever was given a session's id and takes text/event-stream.")
            problem.headers["allow"] = "POST"
            await problem(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        with anyio.CancelScope() as open_scope:
            self._open.add(open_scope)
            try:
                await self._serve(caller.principal, session, receive, send, open_scope.cancel)
            finally:
                self._open.discard(open_scope)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(
        self, principal: str, session: str, receive: Receive, send: Send, hang_up: Callable[[], None]
    ) -> None:
        pending: dict[ServerEvent, None] = {}
        woken = anyio.Event()

        def take(event: ServerEvent) -> None:
            if len(pending) < PENDING_MAX:
                pending[event] = None
            woken.set()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            hang_up()

        leave = self._bus.subscribe(take)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                # At once, so that the client has its answer.
                await _send(send, b": here\r\n\r\n")
                while True:
                    with anyio.move_on_after(PING_EVERY_S) as silence:
                        await woken.wait()
                    if silence.cancelled_caught:
                        await _send(send, b": still here\r\n\r\n")
                        continue
                    await anyio.sleep(GATHER_S)
                    woken = anyio.Event()
                    happened, pending = tuple(pending), {}
                    wanted = await self._subscriptions.wanted(principal, session)
                    for event in happened:
                        if not isinstance(event, ResourceUpdated) or event.uri in wanted:
                            await _send(send, _frame(event))
        finally:
            leave()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _frame(event: ServerEvent) -> bytes:
    """One event of a stream, as the protocol has it."""
    if isinstance(event, ResourceUpdated):
        message = {"method": "notifications/resources/updated", "params": {"uri": event.uri}}
    else:
        assert isinstance(event, ResourcesListChanged), "nothing else is published"
        message = {"method": "notifications/resources/list_changed"}
    text = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":"))
    return f"event: message\r\ndata: {text}\r\n\r\n".encode()
