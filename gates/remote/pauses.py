"""Do not ask again at once what has just failed: the same answer, without the wait, until its pause is over."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from .problems import RemoteProblem

PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 30.0
PAUSES_KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Pause:
    problem: RemoteProblem
    until_s: float
    length_s: float


class Pauses:
    """For each thing that fails a pause that doubles from `PAUSE_FIRST_S` to `PAUSE_MAX_S`. For any number of threads.

    `clock` tells seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pauses: dict[Hashable, _Pause] = {}

    def check(self, what: Hashable) -> None:
        """Raise what was raised last about it, as long as its pause lasts."""
        with self._lock:
            found = self._pauses.get(what)
        if found is not None and self._clock() < found.until_s:
            raise RemoteProblem(found.problem.fault, found.problem.message) from found.problem

    def failed(self, what: Hashable, problem: RemoteProblem) -> None:
        """Begin a pause, twice as long as the last one about it."""
        with self._lock:
            last = self._pauses.pop(what, None)
            length_s = PAUSE_FIRST_S if last is None else min(PAUSE_MAX_S, 2 * last.length_s)
            if len(self._pauses) >= PAUSES_KEPT_MAX:
                self._pauses.pop(next(iter(self._pauses)))
            self._pauses[what] = _Pause(problem, self._clock() + length_s, length_s)

    def went_well(self, what: Hashable) -> None:
        """Forget all pauses about it."""
        with self._lock:
            self._pauses.pop(what, None)
