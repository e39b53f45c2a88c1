"""Who is told of what happens in this process: nobody, unless `starting` found that somebody watches."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ...schemas.records import ChangeRecord
    from ..store import EvaluationRow, Store

Saved = tuple["ChangeRecord", tuple["Event", ...]]
"""A change as one step left it, and the events of that step."""


class Watcher:
    """Is told, in any thread, and keeps nobody waiting. This one forgets it all."""

    is_watching = False

    def committed(self, store: "Store", saved: Sequence[Saved]) -> None:
        """A transaction has been committed that saved these."""

    def transacted(self, seconds: float, *, is_writing: bool, is_ok: bool) -> None:
        """A transaction of the store has ended, retries and waiting for locks included."""

    def called(self, tool: str, seconds: float, refused_with: str | None) -> None:
        """A tool was called and has answered, or refused with a code; `tool` is one that there is."""

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request over HTTP has been answered; `route` is one of a bounded number."""

    def began(self, row: "EvaluationRow", waited_s: float) -> None:
        """An evaluation was begun for the first time, so long after it was due."""

    def serves(self, store: "Store", clock: Callable[[], datetime]) -> None:
        """This process is a server of the store, and tells how much of what is in it; `clock` judges leases."""

    def runs(self, used: Callable[[], int], slots: int) -> None:
        """This process runs up to `slots` evaluations at once, and `used` of them now."""

    def finish(self, store: "Store") -> None:
        """The store is about to be closed: what is still to be read of it is read now, for a bounded time."""


_current = Watcher()


def watcher() -> Watcher:
    """Whoever is told, just now."""
    return _current


def set_watcher(new: Watcher) -> Watcher:
    """Tell `new` from now on; returns who was told before."""
    global _current
    before, _current = _current, new
    return before
