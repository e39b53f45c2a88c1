"""What a submitter is told: read from the store, the same for everybody who asks, whenever they ask."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ...gates import verdict
from ...gates.machine.reasons import Who, reason_of
from ...gates.text import shorten
from ...schemas import refusals
from ...schemas.records import Attempt, AttemptState, ChangeRecord, Evidence, Outcome, StageRecord, StageState
from ...schemas.refusals import Refused
from ...schemas.replies import FindingReply, Verdict
from ..store import EvaluationRow, EvaluationState, Purpose, StoredEvidence
from . import former, runs
from .answered import awaited
from .deciding import get_change
from .evidence import (
    QUESTION_CHARS_MAX,
    by_outcome,
    finding_reply,
    findings_of,
    gate_reply,
    questions_of,
    told_findings,
)

if TYPE_CHECKING:
    from ..store.tx import Tx

_Outcome = Literal["passed", "failed", "errored", "pending"]


def read_verdict(tx: "Tx", evaluation: str) -> Verdict:
    """The verdict of an evaluation, running or settled. Raises `Refused` (bad_argument) for one that there is not."""
    row = tx.find_evaluation(evaluation)
    if row is None or row.purpose is Purpose.WARM:
        raise Refused(refusals.bad_argument(f"there is no evaluation '{evaluation}'"))
    record = get_change(tx, row.change)
    if row.purpose is Purpose.DRY:
        return _dry(record, row, tx.evidence_of(row.id))
    if row.purpose is Purpose.LAND:
        return _landing(record, row, tx.evidence_of(row.id))
    stage = record.find_stage(row.stage)
    if stage is not None and row.purpose is Purpose.RUN:
        attempt = runs.find_attempt(stage, row)
        if attempt is None:
            return runs.verdict_before_attempt(record, stage, row)
    else:
        attempt = None if stage is None or row.attempt is None else stage.attempts[row.attempt - 1]
    if stage is None or attempt is None:
        raise Refused(refusals.bad_argument(f"evaluation '{evaluation}' belongs to a stage that is no more"))
    # Evaluated again by the server: whoever waits for the first evaluation waits for the last.
    return _of_attempt(record, stage, attempt, row, tx.evidence_of(attempt.evaluation))


def attempts_left(record: ChangeRecord, stage: StageRecord) -> int:
    """How many more attempts may fail before people or an earlier stage are asked."""
    return max(0, record.rule(stage.name).attempts + stage.granted - stage.failed)


def open_findings(tx: "Tx", stage: StageRecord) -> tuple[FindingReply, ...]:
    """What the last failed attempt has to mend: what gates and reviewers found, and one that the server made."""
    return told_findings([finding_reply(finding) for finding in former.findings(tx, stage)])


def _of_attempt(
    record: ChangeRecord, stage: StageRecord, attempt: Attempt, row: EvaluationRow, stored: Sequence[StoredEvidence]
) -> Verdict:
    in_review = attempt.state is AttemptState.JUDGING and attempt.outcome is Outcome.PENDING
    evidence = [*(item.evidence for item in stored), *(awaited(record, attempt.evaluation) if in_review else ())]
    settled = attempt.state is not AttemptState.JUDGING or in_review
    findings = findings_of(evidence) if settled else ()
    where = f"{record.id}/{stage.name}"
    handed_to = _handed_to(record, stage) if attempt.state is AttemptState.PASSED else ()
    return Verdict(
        state="pending" if in_review else "settled" if settled else "running",
        outcome=_outcome(attempt, in_review=in_review) if settled else None,
        summary=_summary(record, stage, attempt, evidence, settled=settled),
        evaluation=row.id,
        change=record.id,
        stage=stage.name,
        attempt=attempt.number,
        commit=attempt.commit,
        dry_run=False,
        gates=tuple(gate_reply(item) for item in evidence),
        findings=told_findings(findings),
        findings_total=len(findings),
        questions=questions_of(evidence) if in_review else (),
        waits_for=reason_of(record, stage, record.touched_at).because if in_review else None,
        warning=warning_of(stage, attempt),
        stage_state=stage.state,
        attempts_left=attempts_left(record, stage),
        handed_to=handed_to,
        next=_next(record, stage, attempt, row.id, where),
    )


def _outcome(attempt: Attempt, *, in_review: bool) -> _Outcome:
    if in_review:
        return "pending"
    match attempt.state:
        case AttemptState.PASSED:
            return "passed"
        case AttemptState.FAILED:
            return "failed"
        case AttemptState.SUPERSEDED | AttemptState.JUDGING:
            return "errored"


def _summary(
    record: ChangeRecord, stage: StageRecord, attempt: Attempt, evidence: Sequence[Evidence], *, settled: bool
) -> str:
    where = f"{record.id}/{stage.name}, attempt {attempt.number}"
    told = by_outcome(evidence)
    if not settled:
        again = (
            " again: a gate could not judge, which is not your fault; do not change the code"
            if attempt.error_retries
            else ""
        )
        return f"The gates are judging {where}{again}."
    match attempt.state:
        case AttemptState.PASSED:
            after = f" Handed to {', '.join(_handed_to(record, stage))}." if _handed_to(record, stage) else ""
            return f"Passed: {where}.{after} {told}".strip()
        case AttemptState.FAILED:
            return f"Failed: {where}. {_refused_by(stage, attempt) or told}"
        case AttemptState.SUPERSEDED:
            return f"No verdict for {where}: {_why_superseded(stage)}."
        case AttemptState.JUDGING:
            return f"{where}: {reason_of(record, stage, record.touched_at).because} {told}".strip()


def _refused_by(stage: StageRecord, attempt: Attempt) -> str | None:
    """Who refused the newest attempt and why, when it was a person and no gate: the last note on the stage."""
    by_gate = any(gate.outcome is Outcome.FAILED for gate in attempt.gates)
    if by_gate or stage.current != attempt or not stage.notes:
        return None
    note = stage.notes[-1]
    return shorten(f"{note.source}: {note.text or 'no reason given'}", QUESTION_CHARS_MAX).rstrip(".") + "."


def _why_superseded(stage: StageRecord) -> str:
    if stage.escalation is not None:
        return f"people must decide ({stage.escalation.question})"
    return "it was withdrawn, or a stage before was reopened"


def warning_of(stage: StageRecord, attempt: Attempt) -> str | None:
    """What the stage's holder should know before the loop is stopped (rule 5)."""
    if attempt.state is AttemptState.FAILED and stage.stuck == 2 and stage.current == attempt:
        return (
            "These are the same findings as last time; a third time stops the loop. Try another way, or release_stage."
        )
    return None


