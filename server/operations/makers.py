"""Who held a stage under a lease of the past: the record keeps only the lease of now, the events keep all of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...gates.machine import commands as c
from ...gates.machine.independence import as_compared
from ...schemas.events import Event, OrphanKept, StageClaimed
from ...schemas.ids import LAND
from ...schemas.records import Lease, Maker
from ..identity.principals import subject_of
from ..people.known import Person
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
    claims = (event for event in _events(tx, change) if isinstance(event, StageClaimed) and event.stage == stage)
    return next((event.lease for event in claims if event.lease.fence == fence), None)


def has_held(tx: "Tx", change: str, stage: str, person: Person) -> bool:
    """Whether a token of a person ever worked on a stage (`land`: on any of the change), compared as for approvals."""
    names = {*map(as_compared, person.names)}
    claims = (e for e in _events(tx, change) if isinstance(e, StageClaimed) and stage in (e.stage, LAND))
    subjects = {subject for claim in claims if (subject := subject_of(claim.lease.principal)) is not None}
    return bool(names & {*map(as_compared, subjects)})


def find_makers_of_kept(tx: "Tx", change: str, stage: str, *, commit: str, tree: str) -> tuple[Maker, ...]:
    """Who made work that was kept of a stage and is this commit or tree, also when it is offered no more (I5)."""
    kept = (event.orphan for event in _events(tx, change) if isinstance(event, OrphanKept) and event.stage == stage)
    makers = (orphan.maker for orphan in kept if commit == orphan.commit or tree == orphan.tree)
    return tuple(dict.fromkeys(maker for maker in makers if maker is not None))


def _events(tx: "Tx", change: str) -> Iterator[Event]:
    after = 0
    while page := tx.events(change, after=after, limit=PAGE):
        yield from (event for _, event in page)
        after = page[-1][0]
