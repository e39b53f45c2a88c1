"""Turn the evaluator's result for an attempt into what happens to the stage: pure."""

from dataclasses import replace
from datetime import timedelta

from ...schemas import events as e
from ...schemas.records import Attempt, AttemptState, Cause, GateOutcome, Note, Outcome, StageRecord, StageState
from .. import verdict
from ..text import number_of
from . import resubmission
from .commands import Settle
from .decision import SERVER, Decision

# How long the server waits before it evaluates again what could not be judged; the length is the budget.
ERROR_RETRY_DELAYS_S = (2.0, 10.0)
STUCK_MAX = 3


def settle(decision: Decision, command: Settle) -> tuple[e.Event, ...]:
    """The events of a result. One for a superseded attempt or a lost evaluation has none: it changes nothing (I3)."""
    stage = decision.record.find_stage(command.stage)
    if stage is None or stage.state is not StageState.EVALUATING:
        return ()
    if stage.transform == command.evaluation:
        stage = _hand_in(decision, stage, command)
    attempt = stage.current
    if attempt is None or stage.transform or attempt.state is not AttemptState.JUDGING:
        return ()
    if attempt.evaluation != command.evaluation:
        return ()
    rule = decision.record.rule(stage.name)
    match verdict.combine(rule.gates, command.gates):
        case Outcome.PASSED if not rule.reviews:
            pass_stage(decision, stage.name, command.gates)
        case Outcome.PASSED | Outcome.PENDING:
            asked = tuple(g.gate for g in command.gates if g.outcome is Outcome.PENDING)
            decision.add(
                e.FloorPassed(decision.now, stage.name, attempt.number, attempt.evaluation, command.gates, asked)
            )
        case Outcome.FAILED:
            dispute = resubmission.dispute_of_verdict(stage, command.fingerprints)
            if dispute is not None:
                question = resubmission.question(stage, dispute)
                decision.escalate(stage.name, Cause.NEEDS_DECISION, question, gates=command.gates, dispute=dispute)
            else:
                judged = with_gates(attempt, command.gates)
                fail_stage(decision, stage, judged, command.fingerprints, command.because)
        case Outcome.ERRORED:
            _retry_or_escalate(decision, stage, attempt, command)
    return decision.events


def pass_stage(decision: Decision, name: str, gates: verdict.GateOutcomes) -> None:
    """Accept the current attempt and open what waited for it."""
    attempt = decision.record.stage(name).attempts[-1]
    decision.add(e.StagePassed(decision.now, name, attempt.number, attempt.evaluation, gates))
    decision.open_ready()


def pass_when_answered(decision: Decision, name: str) -> None:
    """Accept the current attempt once people and reviewers have answered everything; nothing while they have not."""
    stage, rule = decision.record.stage(name), decision.record.rule(name)
    attempt = stage.current
    assert attempt is not None, "there is an attempt that people and reviewers answer about"
    counts = {review.gate: 0 for review in rule.reviews}
    for review in attempt.reviews:
        counts[review.gate] += 1
    if set(attempt.asked) - set(attempt.allowed) or any(counts[r.gate] < r.quorum for r in rule.reviews):
        return
    reviewed = tuple(GateOutcome(review.gate, Outcome.PASSED) for review in rule.reviews)
    gates = (*verdict.passed_by_people(attempt.gates, attempt.allowed), *reviewed)
    assert verdict.combine(rule.every_gate, gates) is Outcome.PASSED, "every gate passed or was allowed (I4)"
    pass_stage(decision, name, gates)


def with_gates(attempt: Attempt, gates: verdict.GateOutcomes) -> Attempt:
    """The attempt with what gates came to."""
    return replace(attempt, gates=gates)


def fail_gate(decision: Decision, name: str, gate: str, fingerprints: tuple[str, ...], because: str) -> None:
    """Fail the current attempt by a gate that people or reviewers answer."""
    stage = decision.record.stage(name)
    assert stage.current is not None, "what was judged is an attempt"
    others = tuple(g for g in stage.current.gates if g.gate != gate)
    judged = with_gates(stage.current, (*others, GateOutcome(gate, Outcome.FAILED)))
    fail_stage(decision, stage, judged, fingerprints, because)


