"""What every connection is held to: how slow it may be, with its requests and with what it is answered.

The web server's own protocol waits without end for a request's first line, its headers or its body, and for a client
to read what it was sent. A connection that is late is closed; nothing is held for it that others could use.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .limits import Limits

# A peer that is gone without a word is one that acknowledges nothing for so long.
UNACKNOWLEDGED_MS = 60_000


class BoundedProtocol(H11Protocol):
    """One connection of HTTP/1.1, within `Limits`."""

    # Any: the web server's own word for what it hands to each connection.
    def __init__(
        self,
        limits: Limits,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._late = _Timer(self.loop, self._end)
        self._unread = _Timer(self.loop, self._end)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        _tune(transport)
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.stop()
        self._unread.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.start("unread", self._limits.unread_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.stop()

    def _watch(self) -> None:
        """Have the clock run for what is awaited of the client now; a byte more does not set it back."""
        match self.conn.their_state:
            case h11.IDLE if self.timeout_keep_alive_task is None:
                self._late.start("head", self._limits.head_s)
            case h11.SEND_BODY:
                self._late.start("body", self._limits.body_s)
            case _:
                self._late.stop()

    def _end(self) -> None:
        # At once: a client that reads nothing would keep what is yet to be sent for ever.
        self.transport.abort()


class _Timer:
    """Calls `then` when what was started is not stopped in time; starting the same once more changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        self._loop = loop
        self._then = then
        self._what = ""
        self._handle: asyncio.TimerHandle | None = None

    def start(self, what: str, within_s: float) -> None:
        if self._handle is not None and self._what == what:
            return
        self.stop()
        self._what = what
        self._handle = self._loop.call_later(within_s, self._then)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def _tune(transport: asyncio.Transport) -> None:
    """Send at once; and, where the system can, give up a peer that acknowledges nothing: it may be switched off."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    # Else a short answer waits 40 ms for a receipt of what went before. The event loop sets it only on sockets that
    # were made with the protocol's number, and ours are not.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, UNACKNOWLEDGED_MS)
