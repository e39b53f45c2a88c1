"""What happened: the record of a change and everything in it.

Plain frozen values. A record is never changed in place; `gates/lifecycle.py` makes the next one from an event, and
replaying a change's events from the first gives exactly the stored record (invariant I9).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .plan import Plan, PolicyPin, StageRule

# Severities of what a reviewer says: one of the first rejects, one of the last needs no answer.
BLOCKING, MINOR, REMARK = "blocking", "minor", "note"


class ChangeState(StrEnum):
    """`landing` begins with the durable intent to move the target, and cannot be left but forwards or by recovery."""

    ACTIVE = "active"
    LANDING = "landing"
    LANDED = "landed"
    CANCELLED = "cancelled"


class StageState(StrEnum):
    """Where one stage of one change stands."""

    WAITING = "waiting"
    OPEN = "open"
    CLAIMED = "claimed"
    EVALUATING = "evaluating"
    IN_REVIEW = "in_review"
    PASSED = "passed"
    ESCALATED = "escalated"


class Outcome(StrEnum):
    """What a gate found. ERRORED: it could not judge. PENDING: people or reviewers are still to answer."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    PENDING = "pending"


class AttemptState(StrEnum):
    """An attempt settles at most once; every state but JUDGING is final (invariant I3)."""

    JUDGING = "judging"
    PASSED = "passed"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class Cause(StrEnum):
    """Why a stage was escalated to people."""

    BUDGET_SPENT = "budget_spent"
    NO_PROGRESS = "no_progress"
    GATE_BROKEN = "gate_broken"
    NEEDS_DECISION = "needs_decision"
    REOPENS_SPENT = "reopens_spent"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a gate objects to.

    `path` is relative to the repository, `line` counts from 1. `fingerprint` is equal for the same problem in another
    attempt, also when its line moved; `id` is made from it. `satisfy` says what would make the gate content.
    """

    id: str
    gate: str
    severity: str
    rule: str
    message: str
    fingerprint: str
    path: str | None = None
    line: int | None = None
    satisfy: str | None = None
    on_base: bool = False

    @property
    def where(self) -> str | None:
        """`path:line`, or the path alone; None when the finding is about no place."""
        if self.path is None:
            return None
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one gate found about one commit; immutable.

    `counted` is the denominator in units of `unit`; zero never goes with PASSED. `question` is set exactly when the
    outcome is PENDING; `unasked` is what a gate that failed would have asked besides. `findings` are those that hold
    the gate up; `tolerated` are the base's own, shown and not held against it. `told_at` is when the server
    heard of it.
    """

    gate: str
    kind: str
    outcome: Outcome
    counted: int
    unit: str
    summary: str
    findings: tuple[Finding, ...] = ()
    tolerated: tuple[Finding, ...] = ()
    question: str | None = None
    output: str = ""
    output_sha256: str = ""
    duration_s: float = 0.0
    cached: bool = False
    isolation: str = "none"
    environment: tuple[tuple[str, str], ...] = ()
    unasked: str = ""
    told_at: datetime | None = None

    def __post_init__(self) -> None:
        assert self.outcome is not Outcome.PASSED or self.counted > 0, "a gate that checked nothing has not passed"
        assert (self.question is not None) == (self.outcome is Outcome.PENDING), "a question goes with pending"


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """One gate's line in a verdict, as the change record keeps it."""

    gate: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lease:
    """The time-limited right to work on a stage. The secret token is derived, never stored."""

    holder: str
    principal: str
    fence: int
    granted_at: datetime
    expires_at: datetime
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewLease:
    """The time-limited right to review one attempt; outside the stage's fence, with a number of its own."""

    gate: str
    reviewer: str
    principal: str
    number: int
    granted_at: datetime
    expires_at: datetime
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A reviewer's judgement of one commit. It rejects when a finding is BLOCKING, whatever else it says.

    `reviewer` and `model` are declared, `principal` is how the server knows who called. `inspected` says what was
    looked at, in the reviewer's words.
    """

    gate: str
    reviewer: str
    principal: str
    commit: str
    findings: tuple[Finding, ...]
    inspected: tuple[str, ...]
    at: datetime
    model: str | None = None
    note: str = ""

    @property
    def is_rejecting(self) -> bool:
        """The verdict, computed from the findings (rule 9)."""
        return any(finding.severity == BLOCKING for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's word about one commit for one target; `how` says by what the person was known.

    `signature` is what was signed with, if it was, in its armour: anybody can verify it again.
    """

    gate: str
    person: str
    how: str
    commit: str
    target: str
    is_given: bool
    at: datetime
    note: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a holder says about a finding of the attempt before: `fixed`, `disputed` or `not_applicable`.

    `fingerprint` is that of the finding, by which it is known again in the next verdict; empty where none has that id.
    """

    finding: str
    disposition: str
    note: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made something: `principal` is authenticated, `holder` and `model` are declared."""

    principal: str
    holder: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One artifact handed in to one stage; `number` is never reused within the stage.

    `allowed` are the gates that asked and whose question people have answered with yes, approvals among them. `inputs`
    are the commits of what the needs had handed over then, in the order of the needs. `upheld` are the fingerprints of
    findings that its holder disputed and a person said to be no fault. `adopted` are those whose kept work it is,
    beside its holder. `base` is what it is judged from: where its stage began, with what it has taken in of the target
    since. `stage_base` is where the stage began when that is another commit.
    """

    number: int
    commit: str
    tree: str
    base: str
    summary: str
    holder: str
    principal: str
    fence: int
    submitted_at: datetime
    evaluation: str
    state: AttemptState = AttemptState.JUDGING
    outcome: Outcome | None = None
    gates: tuple[GateOutcome, ...] = ()
    asked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    error_retries: int = 0
    is_free: bool = False
    model: str | None = None
    answers: tuple[Answered, ...] = ()
    inputs: tuple[str, ...] = ()
    review_leases: tuple[ReviewLease, ...] = ()
    reviews: tuple[Review, ...] = ()
    approvals: tuple[Approval, ...] = ()
    upheld: tuple[str, ...] = ()
    adopted: tuple[Maker, ...] = ()
    stage_base: str | None = None

    @property
    def began_at(self) -> str:
        """The commit that its stage began with."""
        return self.stage_base or self.base

    @property
    def maker(self) -> Maker:
        """Who handed it in."""
        return Maker(self.principal, self.holder, self.model)

    @property
    def review_findings(self) -> tuple[Finding, ...]:
        """What reviewers object to; those that only remark something left out."""
        return tuple(f for review in self.reviews for f in review.findings if f.severity != REMARK)


@dataclass(frozen=True, slots=True)
class Orphan:
    """Work of a holder who was taken over: a commit that the new holder may adopt.

    `principal` is that of its maker, `tree` the commit's: both None where they are not known.
    """

    commit: str
    holder: str
    fence: int
    kept_at: datetime
    note: str
    principal: str | None = None
    model: str | None = None
    tree: str | None = None

    @property
    def maker(self) -> Maker | None:
        """Who made it."""
        return None if self.principal is None else Maker(self.principal, self.holder, self.model)


@dataclass(frozen=True, slots=True)
class Note:
    """A finding that people, another stage or the landing left on a stage for its next holder.

    `target` is the commit of the target with which the stage's work does not merge.
    """

    source: str
    text: str
    paths: tuple[str, ...] = ()
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """What gates found about an attempt, by fingerprint, and its holder holds to be no fault, every bit of it."""

    attempt: int
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalation:
    """Why the stage waits for people, and the question as it was put; of a dispute also what is disputed.

    `paths` are the files that it is about, where those are known; `target` as in a note.
    """

    cause: Cause
    question: str
    at: datetime
    dispute: Dispute | None = None
    paths: tuple[str, ...] = ()
    target: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseEnd:
    """Because of what the lease of `fence`, and all that was live with it, was ended by somebody else."""

    fence: int
    because: str


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of one change.

    `fence` only ever rises: it survives release, expiry and reopen. `failed` counts the attempts spent since the
    stage was last opened afresh, `granted` what people added to the budget, `stuck` how often running the same
    findings came back. `carried` is the number of a former attempt to be judged again by the server when the stage
    opens (after a re-pin); `transform` the evaluation that makes the artifact of a `run:` stage, as long as it does.
    `review_leases` counts those ever given: the number of the last one. `since` is when the stage came into its state,
    `ended` the last end that somebody else put to a lease, `former` how many attempts there were when it was last
    opened afresh.
    """

    name: str
    state: StageState
    fence: int = 0
    lease: Lease | None = None
    attempts: tuple[Attempt, ...] = ()
    accepted: int | None = None
    failed: int = 0
    granted: int = 0
    stuck: int = 0
    reopened: int = 0
    notes: tuple[Note, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    escalation: Escalation | None = None
    carried: int | None = None
    transform: str | None = None
    review_leases: int = 0
    since: datetime | None = None
    ended: LeaseEnd | None = None
    former: int = 0

    @property
    def current(self) -> Attempt | None:
        """The newest attempt, whatever became of it."""
        return self.attempts[-1] if self.attempts else None

    def makers(self, attempt: Attempt) -> tuple[Maker, ...]:
        """Whose own work an attempt is: of all who handed the same tree in, and of those whose work they adopted."""
        same = (other for other in self.attempts if other.tree == attempt.tree)
        return tuple(dict.fromkeys(maker for other in same for maker in (other.maker, *other.adopted)))

    @property
    def artifact(self) -> Attempt | None:
        """The accepted attempt of a passed stage."""
        return None if self.accepted is None else self.attempts[self.accepted - 1]


class LandingStep(StrEnum):
    """PREPARING: merge and land gates run. ASKING: a land gate asks people. BLOCKED: something is in the way.

    INTENDED: the target is about to move.
    """

    PREPARING = "preparing"
    ASKING = "asking"
    BLOCKED = "blocked"
    INTENDED = "intended"
    LANDED = "landed"


@dataclass(frozen=True, slots=True)
class Landing:
    """One try at landing; `old`, `new` and `tree` are set from the intent on. It is at its step since `since`.

    `delays` counts how often it was told what keeps the target from moving, `because` says what it was last.
    """

    number: int
    step: LandingStep
    evaluation: str
    old: str | None = None
    new: str | None = None
    tree: str | None = None
    because: str | None = None
    gates: tuple[GateOutcome, ...] = ()
    asked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    since: datetime | None = None
    delays: int = 0


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One intent going through one pipeline.

    `version` is the number of its last event; `touched_at` its time, a floor for the clock. `retired` are stages that a
    change of policy left out: one that comes back goes on where it was, so that no fence is ever given twice (I2).
    """

    id: str
    version: int
    state: ChangeState
    title: str
    intent: str
    principal: str
    base: str
    target: str
    policy: PolicyPin
    plan: Plan
    stages: tuple[StageRecord, ...]
    created_at: datetime
    touched_at: datetime
    evaluations: int = 0
    landing: Landing | None = None
    landings: int = 0
    landing_failures: int = 0
    landed_commit: str | None = None
    cancelled_because: str | None = None
    retired: tuple[StageRecord, ...] = ()

    def stage(self, name: str) -> StageRecord:
        """The record of the named stage; KeyError is our bug, callers check with `find_stage`."""
        found = self.find_stage(name)
        if found is None:
            raise KeyError(name)
        return found

    def find_stage(self, name: str) -> StageRecord | None:
        """The record of the named stage, or None."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def rule(self, name: str) -> StageRule:
        """What the pinned policy says of the named stage."""
        return next(rule for rule in self.plan.stages if rule.name == name)

    def inputs_of(self, name: str) -> tuple[str, ...]:
        """The commits that the stage's needs hand over now, in their order; those that have not passed left out."""
        artifacts = (self.stage(need).artifact for need in self.rule(name).needs)
        return tuple(artifact.commit for artifact in artifacts if artifact is not None)
