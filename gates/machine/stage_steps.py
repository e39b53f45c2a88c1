"""What each event makes of one stage: total, pure, and asserted against the table of states.

`evolve` calls these for the stage that an event is about; nothing else changes a stage.
"""

from dataclasses import replace
from datetime import datetime

from ...schemas import events as e
from ...schemas.records import (
    Attempt,
    AttemptState,
    Cause,
    GateOutcome,
    LeaseEnd,
    Note,
    Outcome,
    ReviewLease,
    StageRecord,
    StageState,
)
from .transitions import Step, follow

NOTES_MAX = 20


def has_kept_question(stage: StageRecord) -> bool:
    """Whether the stage waits with a question to people that comes back when its needs have passed."""
    return stage.escalation is not None and stage.escalation.cause is Cause.NEEDS_DECISION


def moved(stage: StageRecord, step: Step) -> StageRecord:
    return replace(stage, state=follow(stage.state, step))


def claimed(stage: StageRecord, event: e.StageClaimed) -> StageRecord:
    assert event.lease.fence == stage.fence + 1, "a fence rises by one with every lease (I2)"
    step = Step.TAKE_OVER if event.taken_over is not None else Step.CLAIM
    after = replace(moved(stage, step), lease=event.lease, fence=event.lease.fence)
    if event.taken_over is None:
        return after
    return replace(after, ended=LeaseEnd(stage.fence, "it had run out, and somebody else claimed the stage"))


def renewed(stage: StageRecord, expires_at: datetime) -> StageRecord:
    assert stage.lease is not None, "only a lease is renewed"
    return replace(stage, lease=replace(stage.lease, expires_at=expires_at))


def opened(stage: StageRecord) -> StageRecord:
    if has_kept_question(stage):
        return moved(stage, Step.QUESTION_BACK)
    return replace(moved(stage, Step.NEEDS_PASSED), escalation=None)


def released(stage: StageRecord, event: e.LeaseReleased) -> StageRecord:
    after = replace(moved(stage, Step.RELEASE), lease=None)
    if event.because != "cannot":
        return after
    return _noted(after, Note("the former holder could not", event.reason))


def run(stage: StageRecord, evaluation: str) -> StageRecord:
    """Every start has a fence of its own, as every lease has (I2); being tried again after an error keeps it."""
    started = replace(moved(stage, Step.RUN), fence=stage.fence + 1, transform=evaluation)
    return replace(started, failed=0, stuck=0, escalation=None, carried=None)


def submitted(stage: StageRecord, event: e.ArtifactSubmitted, inputs: tuple[str, ...]) -> StageRecord:
    step = Step.RETRY_GATES if stage.state is StageState.ESCALATED else Step.SUBMIT
    if stage.transform is not None:
        assert stage.transform == event.evaluation, "what the server makes comes from the evaluation that it started"
        step = Step.MADE
    assert event.attempt == len(stage.attempts) + 1, "attempts are numbered, never reused"
    attempt = Attempt(
        number=event.attempt,
        commit=event.commit,
        tree=event.tree,
        base=event.base,
        summary=event.summary,
        holder=event.holder,
        principal=event.principal,
        fence=stage.fence,
        submitted_at=event.at,
        evaluation=event.evaluation,
        is_free=event.is_free,
        model=event.model,
        answers=event.answers,
        inputs=inputs,
        adopted=event.adopted,
        stage_base=event.stage_base,
    )
    return replace(
        moved(stage, step), attempts=(*stage.attempts, attempt), carried=None, transform=None, escalation=None
    )


def withdrawn(stage: StageRecord, event: e.AttemptWithdrawn) -> StageRecord:
    return renewed(_superseded(moved(stage, Step.WITHDRAW)), event.expires_at)


def floor_passed(stage: StageRecord, event: e.FloorPassed) -> StageRecord:
    after = moved(stage, Step.FLOOR_PASSED)
    return _current(after, outcome=Outcome.PENDING, gates=event.gates, asked=event.asked)


