"""Long polls: wait for a verdict, or for something to happen. Nothing is lost when a wait is dropped.

Asking again finds it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import anyio

from ...gates.text import shorten
from ...schemas import refusals
from ...schemas.arguments import WaitForUpdate
from ...schemas.decisions import POSITION_MAX
from ...schemas.records import ChangeRecord, ChangeState
from ...schemas.refusals import Refusal
from ...schemas.replies import Update, Verdict
from ..services import Services
from ..signal import Report, wait_for
from .claimable import openings_for
from .deciding import get_change
from .repeating import Request
from .telling import tell
from .verdicts import read_verdict

if TYPE_CHECKING:
    from ..store.rows import Opening
    from ..store.tx import Tx


REPORT_EVERY_S = 5.0
# What a verdict is waited for: the word of the gates, or the last one, of people and reviewers too.
GATES_ANSWERED, EVERYBODY_ANSWERED = ("pending", "settled"), ("settled",)
EVENTS_TOLD_MAX = 20
EVENTS_AT_ONCE = 100
EVENT_CHARS_MAX = 300
CLAIMABLE_TOLD_MAX = 10


async def wait_for_verdict(
    services: Services, evaluation: str, *, until: Collection[str], wait_s: float, report: Report
) -> Verdict:
    """The verdict, as soon as its state is one of `until` or `wait_s` are over.

    `report` is called every few seconds with progress.
    """
    deadline = anyio.current_time() + wait_s
    while True:
        ticket = services.changed.ticket()
        verdict = await services.read(lambda tx: read_verdict(tx, evaluation))
        left = services.left_s(deadline)
        if verdict.state in until or left <= 0:
            return verdict
        if not await wait_for(ticket, min(left, REPORT_EVERY_S)):
            await report(await services.read(lambda tx: _progress(tx, evaluation)))


async def wait_for_update(
    services: Services, arguments: WaitForUpdate, request: Request, *, wait_s: float, report: Report
) -> Update:
    """What happened after `after`, or what the caller can claim; wakes at the earliest expiry of a lease as well.

    Without `after` it answers at once when something is claimable, and else waits for news from now on. About a change
    that has ended there will be none, so nobody waits for it.
    """
    deadline = anyio.current_time() + wait_s
    # No store counts further, and nothing came after that either.
    position = None if arguments.after is None else min(arguments.after, POSITION_MAX)
    while True:
        ticket = services.changed.ticket()
        look = await services.read(
            partial(_look, services=services, request=request, change=arguments.change, after=position)
        )
        left = services.left_s(deadline)
        is_claimable = bool(look.update.claimable) if arguments.after is None else look.has_run_out
        if look.update.happened or is_claimable or look.is_over or left <= 0:
            return look.update
        position = look.update.position
        if not await wait_for(ticket, min(left, look.expiry_s, REPORT_EVERY_S)):
            await report("nothing new yet")


def _progress(tx: "Tx", evaluation: str) -> str:
    verdict = read_verdict(tx, evaluation)
    if verdict.waits_for is not None:
        return verdict.waits_for
    row = tx.find_evaluation(evaluation)
    return row.progress if row is not None and row.progress else "the gates are running"


@dataclass(frozen=True, slots=True)
class _Look:
    """`has_run_out`: a lease has, which no event tells. `expiry_s`: how long until the next one may.

    `is_over`: the change that was asked about has ended.
    """

    update: Update
    has_run_out: bool
    is_over: bool
    expiry_s: float


def _look(tx: "Tx", *, services: Services, request: Request, change: str | None, after: int | None) -> _Look:
    now = services.clock()
    over = None if change is None else _end_of(get_change(tx, change))
    happened, position = _news(tx, change, after)
    claimable_now = openings_for(tx, now, request.principal, change=change, scopes=request.scopes)
    found = tuple(islice(claimable_now, CLAIMABLE_TOLD_MAX))
    claimable = tuple(f"{o.change}/{o.stage}{' (review)' if is_review else ''}" for o, is_review in found)
    openings = [opening for opening, _ in found]
    expiry = tx.next_expiry(now)
    update = Update(
        summary=_summary(happened, claimable, over),
        position=position,
        happened=happened,
        claimable=claimable,
        next=_next(openings, over, position),
    )
    expiry_s = REPORT_EVERY_S if expiry is None else max(0.01, (expiry - now).total_seconds())
    has_run_out = any(opening.expires_at is not None for opening in openings)
    return _Look(update, has_run_out, over is not None, expiry_s)


def _next(openings: "Sequence[Opening]", over: Refusal | None, position: int) -> str:
    if openings:
        first = openings[0]
        return f'claim_stage(change="{first.change}", stage="{first.stage}") takes the first of them.'
    return over.next if over else f"wait_for_update(after={position}) waits for more; get_status() tells why."


def _end_of(record: ChangeRecord) -> Refusal | None:
    """That nothing more will happen, in the words of a refusal; None while something may."""
    if record.state not in (ChangeState.LANDED, ChangeState.CANCELLED):
        return None
    return refusals.change_over(record.id, record.state)


def _news(tx: "Tx", change: str | None, after: int | None) -> tuple[tuple[str, ...], int]:
    """What happened after a position, oldest first, and the position after it: what does not fit comes next time."""
    if after is None:
        return (), tx.position(change)
    happened: list[str] = []
    position, is_more = after, True
    while is_more:
        events = tx.events_since(position, change=change, limit=EVENTS_AT_ONCE)
        is_more = len(events) == EVENTS_AT_ONCE
        for at, of, event in events:
            text = tell(event)
            if text is not None and len(happened) == EVENTS_TOLD_MAX:
                return tuple(happened), position
            if text is not None:
                happened.append(f"{of}: {shorten(text, EVENT_CHARS_MAX)}")
            position = at
    return tuple(happened), position


def _summary(happened: tuple[str, ...], claimable: tuple[str, ...], over: Refusal | None) -> str:
    if over is not None and not happened:
        return f"Nothing new. {over.message}"
    news = f"{len(happened)} new: {happened[-1]}." if happened else "Nothing new."
    return f"{news} Claimable: {', '.join(claimable)}." if claimable else f"{news} Nothing can be claimed now."
