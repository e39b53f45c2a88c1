"""Decide about reviews, which come on top of a passed floor: pure.

A review names one commit and is void with the attempt that it belongs to. Whoever made the artifact does not judge it,
and nobody counts twice. Source: docs/protocol.md, rule 9.
"""

from collections.abc import Iterable, Sized
from typing import TypeAlias

from ...schemas import events as e
from ...schemas import refusals
from ...schemas.plan import ReviewRule
from ...schemas.records import BLOCKING, Attempt, ChangeRecord, Review, ReviewLease, StageRecord, StageState
from ...schemas.refusals import Refusal
from . import settlement
from .commands import ClaimReview, GiveReview, ReleaseReview, RenewReview
from .decision import Decision
from .independence import FAMILY, PRINCIPAL, as_compared, family
from .precedence import refuse_claim

Decided: TypeAlias = tuple[e.Event, ...] | Refusal

SAYS_NOTHING = "A review that found nothing says what it looked at, in `inspected`"


def claim(decision: Decision, stage: StageRecord, command: ClaimReview) -> Decided:
    """A review lease on the current attempt; one that the same principal holds already is renewed."""
    held = _held_by(stage, command.principal)
    if held is not None and _keeps_seat(decision, stage, held):
        decision.add(e.ReviewLeaseRenewed(decision.now, stage.name, held.number, decision.lease_end()))
        return decision.events
    rule = _choose(decision, stage, command)
    if isinstance(rule, Refusal):
        return rule
    attempt = _judged(stage)
    lease = ReviewLease(
        gate=rule.gate,
        reviewer=command.reviewer,
        principal=command.principal,
        number=stage.review_leases + 1,
        granted_at=decision.now,
        expires_at=decision.lease_end(),
        model=command.model,
        key=command.key,
    )
    decision.add(e.ReviewClaimed(decision.now, stage.name, attempt.number, lease))
    return decision.events


def renew(decision: Decision, stage: StageRecord, command: RenewReview) -> Decided:
    """The reviewer is alive. A lease whose seat somebody else has taken meanwhile stays expired."""
    lease = find_lease(stage, command.number)
    if lease is None:
        return _void(decision.record, stage, command.number)
    if not _keeps_seat(decision, stage, lease):
        return ()
    decision.add(e.ReviewLeaseRenewed(decision.now, stage.name, lease.number, decision.lease_end()))
    return decision.events


def release(decision: Decision, stage: StageRecord, command: ReleaseReview) -> Decided:
    """The reviewer lets go; somebody else may review."""
    lease = find_lease(stage, command.number)
    if lease is None:
        return _void(decision.record, stage, command.number)
    decision.add(e.ReviewReleased(decision.now, stage.name, lease.number, command.reason))
    return decision.events


def give(decision: Decision, stage: StageRecord, command: GiveReview) -> Decided:
    """Take a review in. One blocking finding rejects; without any, the review counts towards its gate's quorum."""
    refusal = refuse_review(decision.record, stage, command.number, command.by)
    if refusal is not None:
        return refusal
    if says_nothing(command.findings, command.inspected):
        return refusals.review_inconsistent(SAYS_NOTHING)
    attempt, lease = _judged(stage), find_lease(stage, command.number)
    assert lease is not None, "without a lease it was refused"
    review = Review(
        gate=lease.gate,
        reviewer=lease.reviewer,
        principal=lease.principal,
        commit=attempt.commit,
        findings=command.findings,
        inspected=command.inspected,
        at=decision.now,
        model=lease.model,
        note=command.note,
    )
    decision.add(e.ReviewGiven(decision.now, stage.name, attempt.number, lease.number, review))
    if review.is_rejecting:
        blocking = [finding for finding in review.findings if finding.severity == BLOCKING]
        because = f"reviewer '{review.reviewer}' found {len(blocking)} blocking: {blocking[0].message}"
        marks = tuple(sorted({finding.fingerprint for finding in blocking}))
        settlement.fail_gate(decision, stage.name, lease.gate, marks, because)
    else:
        settlement.pass_when_answered(decision, stage.name)
    return decision.events


def refuse_review(record: ChangeRecord, stage: StageRecord, number: int, by: str | None) -> Refusal | None:
    """Why no review is taken by this lease, whatever it would say; `by` is the principal that gives it, where known."""
    lease = find_lease(stage, number)
    if lease is None:
        return _void(record, stage, number)
    attempt = _judged(stage)
    if by in {maker.principal for maker in stage.makers(attempt)}:
        return refusals.own_work(record.id, stage.name, "review")
    if _has_judged(_independence(record, stage, lease.gate), lease, attempt.reviews):
        # The other one began when this lease had expired, or before names and models were compared with it.
        return refusals.already_reviewed(record.id, stage.name, lease.reviewer)
    if all(rule.gate != lease.gate for rule in open_reviews(record, stage)):
        # Its gate is answered, by who took the seat of this lease when it had expired.
        return refusals.reviewed_enough(record.id, stage.name)
    return None


def says_nothing(findings: Sized, inspected: Iterable[str]) -> bool:
    """Whether a review has found nothing and does not say what it looked at."""
    return not findings and not any(text.strip() for text in inspected)