def passed(stage: StageRecord, event: e.StagePassed) -> StageRecord:
    _settled(stage, event.attempt)
    done = _current(
        moved(stage, Step.PASS),
        state=AttemptState.PASSED,
        outcome=Outcome.PASSED,
        gates=event.gates,
        review_leases=(),
    )
    return replace(done, lease=None, accepted=event.attempt, failed=0, stuck=0, notes=(), orphans=())


def failed(stage: StageRecord, event: e.AttemptFailed, *, is_run: bool) -> StageRecord:
    attempt = _settled(stage, event.attempt)
    step = Step.FAIL_RUN if is_run else Step.FAIL if stage.lease is not None else Step.FAIL_UNHELD
    spent = stage.failed if attempt.is_free else stage.failed + 1
    after = replace(moved(stage, step), failed=spent, stuck=event.stuck)
    done = _current(
        after,
        state=AttemptState.FAILED,
        outcome=Outcome.FAILED,
        gates=event.gates,
        fingerprints=event.fingerprints,
        review_leases=(),
    )
    return done if event.expires_at is None else renewed(done, event.expires_at)


def errored(stage: StageRecord, retry: str, gates: tuple[GateOutcome, ...]) -> StageRecord:
    tries = stage.attempts[-1].error_retries + 1
    return _current(
        moved(stage, Step.ERROR), evaluation=retry, error_retries=tries, outcome=Outcome.ERRORED, gates=gates
    )


def errored_run(stage: StageRecord, retry: str, gates: tuple[GateOutcome, ...]) -> StageRecord:
    """The server runs it once more: what the former run made, if anything, is an attempt of its own."""
    after = replace(moved(stage, Step.ERROR), transform=retry)
    return _current(after, state=AttemptState.SUPERSEDED, outcome=Outcome.ERRORED, gates=gates)


def escalated(stage: StageRecord, event: e.StageEscalated) -> StageRecord:
    judged = _current(stage, gates=event.gates) if event.gates and stage.attempts else stage
    ended = _superseded(moved(judged, Step.ESCALATE))
    because = f"people were asked: {event.escalation.question}"
    return replace(
        ended,
        lease=None,
        accepted=None,
        transform=None,
        escalation=event.escalation,
        ended=_end_of_lease(stage, because),
    )


def answered(stage: StageRecord, event: e.QuestionAnswered) -> StageRecord:
    attempt = _settled(stage, event.attempt)
    after = moved(stage, Step.ANSWERED)
    if event.allowed:
        return _current(after, allowed=(*attempt.allowed, event.gate))
    note = Note(f"{event.by} refused what gate '{event.gate}' asked", event.note)
    return _noted(after, note)


def review_claimed(stage: StageRecord, lease: ReviewLease) -> StageRecord:
    assert lease.number == stage.review_leases + 1, "review leases are numbered, never reused"
    after = replace(moved(stage, Step.REVIEWED), review_leases=lease.number)
    return _current(after, review_leases=(*stage.attempts[-1].review_leases, lease))


def review_renewed(stage: StageRecord, number: int, expires_at: datetime) -> StageRecord:
    leases = stage.attempts[-1].review_leases
    after = tuple(replace(x, expires_at=expires_at) if x.number == number else x for x in leases)
    return _current(moved(stage, Step.REVIEWED), review_leases=after)


def review_released(stage: StageRecord, number: int) -> StageRecord:
    left = tuple(lease for lease in stage.attempts[-1].review_leases if lease.number != number)
    assert len(left) < len(stage.attempts[-1].review_leases), "there is such a review lease"
    return _current(moved(stage, Step.REVIEWED), review_leases=left)


def reviewed(stage: StageRecord, event: e.ReviewGiven) -> StageRecord:
    attempt = _settled(stage, event.attempt)
    assert event.review.commit == attempt.commit, "a review counts for the commit that it names (I5)"
    makers = {maker.principal for maker in stage.makers(attempt)}
    assert event.review.principal not in makers, "nobody's own review counts (I5)"
    return _current(review_released(stage, event.number), reviews=(*attempt.reviews, event.review))


