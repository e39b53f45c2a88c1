"""A server or worker may be started before what it stands on: it waits, says so, and begins when that is there.

What waiting would not change ends it with a sentence: another version of the schema, no store, a wrong password.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..store import StoreUnavailable
from .command import CannotGoOn

if TYPE_CHECKING:
    from ..services import Services

PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 15.0
# git does not tell a remote that is down from one that is elsewhere, so that is waited for too.
COMING = frozenset({"store_unavailable", "remote"})

log = logging.getLogger(__name__)


class Start:
    """Services that are open as soon as they can be; `open_services` is tried again and again until then."""

    def __init__(self, open_services: Callable[[], "Services"]) -> None:
        self._open = open_services
        self._services: Services | None = None
        self._why_not = "This server has only just begun."

    def services(self) -> "Services":
        """What was opened. Raises `StoreUnavailable` at once while nothing was."""
        if self._services is None:
            raise StoreUnavailable(self._why_not)
        return self._services

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> "Services":
        """Until they are open, however long that takes; raises `CannotGoOn` for what waiting would not change."""
        for pause_s in _pauses():
            if self._try(pause_s):
                break
            sleep(pause_s)
        return self.services()

    async def wait_beside(self) -> None:
        """Like `wait`, while other tasks go on."""
        import anyio
        import anyio.to_thread

        for pause_s in _pauses():
            # Whoever ends meanwhile does not wait for a database behind a cut line.
            if await anyio.to_thread.run_sync(self._try, pause_s, abandon_on_cancel=True):
                break
            await anyio.sleep(pause_s)

    def _try(self, pause_s: float) -> bool:
        """Whether they are open now."""
        try:
            self._services = self._open()
        except CannotGoOn as exc:
            if exc.code not in COMING:
                raise
            self._why_not = exc.message
            log.warning("waiting, and trying again in %.0f s: %s", pause_s, exc.message)
            return False
        return True


def _pauses() -> Iterator[float]:
    """One after the other, in seconds, without end."""
    pause_s = PAUSE_FIRST_S
    while True:
        yield pause_s
        pause_s = min(PAUSE_MAX_S, 2 * pause_s)
