"""Who held a stage under a lease of the past: the record keeps only the lease of now, the events keep all of them."""

from typing import TYPE_CHECKING

from ...gates.machine import commands as c
from ...schemas.events import StageClaimed
from ...schemas.records import Lease
from ..services import Services
from .deciding import apply, get_change

if TYPE_CHECKING:
    from ..store.tx import Tx

PAGE = 500


async def keep_orphan(
    services: Services, change: str, stage: str, fence: int, *, commit: str, tree: str, note: str
) -> None:
    """Keep a commit of whoever held the stage under that fence, who stays its maker whoever adopts it (I5)."""

    def keep(tx: "Tx") -> None:
        lease = find_lease(tx, change, stage, fence)
        command = c.KeepOrphan(
            stage=stage,
            fence=fence,
            commit=commit,
            holder=f"lease {fence}" if lease is None else lease.holder,
            note=note,
            principal=None if lease is None else lease.principal,
            model=None if lease is None else lease.model,
            tree=tree,
        )
        apply(tx, get_change(tx, change), command, services.clock())

    await services.run(keep)


def find_lease(tx: "Tx", change: str, stage: str, fence: int) -> Lease | None:
    """The lease of a stage that has this fence, as it was given; None when the server itself began under it."""
    after = 0
    while page := tx.events(change, after=after, limit=PAGE):
        for number, event in page:
            if isinstance(event, StageClaimed) and (event.stage, event.lease.fence) == (stage, fence):
                return event.lease
            after = number
    return None
