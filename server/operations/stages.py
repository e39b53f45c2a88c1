"""Claim, renew and release a stage, and keep what a former holder left behind.

Where a stage is in review its review is what can be claimed: see `reviews`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ...gates.lifecycle import decide
from ...gates.machine import commands as c
from ...gates.machine.precedence import refuse_change, refuse_claim
from ...gates.worktrees.problems import WorkspaceProblem
from ...schemas import access, refusals
from ...schemas.arguments import ClaimStage, ReleaseStage
from ...schemas.ids import LeaseName
from ...schemas.records import ChangeRecord, ChangeState, StageState
from ...schemas.refusals import Refusal, RefusalCode, Refused
from ...schemas.replies import Brief, ReleasedReply, RenewedReply
from ..identity.scopes import Scope
from ..services import Services
from ..signal import Report, wait_for
from ..store import Opening
from . import briefs, reviews, workplaces
from .claimable import openings
from .conflicts import with_evidence
from .deciding import apply, get_change
from .makers import keep_orphan
from .repeating import Reference, Request, once

if TYPE_CHECKING:
    from ..store.tx import Tx

# Refusals of a review that time may end: it is under way, or answered by as many as it needs.
REVIEW_MAY_OPEN = frozenset({RefusalCode.LEASE_HELD, RefusalCode.STAGE_IN_REVIEW})
WAKE_AT_LEAST_EVERY_S = 5.0


async def claim_stage(
    services: Services, request: Request, arguments: ClaimStage, *, wait_s: float, report: Report
) -> Brief:
    """Lease the named or the best open work and brief its holder; `kind: none` with `why` when nothing is open.

    The best is that of the oldest change, within it what is furthest on: what is begun is finished before more is
    begun. A review counts as its stage does, for whoever may give it. Waits up to `wait_s` for something to open, and
    wakes at the earliest expiry of a lease, so that work is never lost to a missing timer.
    """
    deadline = anyio.current_time() + wait_s
    is_patient = False
    while True:
        ticket = services.changed.ticket()
        claimed = partial(_claimed, services=services, request=request, arguments=arguments, is_patient=is_patient)
        try:
            reference, record = await services.run(claimed)
        except _Contended:
            is_patient = True
        except _NothingOpen as nothing:
            is_patient = False
            left = services.left_s(deadline)
            if left <= 0 and nothing.refusal is not None:
                raise Refused(nothing.refusal) from None
            if left <= 0:
                return await services.read(lambda tx: briefs.nothing_to_claim(tx, services, arguments))
            if not await wait_for(ticket, min(left, await _until_expiry_s(services))):
                await report("nothing has opened yet")
        else:
            stage = str(reference["stage"])
            if "review" in reference:
                return await reviews.brief_of_review(services, record.id, stage, int(str(reference["review"])))
            return await _brief_of(services, record, stage, int(str(reference["fence"])))


async def _until_expiry_s(services: Services) -> float:
    """How long nothing can become claimable by time alone."""
    now = services.clock()
    expiry = await services.read(lambda tx: tx.next_expiry(now))
    if expiry is None:
        return WAKE_AT_LEAST_EVERY_S
    return min(WAKE_AT_LEAST_EVERY_S, max(0.01, (expiry - now).total_seconds()))


async def brief_of_claim(services: Services, change: str, stage: str, fence: int) -> Brief:
    """Make the holder's workspace, offer what others left, and tell all that is needed. Repeatable."""
    return await _brief_of(services, await services.read(lambda tx: get_change(tx, change)), stage, fence)


async def renew_lease(services: Services, lease: LeaseName) -> RenewedReply:
    """Say that the holder is alive."""
    record = await services.run(lambda tx: renew(tx, services, lease))
    stage = record.stage(lease.stage)
    assert stage.lease is not None
    left = max(0, round((stage.lease.expires_at - services.clock()).total_seconds()))
    if stage.state is not StageState.CLAIMED:
        following = (
            f'Your attempt is being judged and the lease cannot expire: wait_for_update(change="{lease.change}").'
        )
        left = round(record.plan.lease_s)
    else:
        following = "Go on working; submit_artifact when it is done. Every call with the lease renews it."
    return RenewedReply(change=lease.change, stage=lease.stage, expires_in_s=left, next=following)


