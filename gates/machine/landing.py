"""Decide how a finished change lands: pure.

Merging, judging and moving the target are the server's; the rules are here.

The intent is durable before the target moves; from then on the change cannot be reopened or cancelled, and recovery
either finds the target moved and confirms, or finds it elsewhere and gives the intent up. Source: docs/protocol.md,
Landing.
"""

from typing import TypeAlias

from ...schemas import events as e
from ...schemas import refusals
from ...schemas.ids import LAND
from ...schemas.records import Cause, ChangeRecord, ChangeState, Landing, LandingStep, Note, Outcome
from ...schemas.refusals import Refusal
from .. import paths, verdict
from . import approvals
from .commands import Answer, Approve, BlockLanding, ConfirmLanding, DelayLanding, LoseLanding, SettleLanding
from .decision import LANDING_DELAYS_MAX, LANDING_FAILURES_MAX, Decision

Decided: TypeAlias = tuple[e.Event, ...] | Refusal


def decide(
    decision: Decision, command: SettleLanding | BlockLanding | ConfirmLanding | DelayLanding | LoseLanding
) -> tuple[e.Event, ...]:
    """The server's own commands; one about another try than the current changes nothing."""
    landing = decision.record.landing
    if landing is None:
        return ()
    match command:
        case SettleLanding(evaluation=evaluation) if _is_preparing(landing, evaluation):
            _settle(decision, landing, command)
        case BlockLanding(evaluation=evaluation, because=because) if _is_preparing(landing, evaluation):
            decision.add(e.LandingBlocked(decision.now, landing.number, because))
        case ConfirmLanding(number=number) if _is_intended(decision, landing, number):
            assert landing.new is not None
            decision.add(e.ChangeLanded(decision.now, number, landing.new))
        case DelayLanding(number=number, because=because) if _is_intended(decision, landing, number):
            if because != landing.because and landing.delays < LANDING_DELAYS_MAX:
                decision.add(e.LandingDelayed(decision.now, number, because))
        case LoseLanding(number=number, because=because) if _is_intended(decision, landing, number):
            _try_again(decision, because)
        case _:
            return ()
    return decision.events


def retry(decision: Decision) -> Decided:
    """Start landing again when it was blocked; nothing while one is under way."""
    landing = decision.record.landing
    if landing is None:
        decision.start_landing()
        if decision.events:
            return decision.events
        missing = [n for n in decision.record.plan.land_needs if decision.record.stage(n).accepted is None]
        waiting = [f"'{name}', which has not passed" for name in missing]
        return refusals.stage_waiting(decision.record.id, LAND, waiting, by_server=True)
    if landing.step is not LandingStep.BLOCKED:
        return ()
    decision.add(e.LandingStarted(decision.now, decision.record.landings + 1, decision.next_evaluation()))
    return decision.events


def answer(decision: Decision, command: Answer) -> Decided:
    """A person answers what a land gate asked about the merged commit."""
    landing = decision.record.landing
    is_asking = landing is not None and landing.step is LandingStep.ASKING
    waiting = open_questions(decision.record, landing) if landing is not None and is_asking else ()
    gates = waiting if command.gate is None else tuple(g for g in waiting if g == command.gate)
    if landing is None or not gates:
        return refusals.unknown_attempt(decision.record.id, LAND, "no question open to answer")
    assert landing.new is not None
    for gate in gates:
        decision.add(
            e.LandingAnswered(
                decision.now, landing.number, gate, command.allowed, command.by, command.note, landing.new
            )
        )
    if not command.allowed:
        note = Note(f"{command.by} refused what land gate '{gates[0]}' asked", command.note)
        _reopen_author(decision, command.by, note)
        return decision.events
    _intend_when_answered(decision)
    return decision.events


def approve(decision: Decision, command: Approve) -> Decided:
    """A person's word about the merged commit; a no opens the stage whose agent made it."""
    asked = approvals.find_open(decision.record, LAND, command.gate)
    if asked is None:
        return refusals.unknown_attempt(decision.record.id, LAND, "no approval open")
    refusal = approvals.refuse_approval(asked, command)
    if refusal is not None:
        return refusal
    approval = approvals.approval_of(command, asked.gate, decision.now)
    decision.add(e.LandingApproved(decision.now, asked.number, approval, asked.is_enough_with(command)))
    if not command.is_given:
        _reopen_author(decision, command.person, Note(f"{command.person} did not approve the landing", command.note))
    else:
        _intend_when_answered(decision)
    return decision.events


