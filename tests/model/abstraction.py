"""When two worlds are the same to every decision, so that the search may take one for the other.

What is left out is what nothing decides on:
- names: commits, trees, evaluations and fences are only ever compared with each other, so relations stand for them.
  Which of the two agents holds a stage matters to nobody but to reviewers and people, who are others; their own work is
  tried by its author, whoever that is. Two policies that say the same are each other's mirror.
- the past: notes, orphans and attempts before the newest, but for what is asked of them since the stage was opened
  afresh: whether a tree failed already, with which findings, and whether those are disputed; and for who made what is
  kept, which is asked when it is adopted.
- the hour: a lease has run out or has not, and only where that is asked. While gates judge it is parked.
- numbers beyond their bound, and the cause of an escalation but for a question, which comes back.

A change that is over has no way on, whatever it was.
"""

from datetime import datetime

from gatewright.gates.machine.stage_steps import has_kept_question
from gatewright.schemas.records import (
    Attempt,
    AttemptState,
    ChangeRecord,
    ChangeState,
    LandingStep,
    Outcome,
    StageRecord,
    StageState,
)

from .world import World

Part = tuple[object, ...]

OVER = frozenset({ChangeState.LANDED, ChangeState.CANCELLED})
STUCK_TOLD_MAX = 3
ERRORS_TOLD_MAX = 3


def change_part(world: World, failures_max: int) -> Part:
    """What decisions ask about the change, its landing and the target."""
    record, landing = world.record, world.record.landing
    if landing is None:
        return (record.state, min(record.landing_failures, failures_max))
    is_preparing = landing.step is LandingStep.PREPARING
    return (
        record.state,
        min(record.landing_failures, failures_max),
        landing.step,
        landing.asked,
        landing.allowed,
        tuple((a.gate, a.person) for a in landing.approvals),
        world.merged is not None and world.merged == world.target,
        is_preparing and world.merged is not None,
        world.target == landing.old,
        world.holds is not None and world.holds == landing.new,
        world.told,
    )


def stage_part(stage: StageRecord, now: datetime, *, is_run: bool) -> Part:
    """What decisions ask about one stage itself."""
    current = stage.current
    return (
        stage.state,
        _lease(stage, now),
        stage.failed - stage.granted,
        stage.granted > 0,
        min(stage.stuck, STUCK_TOLD_MAX),
        stage.reopened,
        _escalation(stage),
        stage.carried is not None,
        stage.transform is not None,
        min(_errors(stage), ERRORS_TOLD_MAX) if is_run else 0,
        _since(stage),
        _kept(stage),
        current is not None and _attempt(current, now),
    )


def relation(record: ChangeRecord, stage: StageRecord, needs: tuple[str, ...]) -> Part:
    """From which of its needs' newest artifacts the stage's newest attempt, and a disputed one, were made.

    An older artifact of a need never comes back: what is judged again is the newest.
    """
    if not stage.attempts or not needs:
        return ()
    newest = tuple(_newest(record.stage(need)) for need in needs)
    asked = [stage.attempts[-1]]
    if stage.escalation is not None and stage.escalation.dispute is not None:
        asked.append(stage.attempts[stage.escalation.dispute.attempt - 1])
    return tuple(tuple(map(str.__eq__, attempt.inputs, newest)) for attempt in asked)


def _newest(need: StageRecord) -> str:
    return need.attempts[-1].commit if need.attempts else ""


def _kept(stage: StageRecord) -> Part:
    """Of the work of others that is kept with its maker: whether there is any, and whether that was handed in."""
    trees = {orphan.tree for orphan in stage.orphans if orphan.maker is not None}
    return (bool(trees), stage.current is not None and stage.current.tree in trees)


def _lease(stage: StageRecord, now: datetime) -> int:
    if stage.lease is None:
        return 0
    return 2 if stage.state is StageState.CLAIMED and stage.lease.expires_at <= now else 1


def _escalation(stage: StageRecord) -> Part:
    if stage.escalation is None:
        return ()
    dispute = stage.escalation.dispute
    return (has_kept_question(stage), dispute is not None and dispute.attempt == len(stage.attempts))


def _errors(stage: StageRecord) -> int:
    return sum(a.fence == stage.fence and a.outcome is Outcome.ERRORED for a in stage.attempts)


def _since(stage: StageRecord) -> Part:
    """What failed since the stage was opened afresh, and what its holders said of it."""
    recent = stage.attempts[stage.former :]
    failed = [attempt for attempt in recent if attempt.state is AttemptState.FAILED]
    said = {answer.fingerprint: answer.disposition for attempt in recent for answer in attempt.answers}
    if not failed:
        return tuple(sorted(said.items()))
    last = failed[-1]
    return (
        last.fingerprints,
        last is stage.current or last.tree == recent[-1].tree,
        any(attempt.tree == recent[-1].tree for attempt in failed),
        tuple(finding.id for review in last.reviews if review.is_rejecting for finding in review.findings),
        tuple(sorted(said.items())),
    )


def _attempt(attempt: Attempt, now: datetime) -> Part:
    if attempt.state is not AttemptState.JUDGING:
        # None is left on it; two worlds are not the same when one of them is broken.
        return (attempt.state is AttemptState.FAILED, len(attempt.review_leases))
    return (
        attempt.asked,
        attempt.allowed,
        attempt.error_retries,
        attempt.is_free,
        attempt.adopted,
        tuple((x.gate, x.principal, x.expires_at <= now) for x in attempt.review_leases),
        tuple((review.gate, review.principal, review.is_rejecting) for review in attempt.reviews),
        tuple((approval.gate, approval.person, approval.is_given) for approval in attempt.approvals),
    )
