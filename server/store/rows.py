"""What rows mean, as plain values: openings, evaluations, stored evidence, replies and tokens."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ...gates.machine.reviewing import open_reviews
from ...schemas.plan import ReviewRule
from ...schemas.records import Attempt, ChangeRecord, ChangeState, Evidence, Outcome, StageState

# The role of whoever reviews.
REVIEWER = "reviewer"


class Purpose(StrEnum):
    """What an evaluation is for. RUN makes the attempt of a `run:` stage before it judges it.

    WARM prepares environments and the base's own results; it settles nothing.
    """

    ATTEMPT = "attempt"
    RUN = "run"
    DRY = "dry"
    LAND = "land"
    WARM = "warm"


class EvaluationState(StrEnum):
    """QUEUED and RUNNING are live; the others are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SETTLED = "settled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that can be claimed now, or from `expires_at` on, when its holder's lease runs out.

    `place` is that of the stage among those of its change, from 0.
    """

    change: str
    stage: str
    place: int
    role: str | None
    since: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One run of gates. `token` is its runner's right to settle it; whoever starts it anew takes a new one.

    For a dry run `commit`, `tree` and `scope_base` say what is judged; for an attempt the change record does. `gates`
    narrows a dry run to those gates. `fence` is the lease that a dry run belongs to.
    """

    id: str
    change: str
    stage: str
    purpose: Purpose
    state: EvaluationState
    created_at: datetime
    not_before: datetime
    attempt: int | None = None
    commit: str | None = None
    tree: str | None = None
    scope_base: str | None = None
    gates: tuple[str, ...] = ()
    fence: int | None = None
    token: str | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None
    tries: int = 0
    progress: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """Evidence with what it names: commit, tree, policy and gate digests (invariant I4)."""

    evaluation: str
    change: str
    stage: str
    attempt: int | None
    commit: str
    tree: str
    policy_digest: str
    gate_digest: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line about one piece of evidence of an attempt; `subject` is equal where a gate judged the same again.

    That is: the tree, the policy, and the gate as it was written. `fingerprints` are those of all its findings.
    """

    number: int
    change: str
    stage: str
    attempt: int
    subject: tuple[str, str, str]
    gate: str
    kind: str
    outcome: Outcome
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Upheld:
    """A dispute of an attempt's findings that a person decided for its holder."""

    change: str
    stage: str
    attempt: int
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What a mutating request led to; `reference` is JSON from which the reply is told again."""

    request_digest: str
    reference: str


@dataclass(frozen=True, slots=True)
class PassedTree:
    """A tree that passed every gate that landing asks for, under one policy."""

    tree: str
    policy_digest: str
    change: str
    evaluation: str
    commit: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What is kept of a token. `digest` is the SHA-256 of the token, in hexadecimal digits; `id` names it to people."""

    digest: str
    id: str
    subject: str
    scopes: tuple[str, ...]
    issued_at: datetime
    issued_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it may be used."""
        return self.revoked_at is None and now < self.expires_at


def openings_of(record: ChangeRecord) -> tuple[Opening, ...]:
    """What of a change can be claimed: open stages, claimed ones from their lease's end on, and reviews.

    A review's role is `reviewer`; with every seat taken it can be claimed when one of its leases ends.
    """
    if record.state is not ChangeState.ACTIVE:
        return ()
    found = []
    for place, stage in enumerate(record.stages):
        role = record.rule(stage.name).role
        if stage.state is StageState.OPEN:
            found.append(Opening(record.id, stage.name, place, role, record.touched_at, None))
        elif stage.state is StageState.CLAIMED and stage.lease is not None:
            found.append(Opening(record.id, stage.name, place, role, stage.lease.granted_at, stage.lease.expires_at))
        elif stage.state is StageState.IN_REVIEW and stage.current is not None:
            frees = [_seat_free_at(rule, stage.current) for rule in open_reviews(record, stage)]
            if frees:
                at = None if None in frees else min(free for free in frees if free is not None)
                found.append(Opening(record.id, stage.name, place, REVIEWER, record.touched_at, at))
    return tuple(found)


def _seat_free_at(rule: ReviewRule, attempt: Attempt) -> datetime | None:
    """When somebody else may review by this gate; None for now."""
    wanted = rule.quorum - sum(review.gate == rule.gate for review in attempt.reviews)
    ends = sorted(lease.expires_at for lease in attempt.review_leases if lease.gate == rule.gate)
    return None if len(ends) < wanted else ends[len(ends) - wanted]
