"""What people decide, by the names of their commands: one table for the terminal and for HTTP.

`approve`, `reject` and `answer` are a person's word about what somebody made. The rest changes what may still happen:
budgets, policies, whole changes. So a token that may the one may not the other.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...schemas import decisions as d
from ...schemas.records import ChangeRecord
from ..identity.scopes import Scope
from ..people.known import Person
from ..services import Services
from . import changes, people
from .answering import decide_answer
from .approving import decide_approval
from .people import request_of
from .repeating import Request
from .showing import decided


@dataclass(frozen=True, slots=True)
class Deed:
    """One command: which scope a token needs for it, and the operation. What it takes stands in `decisions.TAKES`."""

    scope: Scope
    # Any: each takes the decision of its own command.
    perform: Callable[[Services, Any, Person | None], Awaitable[ChangeRecord]]


async def decide(services: Services, command: str, decision: d.Decision, person: Person | None) -> d.Decided:
    """Do what a person decided, and say how the change stands; raises `Refused`, and then nothing was decided.

    `person` was authenticated; None where a signature alone says who it is.
    """
    return decided(await DEEDS[command].perform(services, decision, person))


async def _approve(services: Services, decision: d.Approval, person: Person | None) -> ChangeRecord:
    return await services.act(lambda: decide_approval(services, decision, person, is_given=True))


async def _reject(services: Services, decision: d.Approval, person: Person | None) -> ChangeRecord:
    return await services.act(lambda: decide_approval(services, decision, person, is_given=False))


async def _answer(services: Services, decision: d.Answer, person: Person | None) -> ChangeRecord:
    by = _required(person)
    return await services.act(lambda: decide_answer(services, decision, by))


async def _reopen(services: Services, decision: d.Reopening, by: Person, request: Request | None) -> ChangeRecord:
    change, stage, reason = decision.change, decision.stage, decision.reason
    return await people.reopen(services, change, stage, by=by, reason=reason, request=request)


async def _retry_gates(services: Services, decision: d.Retry, by: Person, request: Request | None) -> ChangeRecord:
    return await people.retry_gates(services, decision.change, decision.stage, by=by, request=request)


async def _grant_attempts(services: Services, decision: d.Grant, by: Person, request: Request | None) -> ChangeRecord:
    change, stage, count = decision.change, decision.stage, decision.count
    return await people.grant_attempts(services, change, stage, by=by, count=count, request=request)


async def _repin(services: Services, decision: d.Reasoned, by: Person, request: Request | None) -> ChangeRecord:
    return await changes.repin(services, decision.change, by=by, reason=decision.reason, request=request)


async def _cancel(services: Services, decision: d.Reasoned, by: Person, request: Request | None) -> ChangeRecord:
    return await changes.cancel(services, decision.change, by=by, reason=decision.reason, request=request)


async def _land(services: Services, decision: d.Landing, by: Person, request: Request | None) -> ChangeRecord:
    return await people.land(services, decision.change, by=by, request=request)


# Any: as above.
def _requested(
    command: str, operate: Callable[[Services, Any, Person, Request | None], Awaitable[ChangeRecord]]
) -> Callable[[Services, Any, Person | None], Awaitable[ChangeRecord]]:
    """The operation, by whoever was authenticated, once for each key."""

    async def perform(services: Services, decision: d.Decision, person: Person | None) -> ChangeRecord:
        by = _required(person)
        return await operate(services, decision, by, request_of(command, decision, by))

    return perform


def _required(person: Person | None) -> Person:
    assert person is not None, "only an approval is signed"
    return person


DEEDS: Mapping[str, Deed] = {
    "approve": Deed(Scope.APPROVE, _approve),
    "reject": Deed(Scope.APPROVE, _reject),
    "answer": Deed(Scope.APPROVE, _answer),
    "reopen": Deed(Scope.ADMIN, _requested("reopen", _reopen)),
    "retry-gates": Deed(Scope.ADMIN, _requested("retry-gates", _retry_gates)),
    "grant-attempts": Deed(Scope.ADMIN, _requested("grant-attempts", _grant_attempts)),
    "repin": Deed(Scope.ADMIN, _requested("repin", _repin)),
    "cancel": Deed(Scope.ADMIN, _requested("cancel", _cancel)),
    "land": Deed(Scope.ADMIN, _requested("land", _land)),
}
