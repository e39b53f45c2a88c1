"""Take away the workspaces of a change that is over."""

import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ...schemas.records import ChangeRecord, ChangeState
from ...schemas.refusals import Refused
from ..services import Services

if TYPE_CHECKING:
    from ..store.tx import Tx

OVER = (ChangeState.LANDED, ChangeState.CANCELLED)
# What stays may be a person's to mend: it is not tried for ever at this pace.
AGAIN_AFTER_S, AGAIN_AFTER_MAX_S = 30.0, 3600.0

log = logging.getLogger(__name__)


async def clear_leftovers(services: Services) -> None:
    """Take away what is left of changes that are over, by who died before that or could not; until cancelled.

    At the start, and again a while after something stayed: a disk that is full for a minute leaves nothing for good.
    """
    pause_s = AGAIN_AFTER_S
    while True:
        news = services.left_over.ticket()
        if await _clear_all(services):
            await news.wait()
            pause_s = AGAIN_AFTER_S
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, AGAIN_AFTER_MAX_S)


async def clear(services: Services, record: ChangeRecord) -> None:
    """Take away every workspace of a change that is over; what was not handed in is kept under refs first.

    What cannot be taken away now costs whoever ended the change nothing: `clear_leftovers` tries again.
    """
    try:
        are_gone = await services.act(lambda: services.places.clear(services, record))
    except Refused as exc:
        log.warning("workspaces of %s stay for now: %s", record.id, exc)
        are_gone = False
    if not are_gone:
        services.left_over.fire()


async def _clear_all(services: Services) -> bool:
    """Whether nothing is left of any change that is over."""
    try:
        left = await services.act(lambda: services.places.list_changes(services))
        over = await services.read(lambda tx: _over_of(tx, left))
        return all([await services.act(partial(services.places.clear, services, record)) for record in over])
    except Refused as exc:
        log.warning("workspaces of changes that are over stay for now: %s", exc)
        return False


def _over_of(tx: "Tx", changes: set[str]) -> list[ChangeRecord]:
    found = (tx.find_change(change) for change in sorted(changes))
    return [record for record in found if record is not None and record.state in OVER]
