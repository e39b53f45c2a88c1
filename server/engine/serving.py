"""What a team's server does itself: it moves the target. Workers run everything that runs programs.

So only servers need the right to push to the trusted branch, and no program of the project runs beside it.
Source: docs/decisions/0022-procrastinate-delivers.md
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refused
from ..services import Services
from ..signal import wait_for
from .landing import finish_landings, intended_landings, retry_blocked

if TYPE_CHECKING:
    from ..store.tx import Tx

LOOK_AT_LEAST_EVERY_S = 2.0
STORE_DOWN_PAUSE_S = 1.0
# Which server carries out landings: "<its name> <until when, in seconds>".
LANDED_BY = "landed_by"
# After it another server takes over. Two at once would do no harm but push twice.
TURN = timedelta(seconds=10)

log = logging.getLogger(__name__)


class ServerEngine:
    """Lands what is decided, on one of any number of servers at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._name = secrets.token_hex(8)
        self._stuck: dict[str, str] = {}

    def is_busy(self) -> bool:
        """See `Engine`: nothing is evaluated here."""
        return False

    async def work(self) -> None:
        """Carry out landings until cancelled."""
        while True:
            ticket = self._services.changed.ticket()
            pause_s = LOOK_AT_LEAST_EVERY_S
            try:
                if not self._services.is_draining:
                    await self._look()
            except Refused as exc:
                log.warning("the store is unavailable: %s", exc)
                pause_s = STORE_DOWN_PAUSE_S
            await wait_for(ticket, pause_s)

    async def _look(self) -> None:
        intended = await self._services.read(self._work_of)
        if intended is None:
            return
        await retry_blocked(self._services)
        has_turn = bool(intended) and await self._services.run(self._take_turn, is_news=False)
        if has_turn:
            problems = await finish_landings(self._services, intended)
            for change, problem in problems.items():
                if self._stuck.get(change) != problem:
                    log.warning("%s cannot land now: %s", change, problem)
            self._stuck = problems

    def _work_of(self, tx: "Tx") -> Sequence[ChangeRecord] | None:
        """The landings to carry out; None when another server does that."""
        return intended_landings(tx) if self._has_turn(tx) else None

    def _has_turn(self, tx: "Tx") -> bool:
        """Whether nobody else carries out landings."""
        name, _, until = (tx.meta_get(LANDED_BY) or "").partition(" ")
        return name in {"", self._name} or float(until) < self._services.clock().timestamp()

    def _take_turn(self, tx: "Tx") -> bool:
        has_turn = self._has_turn(tx)
        if has_turn:
            tx.meta_set(LANDED_BY, f"{self._name} {(self._services.clock() + TURN).timestamp()}")
        return has_turn
