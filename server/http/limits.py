"""How much of what one listener takes. Each replica counts for itself: what is here holds of one process."""

from dataclasses import dataclass

from ..lines import LINE_BYTES_MAX

# As much as a line over stdio may have.
REQUEST_BYTES_MAX = LINE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on the average, and so many at once after a pause."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of connections, requests and times. Those of an address hold before anybody knows who calls.

    A proxy is one address with many behind it: its connections are counted in all alone, and its requests by the
    address that it names.
    """

    connections: int = 1_024
    connections_of_address: int = 128
    requests_of_address: Rate = Rate(200.0, 400)
    strangers_of_address: Rate = Rate(2.0, 20)
    """Requests that turn out to come from nobody who is known."""
    requests_of_principal: Rate = Rate(100.0, 200)
    open_of_principal: int = 128
    """Requests under way at once, long polls and streams among them."""
    recheck_s: float = 5.0
    """How soon a request that lasts is cut once its token is good no more."""
    request_bytes: int = REQUEST_BYTES_MAX
    head_s: float = 10.0
    """From the connection, or a request's first byte, to the end of its headers."""
    body_s: float = 30.0
    """From there to the end of what is sent with it."""
    unread_s: float = 60.0
    """How long a client may leave unread what was answered."""
    idle_s: int = 30
    """Between two requests on one connection."""
