"""What can happen to one stage of a change. See `events`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .records import (
    Answered,
    Approval,
    Dispute,
    Escalation,
    GateOutcome,
    Lease,
    Maker,
    Note,
    Orphan,
    Review,
    ReviewLease,
)


@dataclass(frozen=True, slots=True)
class StageOpened:
    """All needs of a waiting stage passed.

    With a `carried` artifact it goes straight to evaluating by `ArtifactSubmitted`.
    """

    at: datetime
    stage: str
    kind: Literal["stage_opened"] = "stage_opened"


@dataclass(frozen=True, slots=True)
class StageClaimed:
    """Somebody holds the stage now; `taken_over` is the holder who had let the lease expire."""

    at: datetime
    stage: str
    lease: Lease
    taken_over: str | None = None
    kind: Literal["stage_claimed"] = "stage_claimed"


@dataclass(frozen=True, slots=True)
class LeaseRenewed:
    """The holder is alive."""

    at: datetime
    stage: str
    expires_at: datetime
    kind: Literal["lease_renewed"] = "lease_renewed"


@dataclass(frozen=True, slots=True)
class LeaseReleased:
    """The holder let go. A claimed stage opens; one that is being judged goes on without a lease."""

    at: datetime
    stage: str
    because: str
    reason: str
    kind: Literal["lease_released"] = "lease_released"


@dataclass(frozen=True, slots=True)
class TransformStarted:
    """The server begins to run a `run:` stage whose needs passed; the fence rises by one. `by` is a person who asked.

    Its artifact comes with `ArtifactSubmitted`, in the decision that settles the evaluation.
    """

    at: datetime
    stage: str
    evaluation: str
    by: str | None = None
    kind: Literal["transform_started"] = "transform_started"


@dataclass(frozen=True, slots=True)
class ArtifactSubmitted:
    """An attempt begins. A free one costs no budget (a person's retry, a carried artifact).

    `adopted` are the makers of kept work that is handed in with it. `base` and `stage_base` as in `Attempt`.
    The server's own, for a `run:` stage, has the evaluation that made it.
    """

    at: datetime
    stage: str
    attempt: int
    commit: str
    tree: str
    base: str
    summary: str
    holder: str
    principal: str
    evaluation: str
    is_free: bool = False
    answers: tuple[Answered, ...] = ()
    model: str | None = None
    adopted: tuple[Maker, ...] = ()
    stage_base: str | None = None
    kind: Literal["artifact_submitted"] = "artifact_submitted"


@dataclass(frozen=True, slots=True)
class AttemptWithdrawn:
    """The holder took the attempt back; it is superseded and costs nothing."""

    at: datetime
    stage: str
    attempt: int
    reason: str
    expires_at: datetime
    kind: Literal["attempt_withdrawn"] = "attempt_withdrawn"


@dataclass(frozen=True, slots=True)
class FloorPassed:
    """Every deterministic gate passed or asks people; what is `asked` must be answered before the stage passes."""

    at: datetime
    stage: str
    attempt: int
    evaluation: str
    gates: tuple[GateOutcome, ...]
    asked: tuple[str, ...]
    kind: Literal["floor_passed"] = "floor_passed"


@dataclass(frozen=True, slots=True)
class StagePassed:
    """Everything passed: the attempt is accepted and the lease ends."""

    at: datetime
    stage: str
    attempt: int
    evaluation: str
    gates: tuple[GateOutcome, ...]
    kind: Literal["stage_passed"] = "stage_passed"


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The verdict was a failure. The lease, if there still is one, is renewed until `expires_at`."""

    at: datetime
    stage: str
    attempt: int
    evaluation: str
    gates: tuple[GateOutcome, ...]
    fingerprints: tuple[str, ...]
    stuck: int
    expires_at: datetime | None
    kind: Literal["attempt_failed"] = "attempt_failed"


@dataclass(frozen=True, slots=True)
class EvaluationErrored:
    """The gates could not judge; the server tries again as evaluation `retry`, not before `not_before`.

    A `run:` stage is run again: its attempt is superseded.
    """

    at: datetime
    stage: str
    attempt: int
    evaluation: str
    gates: tuple[GateOutcome, ...]
    retry: str
    not_before: datetime
    kind: Literal["evaluation_errored"] = "evaluation_errored"


@dataclass(frozen=True, slots=True)
class StageEscalated:
    """People must decide. An attempt that was being judged is superseded."""

    at: datetime
    stage: str
    escalation: Escalation
    gates: tuple[GateOutcome, ...] = ()
    kind: Literal["stage_escalated"] = "stage_escalated"


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """A person answered what a gate asked about one commit; a refusal fails the attempt by `AttemptFailed`."""

    at: datetime
    stage: str
    attempt: int
    gate: str
    allowed: bool
    by: str
    note: str
    commit: str
    kind: Literal["question_answered"] = "question_answered"


@dataclass(frozen=True, slots=True)
class ReviewClaimed:
    """Somebody reviews the current attempt now."""

    at: datetime
    stage: str
    attempt: int
    lease: ReviewLease
    kind: Literal["review_claimed"] = "review_claimed"


@dataclass(frozen=True, slots=True)
class ReviewLeaseRenewed:
    """The reviewer is alive."""

    at: datetime
    stage: str
    number: int
    expires_at: datetime
    kind: Literal["review_lease_renewed"] = "review_lease_renewed"


@dataclass(frozen=True, slots=True)
class ReviewReleased:
    """The reviewer let go without a judgement."""

    at: datetime
    stage: str
    number: int
    reason: str
    kind: Literal["review_released"] = "review_released"


@dataclass(frozen=True, slots=True)
class ReviewGiven:
    """A reviewer's judgement, which ends the review lease; a rejection fails the attempt by `AttemptFailed`."""

    at: datetime
    stage: str
    attempt: int
    number: int
    review: Review
    kind: Literal["review_given"] = "review_given"


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A person approved the commit, or did not, which fails the attempt by `AttemptFailed`.

    `is_enough`: with this one there are as many as the gate wants.
    """

    at: datetime
    stage: str
    attempt: int
    approval: Approval
    is_enough: bool
    kind: Literal["approval_given"] = "approval_given"


@dataclass(frozen=True, slots=True)
class DecisionGiven:
    """A person answered an escalated question; the stage opens and the answer stands in the next brief.

    `upheld` is a dispute that the person decided for the holder: what was found is no fault.
    """

    at: datetime
    stage: str
    by: str
    note: Note
    upheld: Dispute | None = None
    kind: Literal["decision_given"] = "decision_given"


@dataclass(frozen=True, slots=True)
class AttemptsGranted:
    """A person added to the budget of an escalated stage, which opens."""

    at: datetime
    stage: str
    by: str
    count: int
    kind: Literal["attempts_granted"] = "attempts_granted"


@dataclass(frozen=True, slots=True)
class StageReopened:
    """The stage is open again, its attempts counted afresh, with a note that says why.

    A `run:` stage waits to be run again, which `TransformStarted` tells.
    """

    at: datetime
    stage: str
    by: str
    note: Note
    is_automatic: bool = False
    kind: Literal["stage_reopened"] = "stage_reopened"


@dataclass(frozen=True, slots=True)
class StageClosed:
    """An upstream stage was reopened: back to waiting; the lease ends, attempts are superseded."""

    at: datetime
    stage: str
    because: str
    kind: Literal["stage_closed"] = "stage_closed"


@dataclass(frozen=True, slots=True)
class OrphanKept:
    """A late or unsaved work of a former holder was kept for adoption."""

    at: datetime
    stage: str
    orphan: Orphan
    kind: Literal["orphan_kept"] = "orphan_kept"
