"""What the operations work with, made once by the composition root and passed on."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from ..gates.artifacts import ArtifactStore
from ..gates.remote.remote import Remote
from ..gates.repository import SharedRepository
from ..gates.workspaces import Workspaces
from ..schemas import refusals
from ..schemas.refusals import Refused
from .leases import Leases
from .outages import outages_refused
from .policies import Policies
from .signal import Signal
from .store import Store, StoreUnavailable

if TYPE_CHECKING:
    from .operations.workplaces import Places
    from .store.tx import Tx

T = TypeVar("T")

STORE_THREADS = 8
GIT_THREADS = 8


@dataclass
class Services:
    """One repository's store, git and clock.

    `places` is where holders work. With a `remote` the repository is a mirror of it, and they work on other machines.
    `clock` tells aware UTC. `on_workspace` is told of every workspace that was made: change, stage, path.
    `left_over` fires when a change is over and a place of it could not be taken away.
    `runs_as` names this process in the tokens of what it runs.
    `has_news` tells, on the event loop, whether anybody has committed since it was last asked.
    """

    store: Store
    repository: SharedRepository
    artifacts: ArtifactStore
    workspaces: Workspaces
    places: "Places"
    policies: Policies
    leases: Leases
    clock: Callable[[], datetime]
    cache: Path
    remote: Remote | None = None
    changed: Signal = field(default_factory=Signal)
    left_over: Signal = field(default_factory=Signal)
    on_workspace: Callable[[str, str, Path], None] = field(default=lambda *_: None)
    has_news: Callable[[], bool] = field(default=lambda: False)
    is_draining: bool = False
    runs_as: str = field(default_factory=lambda: str(os.getpid()))
    _store_threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(STORE_THREADS))
    _git_threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(GIT_THREADS))

    def left_s(self, deadline: float) -> float:
        """How long a call may wait yet, by the event loop's clock: no longer once this server is to end."""
        return 0.0 if self.is_draining else deadline - anyio.current_time()

    async def run(self, work: "Callable[[Tx], T]", *, is_news: bool = True) -> T:
        """One transaction, off the event loop; whoever waits is woken when it `is_news`.

        Raises `Refused` when the store is unavailable. What `work` raises takes everything back and is no news: who
        waits for something to claim, and tries, would wake itself and all others by it.
        """
        may_have_committed = True
        try:
            return await anyio.to_thread.run_sync(self.store.run, work, limiter=self._store_threads)
        except StoreUnavailable as exc:
            raise Refused(refusals.store_unavailable(str(exc))) from exc
        except Exception:
            may_have_committed = False
            raise
        finally:
            # Also when the caller is cancelled meanwhile.
            if is_news and may_have_committed:
                # Who is woken here sees what others have committed too: it need not be told again.
                self.has_news()
                self.changed.fire()

    async def read(self, work: "Callable[[Tx], T]") -> T:
        """One consistent look, off the event loop."""
        try:
            return await anyio.to_thread.run_sync(self.store.read, work, limiter=self._store_threads)
        except StoreUnavailable as exc:
            raise Refused(refusals.store_unavailable(str(exc))) from exc

    async def act(self, work: Callable[[], T]) -> T:
        """Slow, blocking work on git or files, off the event loop and outside any transaction; may look at the store.

        Raises `Refused` when git itself cannot work, or the remote, the disk or the store cannot; what git says of a
        commit is raised as it is.
        """
        with outages_refused():
            return await anyio.to_thread.run_sync(work, limiter=self._git_threads)
