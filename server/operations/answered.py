"""Evidence of what people and reviewers answered, in the transaction that takes their answer in.

It stands beside what programs found, under the same evaluation, so that whoever asks for the evidence of an attempt or
of a landing sees every gate of the policy (invariant I4). One for each gate and evaluation: it is written when the gate
is answered for good, as passed or as failed, and never rewritten.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ...gates.findings import Problem, make_findings
from ...gates.machine.approvals import OpenApproval, open_approvals_of
from ...gates.policy import APPROVAL, Policy, find_gate, gate_digest
from ...gates.text import number_of
from ...schemas.ids import LAND, short
from ...schemas.records import Approval, ChangeRecord, Evidence, Outcome
from ..people.signatures import statement
from ..store import StoredEvidence

if TYPE_CHECKING:
    from ..store.tx import Tx

APPROVALS = "approvals"
REFUSED = "refused"


def record_answered(tx: "Tx", record: ChangeRecord, stage: str, evidence: Evidence, policy: Policy) -> None:
    """Keep what a gate came to that people or reviewers answered about the current attempt, or the landing.

    `record` may be that of before or after the answer: it says commit, tree and evaluation; `policy` is the one that
    the change is pinned to.
    """
    gate = find_gate(policy.pipeline, stage, evidence.gate)
    assert gate is not None, "who answers a gate answers one of the policy"
    landing, attempt = record.landing, None if stage == LAND else record.stage(stage).current
    if attempt is not None:
        evaluation, commit, tree = attempt.evaluation, attempt.commit, attempt.tree
    else:
        assert landing is not None, "what is answered is there"
        assert landing.new is not None, "what asks was merged"
        assert landing.tree is not None, "what asks was merged"
        evaluation, commit, tree = landing.evaluation, landing.new, landing.tree
    tx.add_evidence(
        StoredEvidence(
            evaluation=evaluation,
            change=record.id,
            stage=stage,
            attempt=None if attempt is None else attempt.number,
            commit=commit,
            tree=tree,
            policy_digest=policy.digest,
            gate_digest=gate_digest(gate),
            evidence=evidence,
        )
    )


def record_approval(tx: "Tx", before: ChangeRecord, approval: Approval, stage: str, policy: Policy) -> None:
    """Keep the evidence of an approval gate when `approval`, the newest answer, decides it; else nothing yet."""
    asked = next(o for o in open_approvals_of(before) if (o.stage, o.gate) == (stage, approval.gate))
    given = (*asked.given, approval) if approval.is_given else asked.given
    if not approval.is_given or len(given) >= asked.minimum:
        record_answered(tx, before, stage, _evidence(asked, given, None if approval.is_given else approval), policy)


def awaited(record: ChangeRecord, evaluation: str) -> tuple[Evidence, ...]:
    """What approval gates of this evaluation ask now, as evidence that is told and not kept."""
    return tuple(
        Evidence(
            gate=asked.gate,
            kind=APPROVAL,
            outcome=Outcome.PENDING,
            counted=len(asked.given),
            unit=APPROVALS,
            summary=f"{len(asked.given)} of {number_of(asked.minimum, APPROVALS)}; a person runs `{asked.command}`.",
            question=asked.question,
        )
        for asked in open_approvals_of(record)
        if asked.evaluation == evaluation
    )


def _evidence(asked: OpenApproval, given: tuple[Approval, ...], refused: Approval | None) -> Evidence:
    said = given if refused is None else (*given, refused)
    evidence = Evidence(
        gate=asked.gate,
        kind=APPROVAL,
        outcome=Outcome.PASSED if refused is None else Outcome.FAILED,
        counted=len(given),
        unit=APPROVALS,
        summary=f"{number_of(len(given), APPROVALS)} of {asked.minimum} for {short(asked.commit)}: "
        + ", ".join(f"{a.person} {'approved' if a.is_given else 'did not approve'} ({a.how})" for a in said),
        output="\n".join(_told(asked, approval) for approval in said),
    )
    if refused is None:
        return evidence
    problem = Problem(
        REFUSED,
        f"{refused.person} did not approve: {refused.note or 'no reason given'}",
        mark=asked.gate,
        satisfy="Hand in what they can approve; the reason says what they miss.",
    )
    return replace(evidence, findings=make_findings(asked.gate, (problem,), moved={}, on_base=False, taken=set()))


def _told(asked: OpenApproval, approval: Approval) -> str:
    """Who, how, which commit and target; and for a signature all that it takes to verify it again."""
    word = "approved" if approval.is_given else "did not approve"
    lines = [
        f"{approval.person} {word} commit {approval.commit} for '{approval.target}'",
        f"  at {approval.at.isoformat()}, known by: {approval.how}",
        *([f"  note: {approval.note}"] if approval.note else []),
    ]
    if approval.signature:
        text = statement(asked, is_given=approval.is_given, note=approval.note)
        lines += ["The statement that was signed:", text.rstrip("\n"), approval.signature.rstrip("\n")]
    return "\n".join(lines)
