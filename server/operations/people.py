"""What only people do: answer, reopen, retry, grant, land.

Reached from the command line, never from a worker's tool.
"""

from ...gates import commands as c
from ...schemas.records import ChangeRecord
from ..services import Services
from .deciding import apply, get_change


async def answer(
    services: Services, change: str, stage: str, *, gate: str | None, allowed: bool, by: str, note: str
) -> ChangeRecord:
    """Answer what gates asked about the current attempt (or the landing), or an escalated question."""
    return await _decide(services, change, c.Answer(stage, gate, allowed, by, note))


async def reopen(services: Services, change: str, stage: str, *, by: str, reason: str) -> ChangeRecord:
    """Open a passed or escalated stage again; every consumer of its artifact goes back to waiting."""
    return await _decide(services, change, c.Reopen(stage, by, reason))


async def retry_gates(services: Services, change: str, stage: str, *, by: str) -> ChangeRecord:
    """Judge an escalated stage's newest artifact again, free of charge."""
    return await _decide(services, change, c.RetryGates(stage, by))


async def grant_attempts(services: Services, change: str, stage: str, *, by: str, count: int) -> ChangeRecord:
    """Add to the budget of an escalated stage."""
    return await _decide(services, change, c.GrantAttempts(stage, by, count))


async def land(services: Services, change: str, *, by: str) -> ChangeRecord:
    """Try landing again now instead of waiting for the server to notice that the way is free."""
    return await _decide(services, change, c.RetryLanding(by))


async def _decide(services: Services, change: str, command: c.Command) -> ChangeRecord:
    return await services.run(lambda tx: apply(tx, get_change(tx, change), command, services.clock()))
