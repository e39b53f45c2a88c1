"""Who calls over HTTP, as authenticated: a principal with scopes, and the person that it may decide as."""

from dataclasses import dataclass
from datetime import datetime

from ...schemas import access
from ...schemas.refusals import Refused
from ..people.known import Person, Proof
from .principals import principal_of
from .scopes import Scope, Scopes


@dataclass(frozen=True, slots=True)
class Caller:
    """`subject` is the one that a token was issued to. `token_id` names an issued token; None for one by OAuth.

    That one says itself `until` when it is good.
    """

    subject: str
    scopes: Scopes
    token_id: str | None = None
    until: datetime | None = None

    @property
    def principal(self) -> str:
        """As whom it acts."""
        return principal_of(self.subject)


def person_of(caller: Caller, scope: Scope = Scope.APPROVE) -> Person:
    """As whom the caller decides what people decide; raises `Refused` (not_allowed) without the scope.

    Whether the token is still good is looked at again in the transaction that does what was decided.
    """
    if scope not in caller.scopes:
        raise Refused(access.scope_missing("Deciding that as a person", (scope,), caller.scopes))
    return Person(caller.subject, Proof.TOKEN, key=caller.token_id, scope=scope, until=caller.until)
