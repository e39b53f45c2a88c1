"""Whose a lease is, where principals are authenticated one by one.

Over stdio whoever has a lease is its holder: an agent that lost its connection goes on under a new one. Over HTTP an
agent stays the same principal for as long as it has its token, and what is handed in counts as the holder's work: a
lease that another principal has found, or was told, is of no use to it.
"""

from typing import TYPE_CHECKING

from ...schemas import access
from ...schemas.ids import LeaseName, ReviewLeaseName
from ...schemas.records import StageRecord
from ...schemas.refusals import Refused
from .makers import find_lease

if TYPE_CHECKING:
    from ..store.tx import Tx


def require_own(tx: "Tx", lease: LeaseName | ReviewLeaseName, principal: str) -> None:
    """Raise `Refused` (not_allowed) when a genuine lease was given to another principal; of what never was, nothing."""
    record = tx.find_change(lease.change)
    stage = None if record is None else record.find_stage(lease.stage)
    if stage is None:
        return
    holder = _holder(tx, lease, stage)
    if holder is not None and holder != principal:
        raise Refused(access.lease_of_another(lease.change, lease.stage))


def _holder(tx: "Tx", lease: LeaseName | ReviewLeaseName, stage: StageRecord) -> str | None:
    """The principal that it was given to; None when nobody knows any more."""
    if isinstance(lease, ReviewLeaseName):
        given = (found for attempt in stage.attempts for found in attempt.review_leases)
        return next((found.principal for found in given if found.number == lease.number), None)
    if stage.lease is not None and stage.lease.fence == lease.fence:
        return stage.lease.principal
    former = find_lease(tx, lease.change, lease.stage, lease.fence)
    return None if former is None else former.principal
