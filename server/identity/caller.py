"""Who calls over HTTP, as authenticated: a principal with scopes, and the person that it may decide as."""

from dataclasses import dataclass

from ...schemas import access
from ...schemas.refusals import Refused
from ..people.known import Person, Proof
from .principals import principal_of
from .scopes import Scope, Scopes


@dataclass(frozen=True, slots=True)
class Caller:
    """`subject` is the one that a token was issued to. `token_id` names an issued token; None for one by OAuth."""

    subject: str
    scopes: Scopes
    token_id: str | None = None

    @property
    def principal(self) -> str:
        """As whom it acts."""
        return principal_of(self.subject)


def person_of(caller: Caller) -> Person:
    """As whom the caller decides what people decide; raises `Refused` (not_allowed) without the scope `approve`.

    Whether the token was revoked since is looked at again in the transaction that does what was decided.
    """
    if Scope.APPROVE not in caller.scopes:
        raise Refused(access.scope_missing("Deciding as a person", (Scope.APPROVE,), caller.scopes))
    return Person(caller.subject, Proof.TOKEN, key=caller.token_id)
