"""A clock that jumps: an event loop on which waiting takes no time, so that minutes of it can be told in a test.

Whenever nothing can go on but by time passing, time passes. While a thread works (git, the store) it does not.
"""

import asyncio
import selectors
import time
from collections.abc import Callable

# How long to look for a thread's result before looking again.
THREAD_LOOK_S = 0.002


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self.is_busy: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0)
        if found or self.is_busy():
            return found or super().select(min(timeout, THREAD_LOOK_S))
        self.ahead_s += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """`loop_factory` of a test; `watch_threads` says when a thread works."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The real time, and all that was jumped over."""
        return time.monotonic() + self._jumping.ahead_s

    def watch_threads(self, is_busy: Callable[[], bool]) -> None:
        """Let no time be jumped over while `is_busy`."""
        self._jumping.is_busy = is_busy
