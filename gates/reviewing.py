"""Decide about reviews and approvals, which come on top of a passed floor: pure.

Both name one commit and are void with the attempt that it belongs to. Whoever made the artifact does not judge it, and
nobody counts twice. Source: docs/protocol.md, rules 9 and 10.
"""

import re
from typing import TypeAlias

from ..schemas import events as e
from ..schemas import refusals
from ..schemas.plan import ApprovalRule, ReviewRule
from ..schemas.records import (
    BLOCKING,
    Approval,
    Attempt,
    ChangeRecord,
    GateOutcome,
    Outcome,
    Review,
    ReviewLease,
    StageRecord,
    StageState,
)
from ..schemas.refusals import Refusal
from . import settlement
from .commands import Approve, ClaimReview, GiveReview, ReleaseReview, RenewReview
from .decision import Decision
from .precedence import refuse_claim

Decided: TypeAlias = tuple[e.Event, ...] | Refusal

_FAMILY = re.compile(r"[a-z]+")


def claim(decision: Decision, stage: StageRecord, command: ClaimReview) -> Decided:
    """A review lease on the current attempt; one that the same principal holds already is renewed."""
    held = _held_by(stage, command.principal)
    if held is not None:
        decision.add(e.ReviewLeaseRenewed(decision.now, stage.name, held.number, decision.lease_end()))
        return decision.events
    refusal = refuse_review(decision, stage, command)
    if refusal is not None:
        return refusal
    attempt = _judged(stage)
    rule = next(rule for rule in open_reviews(decision.record, stage) if _seats(decision, stage, rule) > 0)
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
    """The reviewer is alive."""
    lease = _lease(stage, command.number)
    if lease is None:
        return _void(decision, stage, command.number)
    decision.add(e.ReviewLeaseRenewed(decision.now, stage.name, lease.number, decision.lease_end()))
    return decision.events


def release(decision: Decision, stage: StageRecord, command: ReleaseReview) -> Decided:
    """The reviewer lets go; somebody else may review."""
    lease = _lease(stage, command.number)
    if lease is None:
        return _void(decision, stage, command.number)
    decision.add(e.ReviewReleased(decision.now, stage.name, lease.number, command.reason))
    return decision.events


def give(decision: Decision, stage: StageRecord, command: GiveReview) -> Decided:
    """Take a review in. One blocking finding rejects; without any, the review counts towards its gate's quorum."""
    lease = _lease(stage, command.number)
    if lease is None:
        return _void(decision, stage, command.number)
    attempt = _judged(stage)
    if not command.findings and not command.inspected:
        return refusals.review_inconsistent("A review that found nothing says what it looked at, in `inspected`")
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
        blocking = tuple(sorted({f.fingerprint for f in review.findings if f.severity == BLOCKING}))
        because = f"reviewer '{review.reviewer}' found {len(blocking)} blocking: {review.findings[0].message}"
        _fail(decision, stage.name, lease.gate, blocking, because)
    else:
        settlement.pass_when_answered(decision, stage.name)
    return decision.events


def approve(decision: Decision, stage: StageRecord, command: Approve) -> Decided:
    """Take a person's word in about the current attempt's commit; a no fails the attempt."""
    record = decision.record
    if stage.state is not StageState.IN_REVIEW:
        return refuse_claim(record, stage, decision.now) or refusals.unknown_attempt(
            record.id, stage.name, "nothing to approve: no attempt has passed its floor"
        )
    attempt = _judged(stage)
    rule = _wanted(record.rule(stage.name).approvals, open_approvals(record, stage), command.gate)
    if rule is None:
        return refusals.unknown_attempt(record.id, stage.name, "no approval open")
    if (command.commit, command.target) != (attempt.commit, record.target):
        return refusals.review_stale(record.id, stage.name, attempt.commit)
    if command.person == attempt.principal:
        return refusals.own_work(record.id, stage.name, "approve")
    given = [a for a in attempt.approvals if a.gate == rule.gate and a.is_given]
    if any(a.person == command.person for a in given):
        return refusals.already_reviewed(record.id, stage.name, command.person)
    approval = approval_of(decision, rule, command)
    is_enough = command.is_given and len(given) + 1 >= rule.minimum
    decision.add(e.ApprovalGiven(decision.now, stage.name, attempt.number, approval, is_enough))
    if command.is_given:
        settlement.pass_when_answered(decision, stage.name)
    else:
        because = f"{command.person} did not approve: {command.note or 'no reason given'}"
        _fail(decision, stage.name, rule.gate, (f"refused:{rule.gate}",), because)
    return decision.events


def approval_of(decision: Decision, rule: ApprovalRule, command: Approve) -> Approval:
    """What is kept of a person's word."""
    return Approval(
        rule.gate,
        command.person,
        command.how,
        command.commit,
        command.target,
        command.is_given,
        decision.now,
        command.note,
    )