def fail_stage(
    decision: Decision, stage: StageRecord, attempt: Attempt, fingerprints: tuple[str, ...], because: str
) -> None:
    """Fail the current attempt.

    When its budget is spent, or nothing moves, loop upstream or ask people (rules 3, 5). Running a `run:` stage once
    more would give the same, so its first failure is its last.
    """
    rule = decision.record.rule(stage.name)
    stuck = stage.stuck + 1 if fingerprints and _same_as_before(stage, fingerprints) else 1
    expires_at = decision.lease_end() if stage.lease is not None else None
    decision.add(
        e.AttemptFailed(
            decision.now, stage.name, attempt.number, attempt.evaluation, attempt.gates, fingerprints, stuck, expires_at
        )
    )
    failed = decision.record.stage(stage.name).failed
    if rule.is_transform:
        question = f"what the server made failed: {because}"
        _otherwise(decision, stage.name, Cause.BUDGET_SPENT, question)
    elif stuck >= STUCK_MAX:
        tries = "a fresh agent, another model, or the stage before may see what this one does not"
        _otherwise(
            decision, stage.name, Cause.NO_PROGRESS, f"the same findings came back {stuck} times running; {tries}"
        )
    elif failed >= rule.attempts + stage.granted:
        told = "the only attempt failed" if failed == 1 else f"all {failed} attempts failed"
        _otherwise(decision, stage.name, Cause.BUDGET_SPENT, told)


def _hand_in(decision: Decision, stage: StageRecord, command: Settle) -> StageRecord:
    """Make the attempt of a `run:` stage out of what the server made; returns the stage after it."""
    assert command.made is not None, "whoever ran a stage tells what it made"
    decision.add(
        e.ArtifactSubmitted(
            at=decision.now,
            stage=stage.name,
            attempt=len(stage.attempts) + 1,
            commit=command.made.commit,
            tree=command.made.tree,
            base=command.made.base,
            summary=command.made.summary,
            holder=SERVER,
            principal=SERVER,
            evaluation=command.evaluation,
        )
    )
    return decision.record.stage(stage.name)


def _same_as_before(stage: StageRecord, fingerprints: tuple[str, ...]) -> bool:
    failed = resubmission.failed_attempts(stage)
    return bool(failed) and set(failed[-1].fingerprints) == set(fingerprints)


def _otherwise(decision: Decision, name: str, cause: Cause, question: str) -> None:
    upstream = decision.record.rule(name).otherwise
    if upstream is None:
        decision.escalate(name, cause, question)
    else:
        decision.reopen_automatically(upstream, Note(f"'{name}' could not be passed", question))


def _retry_or_escalate(decision: Decision, stage: StageRecord, attempt: Attempt, command: Settle) -> None:
    broken = ", ".join(g.gate for g in command.gates if g.outcome is Outcome.ERRORED) or "the runner"
    retries = _error_retries(decision, stage, attempt)
    if retries < len(ERROR_RETRY_DELAYS_S):
        not_before = decision.now + timedelta(seconds=ERROR_RETRY_DELAYS_S[retries])
        retry = decision.next_evaluation()
        decision.add(
            e.EvaluationErrored(
                decision.now, stage.name, attempt.number, attempt.evaluation, command.gates, retry, not_before
            )
        )
        return
    told = f": {command.because}" if command.because else ""
    tried = number_of(retries + 1, "times")
    question = f"{broken} could not judge attempt {attempt.number}, {tried}; not the agent's fault{told}"
    decision.escalate(stage.name, Cause.GATE_BROKEN, question, gates=command.gates)


def _error_retries(decision: Decision, stage: StageRecord, attempt: Attempt) -> int:
    """How often it was tried again already. Each run of a `run:` stage is an attempt, under the fence of its start."""
    if not decision.record.rule(stage.name).is_transform:
        return attempt.error_retries
    return sum(a.fence == attempt.fence and a.outcome is Outcome.ERRORED for a in stage.attempts)
