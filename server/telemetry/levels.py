"""How much of what there is just now in the store of this server; asked whenever somebody reads the metrics."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ...schemas.records import ChangeState
from ..operations.awaiting import everything_awaited
from ..store import EvaluationState, Store, StoreUnavailable
from .measures import AWAITED_NOW, CHANGES_NOW, CLAIMABLE_NOW, EVALUATIONS_NOW, Instruments, Labels, Measure

if TYPE_CHECKING:
    from ..store.tx import Tx

# More is told as so many: nobody is helped by the exact number.
CLAIMABLE_MAX = 1_000

Amounts = list[tuple[int, Labels]]

log = logging.getLogger(__name__)


def observe_store(instruments: Instruments, store: Store, clock: Callable[[], datetime]) -> None:
    """Tell how much there is in the store; nothing while it cannot be read. The clock is the one that leases have."""
    looks: dict[Measure, Callable[[Tx], Amounts]] = {
        CHANGES_NOW: _changes,
        CLAIMABLE_NOW: lambda tx: [(len(tx.openings(clock(), limit=CLAIMABLE_MAX)), {})],
        AWAITED_NOW: lambda tx: [(everything_awaited(tx).total, {})],
        EVALUATIONS_NOW: _evaluations,
    }
    for measure, look in looks.items():
        instruments.observe(measure, partial(_look, store, look))


def _look(store: Store, look: "Callable[[Tx], Amounts]") -> Iterable[tuple[int, Labels]]:
    try:
        return store.read(look)
    except StoreUnavailable as exc:
        log.info("the metrics lack what is in the store: %s", exc)
        return []


def _changes(tx: "Tx") -> Amounts:
    states = (ChangeState.ACTIVE, ChangeState.LANDING)
    return [(tx.count_changes([state]), {"gatewright__state": state}) for state in states]


def _evaluations(tx: "Tx") -> Amounts:
    states = (EvaluationState.QUEUED, EvaluationState.RUNNING)
    return [(len(tx.evaluations(states=[state])), {"gatewright__state": state}) for state in states]
