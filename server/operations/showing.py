"""What a person is shown before they decide, the same at a terminal and over HTTP.

What is shown names the attempt, the commit and the target, or the question: a decision repeats that, and what has
moved meanwhile is not decided about.
"""

from ...gates.artifacts import Change
from ...gates.machine.approvals import OpenApproval
from ...gates.machine.precedence import refuse_change
from ...schemas import refusals
from ...schemas.decisions import (
    ApprovalAsked,
    Asking,
    ChangeAsked,
    ChangedFile,
    Decided,
    GateFound,
    QuestionAsked,
    StageStands,
)
from ...schemas.ids import LAND
from ...schemas.records import ChangeRecord
from ...schemas.refusals import Refusal, Refused
from ..services import Services
from . import answering, approving
from .deciding import get_change
from .evidence import gate_reply

PATHS_SHOWN_MAX = 30


def show_approval(services: Services, asking: Asking) -> ApprovalAsked:
    """What is to be approved; raises `Refused` where nothing is. Blocking: git is asked."""
    found = _find_approval(services, asking)
    policy = approving.pinned_policy(services, found.change)
    changes = services.artifacts.changes(found.base, found.commit)
    evidence = [gate_reply(item.evidence) for item in services.store.read(lambda tx: tx.evidence_of(found.evaluation))]
    return ApprovalAsked(
        change=found.change,
        stage=found.stage,
        gate=found.gate,
        number=found.number,
        commit=found.commit,
        base=found.base,
        target=found.target,
        policy=policy.digest,
        question=found.question,
        about=_about(found),
        is_signed=found.is_signed,
        given=tuple(f"Approved so far by {approval.person} ({approval.how})." for approval in found.given),
        changes=tuple(ChangedFile(path=one.path, how=_how(one)) for one in changes[:PATHS_SHOWN_MAX]),
        changes_total=len(changes),
        found=tuple(GateFound(gate=one.gate, outcome=one.outcome, summary=one.summary) for one in evidence),
    )


def show_diff(services: Services, asking: Asking) -> str:
    """The whole diff of what is to be approved; raises `Refused` where nothing is. Blocking."""
    found = _find_approval(services, asking)
    return services.artifacts.diff(found.base, found.commit)


def show_question(services: Services, asking: Asking) -> QuestionAsked:
    """What waits for an answer; raises `Refused` where nothing does. Blocking."""
    stage = asking.stage or LAND
    found = services.store.read(lambda tx: answering.find_asked(tx, asking.change, stage, asking.gate))
    if isinstance(found, Refusal):
        raise Refused(found)
    return QuestionAsked(
        change=found.change,
        stage=found.stage,
        gates=found.gates,
        texts=found.texts,
        subject=found.subject,
        about=found.about,
        is_escalation=found.is_escalation,
        is_dispute=found.is_dispute,
    )


def show_change(services: Services, asking: Asking) -> ChangeAsked:
    """A change that something can still be decided about; raises `Refused` for any other. Blocking."""
    record = services.store.read(lambda tx: get_change(tx, asking.change))
    refusal = refuse_change(record)
    if refusal is None and asking.stage is not None and record.find_stage(asking.stage) is None:
        refusal = refusals.unknown_stage(record.id, asking.stage, [found.name for found in record.stages])
    if refusal is not None:
        raise Refused(refusal)
    return ChangeAsked(change=record.id, title=record.title, stands=decided(record).sentence)


def decided(record: ChangeRecord) -> Decided:
    """How a change stands."""
    return Decided(
        change=record.id,
        state=record.state,
        stages=tuple(StageStands(stage=stage.name, state=stage.state) for stage in record.stages),
        landing=None if record.landing is None else record.landing.step,
    )


def _find_approval(services: Services, asking: Asking) -> OpenApproval:
    stage = asking.stage or LAND
    found = services.store.read(lambda tx: approving.find_asked(tx, asking.change, stage, asking.gate))
    if isinstance(found, Refusal):
        raise Refused(found)
    return found


def _about(asked: OpenApproval) -> str:
    made = ", ".join(f"'{holder}'" for holder in asked.holders)
    what = "the merge of" if asked.stage == LAND else f"attempt {asked.number} of '{asked.stage}' of"
    return f"It is {what} {asked.change}, made by {made}; gate '{asked.gate}'."


def _how(change: Change) -> str:
    return "added" if change.old_oid is None else "removed" if change.new_oid is None else "changed"
