"""Wake everybody who waits for the store to change: an in-process signal, not polling."""

from collections.abc import Awaitable, Callable

import anyio

# How whoever waits is told that there is still nothing, so that its client does not give up.
Report = Callable[[str], Awaitable[None]]


class Signal:
    """`wait` returns at the next `fire`. A waiter takes its `ticket` before it looks, so that no change is missed."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def fire(self) -> None:
        """Wake all who wait now. Called on the event loop."""
        self._event.set()
        self._event = anyio.Event()

    def ticket(self) -> anyio.Event:
        """What the next `fire` sets."""
        return self._event


async def wait_for(ticket: anyio.Event, timeout_s: float) -> bool:
    """Whether the signal fired within `timeout_s`."""
    with anyio.move_on_after(timeout_s):
        await ticket.wait()
    return ticket.is_set()
