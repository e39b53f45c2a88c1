"""When to import what calls need: a third of a second of work that is in the way of whoever starts meanwhile."""

import anyio
import anyio.to_thread

FIRST_ANSWER_WITHIN_S = 0.5
# Longer than a client needs to start: those of several agents begin at once.
QUIET_S = 0.5
LOAD_WITHIN_S = 4.0


class Loading:
    """Of one server process."""

    def __init__(self) -> None:
        self._has_answered = anyio.Event()
        self._is_called = anyio.Event()
        self._answered_at = 0.0

    def note_answer(self) -> None:
        """A client has got what it came for, which needs nothing of this."""
        self._answered_at = anyio.current_time()
        self._has_answered.set()

    async def at_rest(self) -> None:
        """Load, in a thread, once nobody has come for a moment, somebody calls a tool, or enough time has passed."""
        with anyio.move_on_after(FIRST_ANSWER_WITHIN_S):
            await self._has_answered.wait()
        with anyio.move_on_after(LOAD_WITHIN_S):
            await self._until_quiet()
        await anyio.to_thread.run_sync(_load)

    def note_call(self) -> None:
        """Somebody waits for what is loaded."""
        self._is_called.set()

    async def _until_quiet(self) -> None:
        while not self._is_called.is_set() and (left_s := self._answered_at + QUIET_S - anyio.current_time()) > 0:
            with anyio.move_on_after(left_s):
                await self._is_called.wait()


def _load() -> None:
    """Blocking."""
    from . import calls, completions, composition, preparing  # noqa: F401 - loaded for those who call
    from .engine import embedded  # noqa: F401 - likewise