def open_reviews(record: ChangeRecord, stage: StageRecord) -> tuple[ReviewRule, ...]:
    """The review gates of a stage in review whose quorum is not reached."""
    if stage.state is not StageState.IN_REVIEW:
        return ()
    return tuple(rule for rule in record.rule(stage.name).reviews if len(_counting(stage, rule)) < rule.quorum)


def open_approvals(record: ChangeRecord, stage: StageRecord) -> tuple[str, ...]:
    """The approval gates of a stage in review that have not enough of them."""
    if stage.state is not StageState.IN_REVIEW or stage.current is None:
        return ()
    names = (rule.gate for rule in record.rule(stage.name).approvals)
    return tuple(gate for gate in names if gate not in stage.current.allowed)


def refuse_review(decision: Decision, stage: StageRecord, command: ClaimReview) -> Refusal | None:
    """Why this principal cannot review the stage's current attempt; None when it can."""
    record = decision.record
    if stage.state is not StageState.IN_REVIEW:
        return refuse_claim(record, stage, decision.now) or refusals.unknown_attempt(
            record.id, stage.name, "nothing to review: no attempt has passed its floor"
        )
    attempt, wanting = _judged(stage), open_reviews(record, stage)
    if not wanting:
        return refuse_claim(record, stage, decision.now)
    free = [rule for rule in wanting if _seats(decision, stage, rule) > 0]
    if not free:
        busy = next(lease for lease in attempt.review_leases if lease.expires_at > decision.now)
        left = (busy.expires_at - decision.now).total_seconds()
        return refusals.lease_held(record.id, f"{stage.name} (its review)", busy.reviewer, left)
    independence = free[0].independence
    if independence == "family" and command.model is None:
        return refusals.bad_argument("this review counts model families: say which `model` you are")
    if _is_same(independence, command, attempt.principal, attempt.holder, attempt.model):
        return refusals.own_work(record.id, stage.name, "review")
    if any(_is_same(independence, command, r.principal, r.reviewer, r.model) for r in attempt.reviews):
        return refusals.already_reviewed(record.id, stage.name, command.reviewer)
    return None


def family(model: str | None) -> str | None:
    """The family of a declared model: the first word of its name, without the vendor (`claude`, `gpt`)."""
    found = _FAMILY.search((model or "").lower().rpartition("/")[2])
    return found[0] if found else None


def _is_same(independence: str, command: ClaimReview, principal: str, label: str, model: str | None) -> bool:
    """Whether the reviewer does not count as another than this one."""
    if command.principal == principal:
        return True
    if independence == "principal":
        return False
    if command.reviewer == label:
        return True
    return independence == "family" and family(command.model) == family(model)


def _counting(stage: StageRecord, rule: ReviewRule) -> tuple[Review, ...]:
    reviews = stage.current.reviews if stage.current is not None else ()
    return tuple(review for review in reviews if review.gate == rule.gate and not review.is_rejecting)


def _seats(decision: Decision, stage: StageRecord, rule: ReviewRule) -> int:
    """How many more may review by this gate now; a lease that has expired takes no seat."""
    taken = [
        lease for lease in _judged(stage).review_leases if lease.gate == rule.gate and lease.expires_at > decision.now
    ]
    return rule.quorum - len(_counting(stage, rule)) - len(taken)


def _judged(stage: StageRecord) -> Attempt:
    assert stage.current is not None, "a stage in review has an attempt"
    return stage.current


def _lease(stage: StageRecord, number: int) -> ReviewLease | None:
    if stage.state is not StageState.IN_REVIEW:
        return None
    return next((lease for lease in _judged(stage).review_leases if lease.number == number), None)


def _held_by(stage: StageRecord, principal: str) -> ReviewLease | None:
    if stage.state is not StageState.IN_REVIEW:
        return None
    return next((lease for lease in _judged(stage).review_leases if lease.principal == principal), None)


def _void(decision: Decision, stage: StageRecord, number: int) -> Refusal:
    """Why a review lease counts for nothing any more."""
    assert number <= stage.review_leases, "a genuine lease was given once"
    commit = stage.current.commit if stage.state is StageState.IN_REVIEW and stage.current is not None else None
    return refusals.review_stale(decision.record.id, stage.name, commit)


def _wanted(rules: tuple[ApprovalRule, ...], waiting: tuple[str, ...], gate: str | None) -> ApprovalRule | None:
    return next((rule for rule in rules if rule.gate in waiting and gate in (None, rule.gate)), None)


def _fail(decision: Decision, name: str, gate: str, fingerprints: tuple[str, ...], because: str) -> None:
    """Fail the current attempt by a gate that people or reviewers answer."""
    stage = decision.record.stage(name)
    assert stage.current is not None, "what was judged is an attempt"
    others = tuple(g for g in stage.current.gates if g.gate != gate)
    judged = settlement.with_gates(stage.current, (*others, GateOutcome(gate, Outcome.FAILED)))
    settlement.fail_stage(decision, stage, judged, fingerprints, because)