def find_lease(stage: StageRecord, number: int) -> ReviewLease | None:
    """The review lease as it stands, or None when it has ended."""
    if stage.state is not StageState.IN_REVIEW:
        return None
    return next((lease for lease in _judged(stage).review_leases if lease.number == number), None)


def open_reviews(record: ChangeRecord, stage: StageRecord) -> tuple[ReviewRule, ...]:
    """The review gates of a stage in review whose quorum is not reached."""
    if stage.state is not StageState.IN_REVIEW:
        return ()
    return tuple(rule for rule in record.rule(stage.name).reviews if len(_counting(stage, rule)) < rule.quorum)


def _choose(decision: Decision, stage: StageRecord, command: ClaimReview) -> ReviewRule | Refusal:
    """The first review gate with a free seat that takes this reviewer, or why none does."""
    record = decision.record
    if stage.state is not StageState.IN_REVIEW:
        return refuse_claim(record, stage, decision.now) or refusals.unknown_attempt(
            record.id, stage.name, "nothing to review: no attempt has passed its floor"
        )
    wanting = open_reviews(record, stage)
    if not wanting:
        refusal = refuse_claim(record, stage, decision.now)
        assert refusal is not None, "a stage in review cannot be claimed"
        return refusal
    if command.model is None and all(rule.independence == FAMILY for rule in wanting):
        return refusals.bad_argument("this review counts model families: say which `model` you are")
    free = [rule for rule in wanting if _seats(decision, stage, rule) > 0]
    if not free:
        busy = next(lease for lease in _judged(stage).review_leases if lease.expires_at > decision.now)
        left = (busy.expires_at - decision.now).total_seconds()
        return refusals.lease_held(record.id, f"{stage.name} (its review)", busy.reviewer, left)
    found = [_refuse_for(decision, stage, rule, command) or rule for rule in free]
    return next((rule for rule in found if isinstance(rule, ReviewRule)), found[0])


def _refuse_for(decision: Decision, stage: StageRecord, rule: ReviewRule, command: ClaimReview) -> Refusal | None:
    """Why this reviewer does not count for this gate."""
    change, attempt = decision.record.id, _judged(stage)
    if rule.independence == FAMILY and command.model is None:
        return refusals.bad_argument(f"review '{rule.gate}' counts model families: say which `model` you are")
    makers = stage.makers(attempt)
    if any(_is_same(rule.independence, command, m.principal, m.holder, m.model) for m in makers):
        return refusals.own_work(change, stage.name, "review")
    others = [x for x in attempt.review_leases if x.expires_at > decision.now and x.principal != command.principal]
    if _has_judged(rule.independence, command, (*attempt.reviews, *others)):
        return refusals.already_reviewed(change, stage.name, command.reviewer)
    return None


def _has_judged(independence: str, who: ClaimReview | ReviewLease, others: Iterable[Review | ReviewLease]) -> bool:
    """Whether one who counts as the same is among those who have judged, or are about to."""
    return any(_is_same(independence, who, other.principal, other.reviewer, other.model) for other in others)


def _is_same(independence: str, who: ClaimReview | ReviewLease, principal: str, label: str, model: str | None) -> bool:
    """Whether the reviewer does not count as another than this one."""
    if who.principal == principal:
        return True
    if independence == PRINCIPAL:
        return False
    if as_compared(who.reviewer) == as_compared(label):
        return True
    return independence == FAMILY and family(who.model) == family(model)


def _counting(stage: StageRecord, rule: ReviewRule) -> tuple[Review, ...]:
    reviews = stage.current.reviews if stage.current is not None else ()
    return tuple(review for review in reviews if review.gate == rule.gate and not review.is_rejecting)


def _independence(record: ChangeRecord, stage: StageRecord, gate: str) -> str:
    return next(rule.independence for rule in record.rule(stage.name).reviews if rule.gate == gate)


def _keeps_seat(decision: Decision, stage: StageRecord, lease: ReviewLease) -> bool:
    """Whether nobody has taken the seat of a lease since it expired."""
    rule = next(rule for rule in decision.record.rule(stage.name).reviews if rule.gate == lease.gate)
    return lease.expires_at > decision.now or _seats(decision, stage, rule) > 0


def _seats(decision: Decision, stage: StageRecord, rule: ReviewRule) -> int:
    """How many more may review by this gate now; a lease that has expired takes no seat."""
    taken = [
        lease for lease in _judged(stage).review_leases if lease.gate == rule.gate and lease.expires_at > decision.now
    ]
    return rule.quorum - len(_counting(stage, rule)) - len(taken)


def _judged(stage: StageRecord) -> Attempt:
    assert stage.current is not None, "a stage in review has an attempt"
    return stage.current


def _held_by(stage: StageRecord, principal: str) -> ReviewLease | None:
    if stage.state is not StageState.IN_REVIEW:
        return None
    return next((lease for lease in _judged(stage).review_leases if lease.principal == principal), None)


def _void(record: ChangeRecord, stage: StageRecord, number: int) -> Refusal:
    """Why a review lease counts for nothing any more."""
    assert number <= stage.review_leases, "a genuine lease was given once"
    commit = stage.current.commit if stage.state is StageState.IN_REVIEW and stage.current is not None else None
    return refusals.review_stale(record.id, stage.name, commit)
