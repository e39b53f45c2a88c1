"""Evidence of what reviewers judged, in the transaction that takes the review in which decides its gate.

One for each gate and evaluation, as of every other gate: `get_evidence`, the brief of the next attempt and the verdict
tell a reviewer's findings as they tell those of a program. It says what an agent declared, and what is known.
"""

from typing import TYPE_CHECKING

from ...gates.policy import REVIEW, Policy
from ...gates.text import number_of, some_of
from ...schemas.ids import short
from ...schemas.records import REMARK, ChangeRecord, Evidence, Outcome, Review
from .answered import record_answered

if TYPE_CHECKING:
    from ..store.tx import Tx

UNIT = "reviews"
INSPECTED_TOLD_MAX = 20
NO_PROGRAM = "no program ran"


def record_review(
    tx: "Tx", before: ChangeRecord, after: ChangeRecord, *, stage: str, gate: str, policy: Policy
) -> None:
    """Keep the evidence of a review gate when the newest review of the attempt, just taken in, decides it."""
    attempt = after.stage(stage).attempts[len(before.stage(stage).attempts) - 1]
    reviews = tuple(review for review in attempt.reviews if review.gate == gate)
    rule = next(rule for rule in before.rule(stage).reviews if rule.gate == gate)
    if reviews[-1].is_rejecting or len(reviews) >= rule.quorum:
        record_answered(tx, before, stage, evidence_of(reviews, rule.quorum), policy)


def evidence_of(reviews: tuple[Review, ...], quorum: int) -> Evidence:
    """What the reviews of one gate came to; one that rejects is the last. What does not hold up is shown beside."""
    is_rejected = reviews[-1].is_rejecting
    said = [finding for review in reviews for finding in review.findings]
    held = tuple(f for f in said if f.severity != REMARK) if is_rejected else ()
    return Evidence(
        gate=reviews[-1].gate,
        kind=REVIEW,
        outcome=Outcome.FAILED if is_rejected else Outcome.PASSED,
        counted=len(reviews),
        unit=UNIT,
        summary=f"{number_of(len(reviews), UNIT)} of {quorum} for {short(reviews[-1].commit)}: "
        + ", ".join(f"'{r.reviewer}' {'rejected' if r.is_rejecting else 'accepted'}" for r in reviews),
        findings=held,
        tolerated=tuple(f for f in said if f not in held),
        output="\n\n".join(map(_told, reviews)),
        isolation="none",
        environment=(
            ("isolation", NO_PROGRAM),
            *((f"review {number}", _known(review)) for number, review in enumerate(reviews, 1)),
        ),
    )


def _known(review: Review) -> str:
    model = f" and the model '{review.model}'" if review.model else ""
    return f"declared: the name '{review.reviewer}'{model}; authenticated: the principal {review.principal}"


def _told(review: Review) -> str:
    lines = [
        f"'{review.reviewer}' {'rejected' if review.is_rejecting else 'accepted'} commit {review.commit}",
        f"  at {review.at.isoformat()}; {_known(review)}",
        f"  inspected: {some_of(review.inspected, INSPECTED_TOLD_MAX) or 'not said'}",
        *([f"  note: {review.note}"] if review.note else []),
        *(f"  {f.id} {f.severity} {f.where or 'no place'}: {f.message}" for f in review.findings),
    ]
    return "\n".join(lines)