def _next(record: ChangeRecord, stage: StageRecord, attempt: Attempt, evaluation: str, where: str) -> str:
    if stage.current is None or stage.current.number != attempt.number:
        return f'get_status(change="{record.id}") tells where it stands now.'
    match stage.state:
        case StageState.EVALUATING:
            return f'wait_for_update(evaluation="{evaluation}") brings the verdict.'
        case StageState.IN_REVIEW:
            return f'{_who_answers(record, stage)}; wait_for_update(evaluation="{evaluation}") wakes you.'
        case StageState.CLAIMED:
            left = attempts_left(record, stage)
            return (
                f"Mend the findings in the workspace, then submit_artifact again with the same lease "
                f"({left} more may fail); get_evidence shows everything."
            )
        case StageState.OPEN:
            return f'claim_stage(change="{record.id}", stage="{stage.name}") to mend it.'
        case StageState.PASSED if runs.is_next(record, stage):
            return f'wait_for_update(change="{record.id}") tells what the server makes of it.'
        case StageState.PASSED if stage.name in record.plan.land_needs:
            return f'wait_for_update(change="{record.id}") tells when it has landed.'
        case StageState.PASSED:
            return f'claim_stage(change="{record.id}") for the next stage, or wait_for_update(change="{record.id}").'
        case StageState.ESCALATED:
            return f"A person decides (`gatewright why {where.replace('/', ' ')}`). claim_stage for other work."
        case StageState.WAITING:
            return f'wait_for_update(change="{record.id}"): a stage before it was reopened.'


def _who_answers(record: ChangeRecord, stage: StageRecord) -> str:
    """Who can move a stage in review, and how; its own holder takes it back only when nobody can be waited for."""
    unlocks = reason_of(record, stage, record.touched_at).unlocks
    told = [f"a person answers with {u.how}" for u in unlocks if u.who is Who.PERSON]
    told += [f"another agent reviews it with {u.how}" for u in unlocks if u.who is Who.REVIEWER]
    text = ", ".join(dict.fromkeys(told)) or "those who are at it answer"
    return f"{text[0].upper()}{text[1:]}"


def _handed_to(record: ChangeRecord, stage: StageRecord) -> tuple[str, ...]:
    after = tuple(rule.name for rule in record.plan.stages if stage.name in rule.needs)
    return after or (("landing",) if stage.name in record.plan.land_needs else ())


def _dry(record: ChangeRecord, row: EvaluationRow, stored: Sequence[StoredEvidence]) -> Verdict:
    evidence = [item.evidence for item in stored]
    stage = record.find_stage(row.stage)
    settled = row.state in {EvaluationState.SETTLED, EvaluationState.CANCELLED}
    outcome = verdict.combine([item.gate for item in evidence], verdict.outcomes_of(evidence)) if settled else None
    findings = findings_of(evidence)
    told = "was cancelled: its lease ended" if row.state is EvaluationState.CANCELLED else by_outcome(evidence)
    summary = (
        f"Check of {record.id}/{row.stage} (no attempt): {told}" if settled else f"Checking {record.id}/{row.stage}."
    )
    return Verdict(
        state="settled" if settled else "running",
        outcome=None if outcome is None else outcome.value,
        summary=summary,
        evaluation=row.id,
        change=record.id,
        stage=row.stage,
        attempt=None,
        commit=row.commit or "",
        dry_run=True,
        gates=tuple(gate_reply(item) for item in evidence),
        findings=told_findings(findings),
        findings_total=len(findings),
        questions=questions_of(evidence),
        stage_state=stage.state if stage else "waiting",
        attempts_left=attempts_left(record, stage) if stage else 0,
        next=(
            "submit_artifact with the lease when it is done; a check hands nothing in."
            if settled
            else f'wait_for_update(evaluation="{row.id}") brings the result.'
        ),
    )


def _landing(record: ChangeRecord, row: EvaluationRow, stored: Sequence[StoredEvidence]) -> Verdict:
    evidence = [item.evidence for item in stored]
    settled = row.state is not EvaluationState.QUEUED and row.state is not EvaluationState.RUNNING
    outcome = verdict.combine(record.plan.land_gates, verdict.outcomes_of(evidence)) if settled and evidence else None
    findings = findings_of(evidence)
    return Verdict(
        state="settled" if settled else "running",
        outcome=None if outcome is None else outcome.value,
        summary=f"Landing {record.id} on '{record.target}': {by_outcome(evidence) or record.state}",
        evaluation=row.id,
        change=record.id,
        stage="land",
        attempt=None,
        commit=stored[0].commit if stored else "",
        dry_run=False,
        gates=tuple(gate_reply(item) for item in evidence),
        findings=told_findings(findings),
        findings_total=len(findings),
        questions=questions_of(evidence),
        stage_state=record.state,
        attempts_left=0,
        next=f'wait_for_update(change="{record.id}") tells when it has landed.',
    )
