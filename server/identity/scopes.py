"""What a caller may do. Over stdio nobody is asked: whoever starts the server there may all that a tool can."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """WORK: take stages and hand in. REVIEW: judge what others handed in. APPROVE: approve and answer as a person.

    ADMIN: decide as a person what may still happen to a change. No tool needs the last two: no worker approves,
    whatever its token may.
    """

    WORK = "work"
    REVIEW = "review"
    APPROVE = "approve"
    ADMIN = "admin"


Scopes = frozenset[Scope]

EVERY_SCOPE: Scopes = frozenset(Scope)


def known_scopes(names: Iterable[str]) -> Scopes:
    """The scopes among these names; what another service's token may elsewhere is no business of ours."""
    given = frozenset(names)
    return frozenset(scope for scope in Scope if scope.value in given)


def listed(scopes: Iterable[Scope]) -> str:
    """`work, review`, in the order of their declaration."""
    given = frozenset(scopes)
    return ", ".join(scope for scope in Scope if scope in given)
