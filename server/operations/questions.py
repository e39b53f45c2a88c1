"""What waits for a person's answer about a stage or a landing, as it is in the store."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...gates.machine import landing as landing_rules
from ...gates.machine.questions import open_questions
from ...schemas.ids import LAND
from ...schemas.records import ChangeRecord, LandingStep, Outcome, StageState

if TYPE_CHECKING:
    from ...schemas.records import Dispute, Evidence, Finding, StageRecord
    from ..store.tx import Tx


@dataclass(frozen=True, slots=True)
class Question:
    """What gates, or an escalation, ask about one commit. `subject` is equal exactly while it is the same question."""

    change: str
    stage: str
    gates: tuple[str, ...]
    texts: tuple[str, ...]
    subject: str
    about: str
    is_escalation: bool = False
    is_dispute: bool = False


def find_question(tx: "Tx", record: ChangeRecord, stage: str, gate: str | None = None) -> Question | None:
    """The open question about a stage, or about the landing when the stage is `land`; None when there is none."""
    if stage == LAND:
        return _about_landing(tx, record, gate)
    found = record.find_stage(stage)
    if found is None:
        return None
    if found.state is StageState.ESCALATED and found.escalation is not None:
        subject = f"{found.escalation.at.isoformat()} {found.escalation.question}"
        about = f"'{stage}' of {record.id} ({found.escalation.cause.replace('_', ' ')})"
        dispute = found.escalation.dispute
        texts = (found.escalation.question, *(_disputed(tx, found, dispute) if dispute is not None else ()))
        return Question(record.id, stage, (), texts, subject, about, is_escalation=True, is_dispute=dispute is not None)
    gates = _named(open_questions(record, found), gate)
    if not gates or found.current is None:
        return None
    attempt = found.current
    about = f"attempt {attempt.number} of '{stage}' of {record.id} by '{attempt.holder}', commit {attempt.commit}"
    texts = _texts(tx, attempt.evaluation, gates)
    return Question(record.id, stage, gates, texts, f"{attempt.number} {attempt.commit}", about)


def _about_landing(tx: "Tx", record: ChangeRecord, gate: str | None) -> Question | None:
    landing = record.landing
    if landing is None or landing.step is not LandingStep.ASKING:
        return None
    gates = _named(landing_rules.open_questions(record, landing), gate)
    if not gates:
        return None
    about = f"landing {record.id} on '{record.target}', merged commit {landing.new}"
    texts = _texts(tx, landing.evaluation, gates)
    return Question(record.id, LAND, gates, texts, f"{landing.number} {landing.new}", about)


def _named(gates: tuple[str, ...], gate: str | None) -> tuple[str, ...]:
    return tuple(name for name in gates if gate in (None, name))


def _texts(tx: "Tx", evaluation: str, gates: tuple[str, ...]) -> tuple[str, ...]:
    """One text a gate: what it asks and what it found."""
    texts = []
    evidence = {item.evidence.gate: item.evidence for item in tx.evidence_of(evaluation)}
    for gate in gates:
        found = evidence.get(gate)
        lines = [f"Gate '{gate}' asks:", found.question or "" if found else "(its evidence is gone)"]
        lines += [f"  {f.where or ''}  {f.rule}: {f.message}" for f in _untold(found)]
        texts.append("\n".join(lines))
    return tuple(texts)


def _disputed(tx: "Tx", stage: "StageRecord", dispute: "Dispute") -> tuple[str, ...]:
    """One text a gate: what it found that its holder holds to be no fault."""
    attempt = stage.attempts[dispute.attempt - 1]
    texts = []
    for found in (item.evidence for item in tx.evidence_of(attempt.evaluation)):
        disputed = [f for f in found.findings if f.fingerprint in dispute.fingerprints]
        if disputed and found.outcome is Outcome.FAILED:
            lines = [f"  {f.id}  {f.where or ''}  {f.rule}: {f.message}" for f in disputed]
            texts.append("\n".join([f"Gate '{found.gate}' found in commit {attempt.commit}:", *lines]))
    return (*texts, "To allow says that this is no fault: it is judged again without it. To refuse opens the stage.")


def _untold(found: "Evidence | None") -> list["Finding"]:
    """The findings that the question itself does not show already."""
    if found is None:
        return []
    asked = found.question or ""
    return [f for f in found.findings if f.message not in asked and not (f.line is None and f.path and f.path in asked)]