def renew(tx: "Tx", services: Services, lease: LeaseName) -> ChangeRecord:
    """Any call with a lease renews it (rule 2)."""
    record = get_change(tx, lease.change)
    return apply(tx, record, c.Renew(lease.stage, lease.fence), services.clock())


async def release_stage(
    services: Services, request: Request, lease: LeaseName, arguments: ReleaseStage
) -> ReleasedReply:
    """Let go by one of the exits. What the workspace holds stays, and is offered to the next holder."""
    command = c.Release(lease.stage, lease.fence, c.Because(arguments.because), arguments.reason, arguments.stage)
    if command.because is c.Because.SPEC_CONFLICT:
        before = await services.read(lambda tx: get_change(tx, lease.change))
        command = await services.act(lambda: with_evidence(services, before, command))

    def release(tx: "Tx") -> Reference:
        apply(tx, get_change(tx, lease.change), command, services.clock())
        return {"change": lease.change, "stage": lease.stage}

    await services.run(lambda tx: once(tx, request, services.clock(), lambda: release(tx)))
    record = await services.read(lambda tx: get_change(tx, lease.change))
    state = record.stage(lease.stage).state
    if arguments.because == "withdraw" and state is StageState.CLAIMED:
        following = "The stage is still yours: change what you want, then submit_artifact again with the same lease."
    else:
        following = "claim_stage for other work. What you made is kept for the next holder."
    return ReleasedReply(change=lease.change, stage=lease.stage, stage_state=state, next=following)


