"""Where everything stands and why it cannot move.

Computed by the same functions that refuse, so it cannot drift from them.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from ...gates import landing as landing_rules
from ...gates.decision import SERVER
from ...gates.policy import Policy
from ...gates.precedence import is_expired, refuse_change, refuse_claim
from ...gates.questions import open_questions
from ...gates.text import some_of
from ...schemas import refusals
from ...schemas.arguments import GetStatus
from ...schemas.records import ChangeRecord, ChangeState, LandingStep, StageRecord, StageState
from ...schemas.refusals import Refused
from ...schemas.replies import ChangeStatus, StageStatus, Status
from ..proofs import never_seen_red
from ..services import Services
from .deciding import get_change

if TYPE_CHECKING:
    from ..store.tx import Tx

CHANGES_TOLD_MAX = 8
BECAUSE_CHARS_MAX = 240
GATES_TOLD_MAX = 6


async def get_status(services: Services, arguments: GetStatus) -> Status:
    """The changes under way, newest first, or the named one; what waits for people comes first."""
    found = await services.read(lambda tx: status(tx, arguments, services.clock()))
    if arguments.change is not None:
        return found
    try:
        policy = await services.act(lambda: services.policies.at(services.policies.tip()))
    except Refused as exc:
        # Without a policy nothing can begin, whatever is open.
        return found if found.changes else found.model_copy(update={"next": exc.refusal.next})
    return found.model_copy(update={"warning": await services.read(lambda tx: _warning(tx, policy))})


def status(tx: "Tx", arguments: GetStatus, now: datetime) -> Status:
    """`get_status` on one consistent state of the store."""
    live = (ChangeState.ACTIVE, ChangeState.LANDING)
    if arguments.change is not None:
        records: tuple[ChangeRecord, ...] = (get_change(tx, arguments.change),)
        if arguments.stage is not None and records[0].find_stage(arguments.stage) is None:
            names = [stage.name for stage in records[0].stages]
            raise Refused(refusals.unknown_stage(records[0].id, arguments.stage, names))
        more = 0
    else:
        records = tx.changes(live, limit=CHANGES_TOLD_MAX)
        more = tx.count_changes(live) - len(records)
    waiting = tuple(text for record in records for text in waiting_for_people(record))
    openings = tx.openings(now, change=arguments.change, limit=1)
    return Status(
        summary=_summary(records, waiting, more),
        waiting_for_people=waiting,
        changes=tuple(change_status(record, now, arguments.stage) for record in records),
        more=more or None,
        next=_next(records, openings[0].change if openings else None),
    )


def change_status(record: ChangeRecord, now: datetime, only: str | None = None) -> ChangeStatus:
    """One change with its stages."""
    stages = [stage for stage in record.stages if only in (None, stage.name)]
    return ChangeStatus(
        change=record.id,
        title=record.title,
        state=record.state,
        landing=_landing(record),
        stages=tuple(stage_status(record, stage, now) for stage in stages),
    )


def stage_status(record: ChangeRecord, stage: StageRecord, now: datetime) -> StageStatus:
    """Where a stage stands, because of what, and what would unlock it: the words of the refusal a claimer would get."""
    refusal = refuse_change(record) or refuse_claim(record, stage, now)
    because = refusal.message if refusal is not None else _claimable(stage, now)
    unlock = refusal.next if refusal is not None else f'claim_stage(change="{record.id}", stage="{stage.name}").'
    parked = stage.state is not StageState.CLAIMED
    left = None if stage.lease is None or parked else max(0, round((stage.lease.expires_at - now).total_seconds()))
    return StageStatus(
        stage=stage.name,
        state=stage.state,
        holder=SERVER if stage.transform is not None else stage.lease.holder if stage.lease is not None else None,
        expires_in_s=left,
        attempt=len(stage.attempts) or None,
        because=because,
        unlock=unlock,
    )


def waiting_for_people(record: ChangeRecord) -> tuple[str, ...]:
    """What only a person can move, each with the command that does."""
    told = []
    for stage in record.stages:
        told += [
            f"gate '{gate}' asks about {record.id}/{stage.name}: `gatewright answer {record.id} {stage.name}`"
            for gate in open_questions(record, stage)
        ]
        if stage.state is StageState.ESCALATED and stage.escalation is not None:
            question = stage.escalation.question[:BECAUSE_CHARS_MAX]
            told.append(f"{record.id}/{stage.name}: {question}: `gatewright why {record.id} {stage.name}`")
    found = record.landing
    if found is not None and found.step is LandingStep.ASKING:
        told += [
            f"land gate '{gate}' asks about {record.id}: `gatewright answer {record.id} land`"
            for gate in landing_rules.open_questions(record, found)
        ]
    if found is not None and found.step is LandingStep.BLOCKED:
        told.append(f"landing of {record.id} waits: {found.because}")
    return tuple(told)


def _warning(tx: "Tx", policy: Policy) -> str | None:
    """Which gates of the policy nobody has seen fail: they may be such as cannot."""
    labels = never_seen_red(tx, policy)
    if not labels:
        return None
    named = some_of(labels, GATES_TOLD_MAX)
    return f"Never seen red under the present policy: {named}. A person runs `gatewright doctor`, which tries them."


def _claimable(stage: StageRecord, now: datetime) -> str:
    if stage.lease is not None and is_expired(stage.lease, now):
        return f"open to a takeover: the lease of '{stage.lease.holder}' has run out, who may still submit until then"
    return "open"


def _landing(record: ChangeRecord) -> str | None:
    if record.landed_commit is not None:
        return f"landed on '{record.target}' as {record.landed_commit}"
    if record.landing is None:
        return None
    because = f": {record.landing.because}" if record.landing.because else ""
    return f"{record.landing.step}{because}"


def _summary(records: tuple[ChangeRecord, ...], waiting: tuple[str, ...], more: int) -> str:
    if not records:
        return "No change is under way."
    people = f" {len(waiting)} wait for a person." if waiting else ""
    if len(records) == 1 and not more:
        record = records[0]
        stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
        return f"{record.id} '{record.title}' is {record.state}: {stages}.{people}"
    return f"{len(records) + more} changes are under way.{people}"


def _next(records: tuple[ChangeRecord, ...], claimable: str | None) -> str:
    if claimable is not None:
        return f'claim_stage(agent="<your name>", change="{claimable}") takes what is open.'
    if any(record.state in {ChangeState.ACTIVE, ChangeState.LANDING} for record in records):
        return "wait_for_update() wakes you when something opens."
    return "start_change(title, intent) begins a change."
