"""What a principal can claim now, best first: stages, and reviews of what others made."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from ...gates.lifecycle import decide
from ...gates.machine.commands import ClaimReview
from ...schemas.records import StageState
from ...schemas.refusals import Refusal
from ..identity.scopes import EVERY_SCOPE, Scope, Scopes
from ..store import REVIEWER, Opening
from .deciding import get_change

if TYPE_CHECKING:
    from ..store.tx import Tx

PAGE = 50
# Whoever only waits has not said yet by what name, nor with which model.
UNNAMED = "?"


def openings(
    tx: "Tx", now: datetime, *, change: str | None = None, stage: str | None = None, role: str | None = None
) -> Iterator[Opening]:
    """Everything that somebody can claim, the oldest change first, within it what is furthest on.

    A review stands where its stage does. With a role only work for it; that of reviews is `reviewer`.
    """
    page = tx.openings(now, change=change, stage=stage, role=role, limit=PAGE)
    yield from page
    while len(page) == PAGE:
        page = tx.openings(now, change=change, stage=stage, role=role, after=page[-1], limit=PAGE)
        yield from page


def openings_for(
    tx: "Tx", now: datetime, principal: str, *, change: str | None = None, scopes: Scopes = EVERY_SCOPE
) -> Iterator[tuple[Opening, bool]]:
    """Those of `openings` that this principal may take, each with whether it is a review.

    A review of its own work is none for it, nor one that it has given, nor what its scopes do not allow.
    """
    for opening in openings(tx, now, change=change):
        # A stage may have the role too: only the record tells.
        record = get_change(tx, opening.change) if opening.role == REVIEWER else None
        if record is None or record.stage(opening.stage).state is not StageState.IN_REVIEW:
            if Scope.WORK in scopes:
                yield opening, False
        elif Scope.REVIEW in scopes:
            claim = ClaimReview(opening.stage, UNNAMED, principal, UNNAMED)
            if not isinstance(decide(record, claim, now), Refusal):
                yield opening, True
