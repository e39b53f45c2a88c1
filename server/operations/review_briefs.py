"""What a reviewer is told: artifact, spec, and what was said before; never what the author says of the work.

The summary, the notes and the talk of whoever made it would only lead the reviewer along. What it has to say about a
former reviewer's finding is told, because that is what this one decides.
"""

from ...gates.machine.independence import WORDS
from ...gates.machine.reasons import reason_of
from ...gates.machine.reviewing import find_lease
from ...gates.text import clean_text, number_of, shorten
from ...schemas.records import Attempt, AttemptState, ChangeRecord, Review, StageRecord, StageState
from ...schemas.replies import Brief, InputArtifact, ReviewedReply
from ..services import Services
from ..store import REVIEWER
from . import former, packets
from .briefs import filled, gate_brief, input_artifact, writes_of
from .evidence import finding_reply, told_findings

STAT_PATHS_MAX = 12


def review_brief(services: Services, record: ChangeRecord, name: str, number: int) -> Brief:
    """The brief of a review lease. Blocking: git is asked for paths."""
    stage = record.stage(name)
    attempt, lease = stage.current, find_lease(stage, number)
    if attempt is None or lease is None:
        return _ended(services, record, name, number)
    policy = services.policies.at(record.policy.commit)
    declared = policy.pipeline.stages[name]
    gate = next(gate for gate in declared.gates if gate.name == lease.gate)
    rule = next(rule for rule in record.rule(name).reviews if rule.gate == lease.gate)
    ask = gate.options.get("ask")
    left = (lease.expires_at - services.clock()).total_seconds()
    return Brief(
        kind="review",
        lease=services.leases.review_token(record.id, name, number),
        expires_in_s=max(0, round(left)),
        change=record.id,
        stage=name,
        role=REVIEWER,
        goal=filled(declared.goal, record, name) or None,
        intent=record.intent,
        attempt=attempt.number,
        base_commit=attempt.base,
        inputs=tuple(_without_talk(input_artifact(services, record, need)) for need in declared.needs),
        writes=writes_of(record, policy, name),
        gates=(gate_brief(gate, record, name),),
        findings=told_findings([finding_reply(finding) for finding in former.objections(stage)]),
        answers=packets.told(former.answers(stage)),
        notes=(WORDS[rule.independence].told,),
        artifact={
            "commit": attempt.commit,
            "diff_stat": _stat(services, attempt),
            "ask": ask if isinstance(ask, str) else "",
        },
        next=(
            f'read_artifact(change="{record.id}", stage="{name}", attempt={attempt.number}, path="diff") shows the '
            "difference, `path` any file; then review_artifact(lease, findings, inspected). A blocking finding rejects."
        ),
    )


def reviewed_reply(record: ChangeRecord, name: str, number: int, place: int) -> ReviewedReply:
    """What the review at this place of an attempt came to, told from the record as it stands."""
    stage = record.stage(name)
    attempt = stage.attempts[number - 1]
    this = attempt.reviews[place]
    reviews = [review for review in attempt.reviews if review.gate == this.gate]
    quorum = next((rule.quorum for rule in record.rule(name).reviews if rule.gate == this.gate), len(reviews))
    return ReviewedReply(
        summary=_summary(record, stage, attempt, this, f"{len(reviews)} of {number_of(quorum, 'reviews')}"),
        change=record.id,
        stage=name,
        attempt=number,
        commit=attempt.commit,
        verdict="rejected" if this.is_rejecting else "accepted",
        reviews=len(reviews),
        quorum=quorum,
        findings=told_findings([finding_reply(finding) for finding in this.findings]),
        stage_state=stage.state,
        next=f'claim_stage for other work; wait_for_update(change="{record.id}") tells what becomes of it.',
    )


def _ended(services: Services, record: ChangeRecord, name: str, number: int) -> Brief:
    return Brief(
        kind="review",
        lease=services.leases.review_token(record.id, name, number),
        expires_in_s=0,
        change=record.id,
        stage=name,
        role=REVIEWER,
        why="This review lease has ended: it was used, let go, or what it was about is judged no more.",
        next='claim_stage(role="reviewer") for another review.',
    )


def _without_talk(told: InputArtifact) -> InputArtifact:
    return told.model_copy(update={"summary": ""})


def _stat(services: Services, attempt: Attempt) -> str:
    changes = services.artifacts.changes(attempt.base, attempt.commit)
    words = {(True, False): "adds", (False, True): "removes", (True, True): "changes"}
    told = [f"{words[c.new_oid is not None, c.old_oid is not None]} {clean_text(c.path)}" for c in changes]
    more = f", and {len(told) - STAT_PATHS_MAX} more" if len(told) > STAT_PATHS_MAX else ""
    return f"{number_of(len(told), 'files')}: {', '.join(told[:STAT_PATHS_MAX])}{more}"


def _summary(record: ChangeRecord, stage: StageRecord, attempt: Attempt, this: Review, count: str) -> str:
    word = "rejected" if this.is_rejecting else "accepted"
    what = f"You {word} attempt {attempt.number} of {record.id}/{stage.name} ({count})."
    if attempt.state is AttemptState.PASSED:
        return f"{what} It has passed."
    if stage.state is StageState.IN_REVIEW and stage.current == attempt:
        return f"{what} {shorten(reason_of(record, stage, record.touched_at).because, 300)}"
    return what
