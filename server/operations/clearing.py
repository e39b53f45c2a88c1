"""Take away the workspaces of a change that is over."""

import logging
from functools import partial
from typing import TYPE_CHECKING

from ...schemas.records import ChangeRecord, ChangeState
from ...schemas.refusals import Refused
from ..services import Services

if TYPE_CHECKING:
    from ..store.tx import Tx

OVER = (ChangeState.LANDED, ChangeState.CANCELLED)

log = logging.getLogger(__name__)


async def clear_leftovers(services: Services) -> None:
    """Take away what is left of changes that are over: who ended them may have died before it came to that."""
    try:
        left = await services.act(lambda: services.places.list_changes(services))
        for record in await services.read(lambda tx: _over_of(tx, left)):
            await services.act(partial(remove_workspaces, services, record))
    except Refused as exc:
        log.warning("workspaces of changes that are over stay until the next start: %s", exc)


def remove_workspaces(services: Services, record: ChangeRecord) -> None:
    """Remove every workspace of the change; what was not handed in is kept under refs first. Blocking."""
    services.places.clear(services, record)


def _over_of(tx: "Tx", changes: set[str]) -> list[ChangeRecord]:
    found = (tx.find_change(change) for change in sorted(changes))
    return [record for record in found if record is not None and record.state in OVER]
