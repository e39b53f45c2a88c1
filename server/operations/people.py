"""What only people do: reopen, retry, grant, land (approving: approve; answering: answer; changes: cancel, repin).

Reached from the command line, never from a worker's tool. `by` is who decides, which is looked at once more in the
transaction; with a `request` the same one again has one effect, under the person's own key.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...gates.machine import commands as c
from ...schemas.decisions import Decision
from ...schemas.records import ChangeRecord
from ..people.known import Person
from ..people.register import require_still_known
from ..services import Services
from .deciding import apply, get_change
from .repeating import Reference, Request, once

if TYPE_CHECKING:
    from ..store.tx import Tx


async def reopen(
    services: Services, change: str, stage: str, *, by: Person, reason: str, request: Request | None = None
) -> ChangeRecord:
    """Open a passed or escalated stage again; every consumer of its artifact goes back to waiting."""
    return await decide(services, change, c.Reopen(stage, by.by, reason), by, request)


async def retry_gates(
    services: Services, change: str, stage: str, *, by: Person, request: Request | None = None
) -> ChangeRecord:
    """Judge an escalated stage's newest artifact again, free of charge."""
    return await decide(services, change, c.RetryGates(stage, by.by), by, request)


async def grant_attempts(
    services: Services, change: str, stage: str, *, by: Person, count: int, request: Request | None = None
) -> ChangeRecord:
    """Add to the budget of an escalated stage."""
    return await decide(services, change, c.GrantAttempts(stage, by.by, count), by, request)


async def land(services: Services, change: str, *, by: Person, request: Request | None = None) -> ChangeRecord:
    """Try landing again now instead of waiting for the server to notice that the way is free."""
    return await decide(services, change, c.RetryLanding(by.by), by, request)


async def decide(
    services: Services, change: str, command: c.Command, by: Person, request: Request | None
) -> ChangeRecord:
    """One transaction with what a person decided; raises `Refused`, and nothing is changed."""

    def work(tx: "Tx") -> ChangeRecord:
        now = services.clock()

        def effect() -> None:
            apply(tx, get_change(tx, change), command, now)

        return decide_once(tx, services, change, by, effect, request=request)

    return await services.run(work)


def request_of(command: str, decision: Decision, person: Person) -> Request | None:
    """Who asks for what, when the person gave a key: theirs alone, and for this very command.

    What was shown is no part of it: the same command about another commit is told from the first one by its effect.
    """
    if decision.key is None:
        return None
    asked = decision.model_dump(mode="json", exclude={"key", "shown", "signed"})
    return Request(person.principal, command, asked, decision.key)


def decide_once(
    tx: "Tx", services: Services, change: str, by: Person, effect: Callable[[], object], *, request: Request | None
) -> ChangeRecord:
    """Have the effect on a change, once for each request with a key, and return the change as it is now.

    Whoever decides is still the one who said so: raises `Refused` otherwise, and nothing is changed.
    """

    def referred() -> Reference:
        require_still_known(tx, by, services.clock())
        effect()
        return {"change": change}

    if request is None:
        referred()
    else:
        once(tx, request, services.clock(), referred)
    return get_change(tx, change)
