"""What every connection passes before a request of it is looked at: how many there may be, and how slow.

The web server's own protocol waits without end for a request's first line, its headers or its body, and for a client
to read what it was sent. A connection that is late is closed; nothing is held for it that others could use.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .limits import Limits
from .rates import Open

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A peer that is gone without a word is one that acknowledges nothing for so long.
UNACKNOWLEDGED_MS = 60_000


class Doors:
    """How many connections there are, in all and of each address; `proxies` are the only peers where there are any."""

    def __init__(self, limits: Limits, proxies: tuple[Network, ...] = ()) -> None:
        self.limits = limits
        self._proxies = proxies
        self._all = Open(limits.connections)
        self._of_address = Open(limits.connections_of_address)

    def enter(self, address: str) -> bool:
        """Whether one more connection of this address is let in; each that is leaves."""
        if self._proxies and not self._is_proxy(address):
            return False
        if not self._all.enter(""):
            return False
        if self._proxies or self._of_address.enter(address):
            return True
        self._all.leave("")
        return False

    def leave(self, address: str) -> None:
        """A connection that was let in is over."""
        self._all.leave("")
        if not self._proxies:
            self._of_address.leave(address)

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


class BoundedProtocol(H11Protocol):
    """One connection of HTTP/1.1, within `Limits`."""

    # Any: the web server's own word for what it hands to each connection.
    def __init__(
        self,
        doors: Doors,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._doors = doors
        self._address: str | None = None
        self._late = _Timer(self.loop, self._end)
        self._unread = _Timer(self.loop, self._end)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        self.transport = transport
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._doors.enter(address):
            transport.abort()
            return
        self._address = address
        _tune(transport)
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.stop()
        self._unread.stop()
        if self._address is None:
            return
        self._doors.leave(self._address)
        self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._address is None:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.start("unread", self._doors.limits.unread_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.stop()

    def _watch(self) -> None:
        """Have the clock run for what is awaited of the client now; a byte more does not set it back."""
        match self.conn.their_state:
            case h11.IDLE if self.timeout_keep_alive_task is None:
                self._late.start("head", self._doors.limits.head_s)
            case h11.SEND_BODY:
                self._late.start("body", self._doors.limits.body_s)
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