class _NothingOpen(Exception):
    """Nothing could be claimed; rolls the transaction back. `refusal` when a stage was named."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        self.refusal = refusal
        super().__init__()


class _Contended(Exception):
    """Nothing could be claimed, but of what others were writing to just now; rolls the transaction back."""


def _claimed(
    tx: "Tx", services: Services, request: Request, arguments: ClaimStage, *, is_patient: bool
) -> tuple[Reference, ChangeRecord]:
    """What was claimed, and its change after that."""

    def claim() -> Reference:
        if arguments.change is not None and arguments.stage is not None:
            return _claim_named(tx, services, request, arguments, get_change(tx, arguments.change))
        return _claim(tx, services, request, arguments, is_patient=is_patient)

    reference = once(tx, request, services.clock(), claim)
    return reference, get_change(tx, str(reference["change"]))


def _claim(tx: "Tx", services: Services, request: Request, arguments: ClaimStage, *, is_patient: bool) -> Reference:
    """Claim the best of what is open.

    Many who ask at once are not to wait for one another in turn, each for the best: what somebody is writing to is
    passed over. Where nothing else is left they wait, `is_patient`, in the order of the changes.
    """
    if arguments.change is not None:
        refusal = refuse_change(get_change(tx, arguments.change))
        if refusal is not None:
            raise Refused(refusal)
    now = services.clock()
    looked_at = set[tuple[str, str]]()
    for opening, record in (_every if is_patient else _every_free)(tx, now, arguments):
        looked_at.add((opening.change, opening.stage))
        command = _command(request, arguments, record, opening.stage)
        if _scope_of(command) in request.scopes and not isinstance(decide(record, command, now), Refusal):
            return _reference(apply(tx, record, command, now), command)
    if any((opening.change, opening.stage) not in looked_at for opening in _openings(tx, now, arguments)):
        raise _Contended
    raise _NothingOpen


def _every(tx: "Tx", now: datetime, arguments: ClaimStage) -> Iterator[tuple[Opening, ChangeRecord]]:
    for opening in _openings(tx, now, arguments):
        yield opening, get_change(tx, opening.change)


def _every_free(tx: "Tx", now: datetime, arguments: ClaimStage) -> Iterator[tuple[Opening, ChangeRecord]]:
    find = partial(tx.free_opening, now, change=arguments.change, stage=arguments.stage, role=arguments.role)
    found = find()
    while found is not None:
        yield found
        found = find(after=found[0])


def _openings(tx: "Tx", now: datetime, arguments: ClaimStage) -> Iterator[Opening]:
    return openings(tx, now, change=arguments.change, stage=arguments.stage, role=arguments.role)


def _claim_named(
    tx: "Tx", services: Services, request: Request, arguments: ClaimStage, record: ChangeRecord
) -> Reference:
    assert arguments.stage is not None
    now = services.clock()
    command = _command(request, arguments, record, arguments.stage)
    if _scope_of(command) not in request.scopes:
        what = f"{'Reviewing' if isinstance(command, c.ClaimReview) else 'Working on'} '{arguments.stage}'"
        raise Refused(access.scope_missing(what, (_scope_of(command),), request.scopes))
    decided = decide(record, command, now)
    if not isinstance(decided, Refusal):
        return _reference(apply(tx, record, command, now), command)
    stage = record.find_stage(arguments.stage)
    if isinstance(command, c.ClaimReview) and decided.code in REVIEW_MAY_OPEN:
        raise _NothingOpen(decided)
    is_run = stage is not None and record.rule(stage.name).is_transform
    if stage is None or record.state is not ChangeState.ACTIVE or is_run or isinstance(command, c.ClaimReview):
        # Waiting would not help: what the server runs is never open, nor is the review of one's own work.
        raise Refused(decided)
    own = stage.lease is not None and (stage.lease.principal, stage.lease.holder) == (
        request.principal,
        arguments.agent,
    )
    if stage.state is StageState.CLAIMED and stage.lease is not None and own:
        left = (stage.lease.expires_at - now).total_seconds()
        path = services.places.find_lease_file(services, record.id, stage.name, stage.fence)
        raise _NothingOpen(refusals.lease_held(record.id, stage.name, stage.lease.holder, left, path))
    raise _NothingOpen(refuse_claim(record, stage, now))


def _command(request: Request, arguments: ClaimStage, record: ChangeRecord, name: str) -> c.Claim | c.ClaimReview:
    stage = record.find_stage(name)
    make = c.ClaimReview if stage is not None and stage.state is StageState.IN_REVIEW else c.Claim
    return make(name, arguments.agent, request.principal, arguments.model, arguments.key)


def _scope_of(command: c.Claim | c.ClaimReview) -> Scope:
    """What whoever is given this must be allowed to."""
    return Scope.REVIEW if isinstance(command, c.ClaimReview) else Scope.WORK


def _reference(record: ChangeRecord, command: c.Claim | c.ClaimReview) -> Reference:
    if isinstance(command, c.ClaimReview):
        return reviews.reference_of(record, command.stage, command.principal)
    return {"change": record.id, "stage": command.stage, "fence": record.stage(command.stage).fence}


def _still_holds(record: ChangeRecord, stage: str, fence: int) -> bool:
    found = record.find_stage(stage)
    return found is not None and found.lease is not None and found.lease.fence == fence


async def _brief_of(services: Services, record: ChangeRecord, stage: str, fence: int) -> Brief:
    holds = _still_holds(record, stage, fence)
    if holds:
        await _keep_leftovers(services, record, stage, fence)
    place, brief = await services.act(lambda: _settle_in(services, record, stage, fence, holds=holds))
    if holds and place.may_be_furnished and place.path is not None:
        services.on_workspace(record.id, stage, place.path)
    return brief


def _settle_in(
    services: Services, record: ChangeRecord, stage: str, fence: int, *, holds: bool
) -> tuple[workplaces.Workplace, Brief]:
    """The holder's workspace, made, and the brief. Blocking: git and the store are asked in one thread."""
    place = (services.places.make if holds else services.places.find)(services, record, stage, fence)
    return place, services.store.read(
        lambda tx: briefs.brief(tx, services, get_change(tx, record.id), stage, fence, place=place)
    )


async def _keep_leftovers(services: Services, record: ChangeRecord, stage: str, fence: int) -> None:
    """Offer the former holder's unsaved work for adoption: nothing that anybody made is thrown away (rule 1)."""
    former = fence - 1
    if former < 1:
        return
    now = services.clock()
    try:
        kept = await services.act(lambda: services.places.save_unsaved(services, record, stage, former, when=now))
    except (WorkspaceProblem, OSError):
        return
    known = {attempt.tree for attempt in record.stage(stage).attempts}
    if kept is None:
        return
    saved, note = kept
    tree = await services.act(lambda: services.repository.tree_of(saved))
    if tree not in known:
        await keep_orphan(services, record.id, stage, former, commit=saved, tree=tree, note=note)
