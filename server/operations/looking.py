"""Where everything stands and why it cannot move.

Computed by the same functions that refuse, so it cannot drift from them.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from ...gates.machine.decision import SERVER
from ...gates.machine.precedence import refuse_change, refuse_claim
from ...gates.machine.reasons import reason_of
from ...gates.policy import Policy
from ...gates.text import number_of, shorten, some_of
from ...schemas import refusals
from ...schemas.arguments import GetStatus
from ...schemas.decisions import NUMBER_MAX, ChangeWhy, Looking, Paging
from ...schemas.ids import LAND
from ...schemas.records import ChangeRecord, ChangeState, StageRecord, StageState
from ...schemas.refusals import Refused
from ...schemas.replies import ChangeStatus, StageStatus, StageWhy, Status
from ..proofs import never_seen_red
from ..services import Services
from ..store import REVIEWER
from .awaiting import Awaited, awaited_of, everything_awaited
from .claimable import openings_for
from .deciding import get_change
from .explaining import explain, explain_landing, how_to_unlock, possible
from .questions import find_question
from .telling import newest

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ..store.tx import Tx

CHANGES_TOLD_MAX = 8
ENDED_TOLD_MAX = 3
TITLE_CHARS_MAX = 80
GATES_TOLD_MAX = 6
HISTORY_TOLD_MAX = 8
BECAUSE_CHARS_MAX = 400
# However long the history is, no more of it is held at once.
PAGE = 500
LIVE = (ChangeState.ACTIVE, ChangeState.LANDING)
ENDED = (ChangeState.LANDED, ChangeState.CANCELLED)


async def get_status(services: Services, arguments: GetStatus, principal: str | None = None) -> Status:
    """What waits for people in all changes, then those under way, newest first, and the last that ended; or one.

    `principal` is who asks, who is not sent to what only others may take; None for whoever reads it.
    """
    if arguments.change is not None:
        return await services.read(lambda tx: status(tx, arguments, services.clock(), principal))
    # git and the store are asked in one thread: to go from one to the next takes as long as to ask either.
    return await services.act(lambda: _status_of_all(services, arguments, principal))


async def get_status_before(services: Services, change: str) -> Status:
    """The changes under way that were begun before one, newest first: the page after it, and nothing else."""

    def page(tx: "Tx") -> Status:
        records = tx.changes_before(int(change[1:]), LIVE, limit=CHANGES_TOLD_MAX + 1)
        told = records[:CHANGES_TOLD_MAX]
        is_more = len(records) > len(told)
        following = (
            f"gatewright://changes/before/{told[-1].id} tells more." if is_more else "get_status() tells the first."
        )
        return Status(
            summary=f"{number_of(len(told), 'changes')} under way before {change}.",
            waiting_for_people=(),
            changes=tuple(change_status(tx, record, services.clock()) for record in told),
            next=following,
        )

    return await services.read(page)


def status(tx: "Tx", arguments: GetStatus, now: datetime, principal: str | None = None) -> Status:
    """`get_status` on one consistent state of the store."""
    if arguments.change is not None:
        return _status_of_one(tx, get_change(tx, arguments.change), arguments.stage, now, principal)
    records = tx.changes(LIVE, limit=CHANGES_TOLD_MAX)
    more = tx.count_changes(LIVE) - len(records)
    waiting = everything_awaited(tx)
    return Status(
        summary=_summary(records, waiting, more),
        waiting_for_people=waiting.told,
        waiting_more=waiting.more or None,
        changes=tuple(change_status(tx, record, now) for record in records),
        more=more or None,
        ended=tuple(_ended(record) for record in tx.changes(ENDED, limit=ENDED_TOLD_MAX)),
        next=_next(records, _claimable(tx, now, principal)),
    )


def _status_of_all(services: Services, arguments: GetStatus, principal: str | None) -> Status:
    """Blocking."""
    try:
        policy = services.policies.at(services.policies.known_tip())
    except Refused as exc:
        # Without a policy nothing can begin, whatever is open.
        found = services.store.read(lambda tx: status(tx, arguments, services.clock(), principal))
        return found if found.changes else found.model_copy(update={"next": exc.refusal.next})

    def with_warning(tx: "Tx") -> Status:
        found = status(tx, arguments, services.clock(), principal)
        return found.model_copy(update={"warning": _warning(tx, policy)})

    return services.store.read(with_warning)


def change_status(tx: "Tx", record: ChangeRecord, now: datetime, only: str | None = None) -> ChangeStatus:
    """One change with its stages."""
    stages = [stage for stage in record.stages if only in (None, stage.name)]
    return ChangeStatus(
        change=record.id,
        title=record.title,
        state=record.state,
        landing=_landing(record),
        stages=tuple(stage_status(tx, record, stage, now) for stage in stages),
    )


def stage_status(tx: "Tx", record: ChangeRecord, stage: StageRecord, now: datetime) -> StageStatus:
    """Where a stage stands, because of what, and what would unlock it: the words of the refusal a claimer would get."""
    parked = stage.state is not StageState.CLAIMED
    left = None if stage.lease is None or parked else max(0, round((stage.lease.expires_at - now).total_seconds()))
    refusal = refuse_change(record) or refuse_claim(record, stage, now)
    if refusal is not None and stage.state not in {StageState.ESCALATED, StageState.IN_REVIEW}:
        because, unlock = refusal.message, refusal.next
    else:
        reason = reason_of(record, stage, now)
        # Where somebody has to do something it is named; where nobody has, the refusal says what else there is to do.
        because = reason.because
        unlock = f"{reason.unlocks[0].how}." if refusal is None else refusal.next
        if refusal is not None and reason.unlocks:
            unlock = how_to_unlock(possible(tx, reason.unlocks), now)
    return StageStatus(
        stage=stage.name,
        state=stage.state,
        holder=SERVER if stage.transform is not None else stage.lease.holder if stage.lease is not None else None,
        expires_in_s=left,
        attempt=len(stage.attempts) or None,
        because=shorten(because, BECAUSE_CHARS_MAX),
        unlock=unlock,
    )


def why(tx: "Tx", record: ChangeRecord, name: str, now: datetime) -> StageWhy:
    """Everything about one stage, or about the landing for `land`; raises `Refused` (unknown_stage)."""
    if name == LAND:
        return explain_landing(tx, record, now)
    stage = record.find_stage(name)
    if stage is None:
        raise Refused(refusals.unknown_stage(record.id, name, [*(found.name for found in record.stages), LAND]))
    return explain(tx, record, stage, now)


def look_why(services: Services, tx: "Tx", asked: Looking) -> ChangeWhy:
    """Everything about a change, or about one stage of it, in one look; raises `Refused` where there is none."""
    record, now = get_change(tx, asked.change), services.clock()
    found = status(tx, GetStatus.model_construct(change=asked.change, stage=asked.stage), now)
    names = [asked.stage] if asked.stage else [*(stage.name for stage in record.stages), LAND]
    return ChangeWhy(
        change=record.id,
        title=record.title,
        state=record.state,
        base=record.base,
        target=record.target,
        policy=record.policy.commit,
        status=found,
        told=tuple(why(tx, record, name, now) for name in names),
        questions={name: question.texts for name in names if (question := find_question(tx, record, name)) is not None},
    )


def look_back(tx: "Tx", asked: Paging) -> tuple[tuple[int, str, int, "Event"], ...]:
    """A page of what happened, with what to ask for the next page after, in order; raises `Refused`.

    Of one change its events by number; of all changes in the order of their commits. Empty at the end.
    """
    if asked.change is None:
        return tx.numbered_events(asked.after, limit=PAGE)
    get_change(tx, asked.change)
    events = tx.events(asked.change, after=min(asked.after, NUMBER_MAX), limit=PAGE)
    return tuple((number, asked.change, number, event) for number, event in events)


def _status_of_one(tx: "Tx", record: ChangeRecord, stage: str | None, now: datetime, principal: str | None) -> Status:
    told = None if stage is None else why(tx, record, stage, now)
    waiting = Awaited.of(awaited_of(tx, record))
    return Status(
        summary=_summary((record,), waiting, 0),
        waiting_for_people=waiting.told,
        waiting_more=waiting.more or None,
        changes=(change_status(tx, record, now, stage),),
        why=told,
        history=newest(tx, record, HISTORY_TOLD_MAX) if stage is None else (),
        next=_next((record,), _claimable(tx, now, principal, record.id)),
    )


def _claimable(tx: "Tx", now: datetime, principal: str | None, change: str | None = None) -> str | None:
    """The change of the first thing that can be claimed; a review only of what somebody else made."""
    first = next(iter(tx.openings(now, change=change, limit=1)), None)
    if first is None or principal is None or first.role != REVIEWER:
        return None if first is None else first.change
    return next((opening.change for opening, _ in openings_for(tx, now, principal, change=change)), None)


def _warning(tx: "Tx", policy: Policy) -> str | None:
    """Which gates of the policy nobody has seen fail: they may be such as cannot."""
    labels = never_seen_red(tx, policy)
    if not labels:
        return None
    named = some_of(labels, GATES_TOLD_MAX)
    return f"Never seen red under the present policy: {named}. A person runs `gatewright doctor`, which tries them."


def _ended(record: ChangeRecord) -> str:
    what = _landing(record) if record.state is ChangeState.LANDED else "was cancelled"
    return f"{record.id} '{shorten(record.title, TITLE_CHARS_MAX)}' {what}"


def _landing(record: ChangeRecord) -> str | None:
    if record.landed_commit is not None:
        return f"landed on '{record.target}' as {record.landed_commit}"
    if record.landing is None:
        return None
    because = f": {record.landing.because}" if record.landing.because else ""
    return f"{record.landing.step}{because}"


def _summary(records: tuple[ChangeRecord, ...], waiting: Awaited, more: int) -> str:
    if not records:
        return "No change is under way."
    waits = "waits" if waiting.total == 1 else "wait"
    people = f" {waiting.total} {waits} for a person." if waiting.total else ""
    if len(records) == 1 and not more:
        record = records[0]
        stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
        return f"{record.id} '{record.title}' is {record.state}: {stages}.{people}"
    return f"{len(records) + more} changes are under way.{people}"


def _next(records: tuple[ChangeRecord, ...], claimable: str | None) -> str:
    if claimable is not None:
        return f'claim_stage(agent="<your name>", change="{claimable}") takes what is open.'
    if any(record.state in LIVE for record in records):
        return "wait_for_update() wakes you when something opens."
    return "start_change(title, intent) begins a change."
