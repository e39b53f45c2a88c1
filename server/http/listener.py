"""The listening socket, which lets in no more connections than it may: before TLS, before a byte of them is read.

The event loop asks it for the next connection; one that is too many is closed there, and the loop asks again. How many
there are is known by the sockets themselves: each says so when it is closed.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from .limits import Limits
from .rates import Open, share_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Doors:
    """How many connections there are, in all and of each address; `proxies` are the only peers where there are any."""

    def __init__(self, limits: Limits, proxies: tuple[Network, ...] = ()) -> None:
        self._proxies = proxies
        self._all = Open(limits.connections)
        self._of_address = Open(limits.connections_of_address)

    def enter(self, address: str) -> bool:
        """Whether one more connection of this address is let in; each that is leaves."""
        if self._proxies and not self._is_proxy(address):
            return False
        if not self._all.enter(""):
            return False
        if self._proxies or self._of_address.enter(share_of(address)):
            return True
        self._all.leave("")
        return False

    def leave(self, address: str) -> None:
        """A connection that was let in is over."""
        self._all.leave("")
        if not self._proxies:
            self._of_address.leave(share_of(address))

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


class Listener(socket.socket):
    """A listening socket with doors before it; takes the place of the one that it is made from."""

    def __init__(self, made: socket.socket, doors: Doors) -> None:
        super().__init__(fileno=made.detach())
        self._doors = doors

    # Any: an address is whatever the family makes of it.
    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; raises `ConnectionAbortedError` for one that is not let in, which is closed by then."""
        connection, peer = super().accept()
        address = str(peer[0])
        if not self._doors.enter(address):
            connection.close()
            raise ConnectionAbortedError
        return _Counted(connection, lambda: self._doors.leave(address)), peer


class _Counted(socket.socket):
    """A connection that says when it is over, once."""

    def __init__(self, made: socket.socket, on_close: Callable[[], None]) -> None:
        super().__init__(fileno=made.detach())
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        """As every socket's."""
        super().close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()
