"""What only people do: reopen, retry, grant, land (approving: approve; changes: cancel, repin; cli: answer).

Reached from the command line, never from a worker's tool. `by` says who and how they are known; with a `request` the
same one again has one effect, under the person's own key.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...gates import commands as c
from ...schemas.records import ChangeRecord
from ..services import Services
from .deciding import apply, get_change
from .repeating import Reference, Request, once

if TYPE_CHECKING:
    from ..store.tx import Tx


async def reopen(
    services: Services, change: str, stage: str, *, by: str, reason: str, request: Request | None = None
) -> ChangeRecord:
    """Open a passed or escalated stage again; every consumer of its artifact goes back to waiting."""
    return await decide(services, change, c.Reopen(stage, by, reason), request)


async def retry_gates(
    services: Services, change: str, stage: str, *, by: str, request: Request | None = None
) -> ChangeRecord:
    """Judge an escalated stage's newest artifact again, free of charge."""
    return await decide(services, change, c.RetryGates(stage, by), request)


async def grant_attempts(
    services: Services, change: str, stage: str, *, by: str, count: int, request: Request | None = None
) -> ChangeRecord:
    """Add to the budget of an escalated stage."""
    return await decide(services, change, c.GrantAttempts(stage, by, count), request)


async def land(services: Services, change: str, *, by: str, request: Request | None = None) -> ChangeRecord:
    """Try landing again now instead of waiting for the server to notice that the way is free."""
    return await decide(services, change, c.RetryLanding(by), request)


async def decide(services: Services, change: str, command: c.Command, request: Request | None) -> ChangeRecord:
    """One transaction with what a person decided; raises `Refused`, and nothing is changed."""

    def work(tx: "Tx") -> ChangeRecord:
        now = services.clock()
        return decide_once(tx, services, change, request, lambda: apply(tx, get_change(tx, change), command, now))

    return await services.run(work)


def decide_once(
    tx: "Tx", services: Services, change: str, request: Request | None, effect: Callable[[], object]
) -> ChangeRecord:
    """Have the effect on a change, once for each request with a key, and return the change as it is now."""

    def referred() -> Reference:
        effect()
        return {"change": change}

    if request is None:
        effect()
    else:
        once(tx, request, services.clock(), referred)
    return get_change(tx, change)