def approved(stage: StageRecord, event: e.ApprovalGiven) -> StageRecord:
    attempt, approval = _settled(stage, event.attempt), event.approval
    assert approval.commit == attempt.commit, "an approval counts for the commit that it names (I5)"
    makers = {maker.principal for maker in stage.makers(attempt)}
    assert approval.person not in makers, "nobody's own approval counts (I5)"
    allowed = (*attempt.allowed, approval.gate) if event.is_enough else attempt.allowed
    after = _current(moved(stage, Step.REVIEWED), approvals=(*attempt.approvals, approval), allowed=allowed)
    if approval.is_given:
        return after
    note = Note(f"{approval.person} did not approve", approval.note)
    return _noted(after, note)


def fresh(stage: StageRecord, note: Note) -> StageRecord:
    told = _noted(unasked(stage), note)
    return replace(told, lease=None, accepted=None, failed=0, granted=0, stuck=0, former=len(stage.attempts))


def unasked(stage: StageRecord) -> StageRecord:
    """People have decided: what they were asked goes to the next holder, who has to know what it was about."""
    asked = stage.escalation
    if asked is None:
        return stage
    note = Note("people were asked", asked.question, asked.paths, asked.target)
    return _noted(replace(stage, escalation=None), note)


def granted(stage: StageRecord, count: int) -> StageRecord:
    return replace(unasked(moved(stage, Step.GRANT)), granted=stage.granted + count, stuck=0)


def decided(stage: StageRecord, event: e.DecisionGiven) -> StageRecord:
    """A person's answer, and what of a former attempt it says to be right as it is."""
    after = fresh(stage, event.note)
    if event.upheld is None:
        return after
    number, upheld = event.upheld.attempt, event.upheld.fingerprints
    attempts = tuple(replace(a, upheld=upheld) if a.number == number else a for a in after.attempts)
    return replace(after, attempts=attempts)


def reopened(stage: StageRecord, event: e.StageReopened) -> StageRecord:
    opened = fresh(stage, event.note)
    return replace(opened, reopened=stage.reopened + 1) if event.is_automatic else opened


def close(stage: StageRecord, because: str) -> StageRecord:
    """Take everything live off a stage. A question to people is kept and comes back; a spent budget is not."""
    ended = _superseded(stage)
    question = stage.escalation if has_kept_question(stage) else None
    return replace(
        ended,
        lease=None,
        accepted=None,
        failed=0,
        granted=0,
        stuck=0,
        transform=None,
        escalation=question,
        ended=_end_of_lease(stage, because),
        former=len(stage.attempts),
    )


def carried(stage: StageRecord | None, name: str, because: str) -> StageRecord:
    """A stage under a new policy: waiting, its accepted or judged artifact to be judged again.

    What waits for that since a policy before goes on waiting for it.
    """
    if stage is None:
        return StageRecord(name, StageState.WAITING)
    is_judged = stage.state in {StageState.EVALUATING, StageState.IN_REVIEW} and stage.transform is None
    judged = stage.current if is_judged else stage.artifact
    closed = close(stage, f"the change is judged by another policy now: {because}")
    return replace(closed, state=StageState.WAITING, carried=stage.carried if judged is None else judged.number)


def _current(stage: StageRecord, **fields: object) -> StageRecord:
    last = stage.attempts[-1]
    return replace(stage, attempts=(*stage.attempts[:-1], replace(last, **fields)))  # type: ignore[arg-type]  # fields of Attempt - named by the callers


def _noted(stage: StageRecord, note: Note) -> StageRecord:
    """What is said again is told once, as the newest."""
    others = (other for other in stage.notes if other != note)
    return replace(stage, notes=(*others, note)[-NOTES_MAX:])


def _superseded(stage: StageRecord) -> StageRecord:
    if stage.current is None or stage.current.state is not AttemptState.JUDGING:
        return stage
    return _current(stage, state=AttemptState.SUPERSEDED, review_leases=())


def _end_of_lease(stage: StageRecord, because: str) -> LeaseEnd | None:
    return stage.ended if stage.lease is None else LeaseEnd(stage.fence, because)


def _settled(stage: StageRecord, attempt: int) -> Attempt:
    current = stage.current
    assert current is not None, "there is an attempt to judge"
    assert current.number == attempt, "the newest attempt is the one judged"
    assert current.state is AttemptState.JUDGING, "an attempt settles at most once (I3)"
    return current
