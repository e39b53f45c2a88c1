"""What only people decide: answers, retries, grants, reopening.

Pure; who is a person is decided before it comes here.
"""

from typing import TypeAlias

from ...schemas import events as e
from ...schemas import refusals
from ...schemas.records import ChangeRecord, Note, StageRecord, StageState
from ...schemas.refusals import Refusal
from . import settlement
from .commands import Answer, GrantAttempts, Reopen, RetryGates
from .decision import Decision

Decided: TypeAlias = tuple[e.Event, ...] | Refusal

ATTEMPTS_GRANTED_MAX = 20


def open_questions(record: ChangeRecord, stage: StageRecord) -> tuple[str, ...]:
    """The gates whose question about the current attempt is not answered yet; approvals are no questions."""
    if stage.state is not StageState.IN_REVIEW or stage.current is None:
        return ()
    approvals = {rule.gate for rule in record.rule(stage.name).approvals}
    return tuple(gate for gate in stage.current.asked if gate not in {*stage.current.allowed, *approvals})


def answer(decision: Decision, stage: StageRecord, command: Answer) -> Decided:
    """Answer a gate's question about the current attempt, or the question of an escalated stage."""
    if stage.state is StageState.ESCALATED:
        return _answer_escalation(decision, stage, command)
    waiting = open_questions(decision.record, stage)
    gates = waiting if command.gate is None else tuple(g for g in waiting if g == command.gate)
    if not gates:
        which = f" of gate '{command.gate}'" if command.gate else ""
        return refusals.unknown_attempt(decision.record.id, stage.name, f"no open question{which} to answer")
    for gate in gates:
        if not _answer_one(decision, stage.name, gate, command):
            return decision.events
    settlement.pass_when_answered(decision, stage.name)
    return decision.events


def retry_gates(decision: Decision, stage: StageRecord, command: RetryGates) -> Decided:
    """Judge an escalated stage's newest artifact again, free of charge; a `run:` stage is run again."""
    if stage.state is not StageState.ESCALATED:
        return refusals.unknown_attempt(decision.record.id, stage.name, "nothing escalated to judge again")
    if decision.record.rule(stage.name).is_transform:
        decision.start_run(stage.name, command.by)
        return decision.events
    if stage.current is None:
        return refusals.unknown_attempt(decision.record.id, stage.name, "no artifact yet to judge again")
    if not decision.is_current(stage.name, stage.current):
        wanted = "no artifact made from what its needs hand over now; answer its question or reopen it"
        return refusals.unknown_attempt(decision.record.id, stage.name, wanted)
    decision.resubmit(stage, len(stage.attempts), f"gates retried by {command.by}")
    return decision.events


def grant_attempts(decision: Decision, stage: StageRecord, command: GrantAttempts) -> Decided:
    """Add to the budget of an escalated stage, which opens."""
    if stage.state is not StageState.ESCALATED:
        return refusals.unknown_attempt(decision.record.id, stage.name, "nothing escalated to grant attempts for")
    if decision.record.rule(stage.name).is_transform:
        wanted = "no attempts to grant: the server runs it, once; have its gates retried, or reopen a stage before it"
        return refusals.unknown_attempt(decision.record.id, stage.name, wanted)
    if not 1 <= command.count <= ATTEMPTS_GRANTED_MAX:
        return refusals.bad_argument(f"grant between 1 and {ATTEMPTS_GRANTED_MAX} attempts, not {command.count}")
    decision.add(e.AttemptsGranted(decision.now, stage.name, command.by, command.count))
    return decision.events


def reopen(decision: Decision, stage: StageRecord, command: Reopen) -> Decided:
    """Open a passed or escalated stage again."""
    if stage.state not in {StageState.PASSED, StageState.ESCALATED}:
        state = stage.state.replace("_", " ")
        return refusals.unknown_attempt(
            decision.record.id,
            stage.name,
            f"nothing to reopen: it is {state}, and only a passed or escalated stage reopens",
        )
    decision.reopen(stage.name, command.by, Note(f"reopened by {command.by}", command.reason))
    return decision.events


def _answer_escalation(decision: Decision, stage: StageRecord, command: Answer) -> tuple[e.Event, ...]:
    """Open the stage with the answer. A dispute that is upheld is judged again at once, without what was disputed."""
    dispute = stage.escalation.dispute if stage.escalation is not None and command.allowed else None
    note = Note(f"{command.by} answered", command.note or ("yes" if command.allowed else "no"))
    decision.add(e.DecisionGiven(decision.now, stage.name, command.by, note, dispute))
    if decision.record.rule(stage.name).is_transform:
        decision.open_ready()
    elif dispute is not None and decision.is_current(stage.name, stage.attempts[dispute.attempt - 1]):
        summary = f"judged again: {command.by} upheld the dispute of attempt {dispute.attempt}"
        decision.resubmit(decision.record.stage(stage.name), dispute.attempt, summary)
    return decision.events


def _answer_one(decision: Decision, name: str, gate: str, command: Answer) -> bool:
    """Record one answer; a refusal fails the attempt. Returns whether to go on."""
    stage = decision.record.stage(name)
    assert stage.current is not None
    attempt = stage.current
    decision.add(
        e.QuestionAnswered(
            decision.now, name, attempt.number, gate, command.allowed, command.by, command.note, attempt.commit
        )
    )
    if command.allowed:
        return True
    refused = decision.record.stage(name)
    assert refused.current is not None
    because = f"{command.by} refused what gate '{gate}' asked: {command.note or 'no reason given'}"
    settlement.fail_stage(decision, refused, refused.current, (f"refused:{gate}",), because)
    return False