def open_questions(record: ChangeRecord, landing: Landing) -> tuple[str, ...]:
    """The land gates whose question is not answered yet; approvals are no questions."""
    approving = {rule.gate for rule in record.plan.land_approvals}
    return tuple(gate for gate in landing.asked if gate not in {*landing.allowed, *approving})


def _intend_when_answered(decision: Decision) -> None:
    landing = decision.record.landing
    assert landing is not None, "what was answered is a landing"
    if set(landing.asked) - set(landing.allowed):
        return
    assert landing.old is not None
    assert landing.new is not None
    assert landing.tree is not None
    allowed = verdict.passed_by_people(landing.gates, landing.allowed)
    decision.add(e.LandingIntended(decision.now, landing.number, landing.old, landing.new, landing.tree, allowed))


def _is_preparing(landing: Landing, evaluation: str) -> bool:
    return landing.step is LandingStep.PREPARING and landing.evaluation == evaluation


def _is_intended(decision: Decision, landing: Landing, number: int) -> bool:
    return decision.record.state is ChangeState.LANDING and landing.number == number


def _settle(decision: Decision, landing: Landing, command: SettleLanding) -> None:
    if command.conflicts:
        target = decision.record.target
        text = f"the merge with '{target}' conflicts: resolve that in the work"
        note = Note("landing", text, command.conflicts, target=command.old)
        _hand_back(decision, note)
        return
    match verdict.combine(decision.record.plan.land_gates, command.gates):
        case Outcome.PASSED:
            decision.add(
                e.LandingIntended(decision.now, landing.number, command.old, command.new, command.tree, command.gates)
            )
        case Outcome.PENDING:
            asked = tuple(g.gate for g in command.gates if g.outcome is Outcome.PENDING)
            decision.add(
                e.LandingAsked(
                    decision.now, landing.number, command.old, command.new, command.tree, command.gates, asked
                )
            )
        case Outcome.FAILED:
            failed = ", ".join(g.gate for g in command.gates if g.outcome is Outcome.FAILED)
            _hand_back(decision, Note("landing", f"{failed} failed on the merge: {command.because}", command.paths))
        case Outcome.ERRORED:
            _try_again(decision, command.because or "the land gates could not judge the merge")


def _reopen_author(decision: Decision, by: str, note: Note) -> None:
    """Open the stage whose agent made what landing asked about; where there is none, people go on."""
    last = decision.record.plan.land_needs[-1]
    author = decision.find_author(last)
    if author is None:
        decision.escalate(last, Cause.NEEDS_DECISION, f"{note.source}: {note.text or 'no reason given'}")
    else:
        decision.reopen(author, by, note)


def _hand_back(decision: Decision, note: Note) -> None:
    """Reopen the stage whose `writes` cover the failing paths, the latest first; else ask people.

    What the server writes in a `run:` stage is mended by the agent whose work it is made from.
    """
    for name, writes in reversed(_writes_by_author(decision).items()):
        if note.paths and all(paths.matches(path, writes) for path in note.paths):
            decision.reopen_automatically(name, note)
            return
    question = f"{note.text}, and no single agent's stage may write {', '.join(note.paths) or 'what failed'}"
    decision.escalate(decision.record.plan.land_needs[-1], Cause.NEEDS_DECISION, question, about=note)


def _writes_by_author(decision: Decision) -> dict[str, list[str]]:
    """What each agent's stage may write, with what the server makes out of that; in the order of the plan."""
    found: dict[str, list[str]] = {r.name: [] for r in decision.record.plan.stages if not r.is_transform}
    for rule in decision.record.plan.stages:
        author = decision.find_author(rule.name)
        if author is not None:
            filled = (paths.substitute(glob, change=decision.record.id, stage=rule.name) for glob in rule.writes)
            found[author].extend(filled)
    return found


def _try_again(decision: Decision, because: str) -> None:
    decision.abandon_landing(because)
    if decision.record.landing_failures < LANDING_FAILURES_MAX:
        decision.start_landing()
    else:
        question = f"landing was tried {decision.record.landing_failures} times: {because}"
        decision.escalate(decision.record.plan.land_needs[-1], Cause.GATE_BROKEN, question)
