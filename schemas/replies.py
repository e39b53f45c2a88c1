"""What the eleven tools answer. Every reply ends with `next`: what to call now.

Field order is reading order: the decisive words come first, because clients cut long results. Source: docs/tools.md
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .counted import number_of


class Reply(BaseModel):
    """Frozen; None and empty fields stay, so that a program finds the same keys every time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def headline(self) -> str:
        """One sentence for the model, before everything else."""
        raise AssertionError("every reply says what happened")


class StartedReply(Reply):
    """`start_change`."""

    change: str
    title: str
    base_commit: str
    stages: tuple[str, ...]
    open: tuple[str, ...]
    next: str

    def headline(self) -> str:
        """What was opened."""
        return f"Change {self.change} is open: {self.title}"


class InputArtifact(BaseModel):
    """What a stage before handed over."""

    stage: str
    commit: str
    summary: str
    paths: tuple[str, ...]


class GateBrief(BaseModel):
    """One gate that will judge the work."""

    gate: str
    kind: str
    about: str


class FindingReply(BaseModel):
    """One finding."""

    id: str
    gate: str
    severity: str
    where: str | None
    rule: str
    message: str
    satisfy: str | None


class OrphanReply(BaseModel):
    """Work of a former holder that may be adopted."""

    commit: str
    holder: str
    note: str
    adopt: str | None = None


class TriedReply(BaseModel):
    """A former attempt in the brief of the next one; `stuck` is how often running its findings had come back then."""

    attempt: int
    holder: str
    outcome: str
    stuck: int
    summary: str


class AnswerReply(BaseModel):
    """What a holder said about a finding of an attempt before."""

    finding: str
    disposition: str
    note: str


class Brief(Reply):
    """`claim_stage`: enough to work, and enough to resume after a context is lost."""

    kind: Literal["work", "review", "none"]
    lease: str | None = None
    expires_in_s: int | None = None
    change: str | None = None
    stage: str | None = None
    role: str | None = None
    goal: str | None = None
    intent: str | None = None
    attempt: int | None = None
    attempts_left: int | None = None
    base_commit: str | None = None
    workspace: str | None = None
    inputs: tuple[InputArtifact, ...] = ()
    writes: tuple[str, ...] = ()
    gates: tuple[GateBrief, ...] = ()
    findings: tuple[FindingReply, ...] = ()
    warning: str | None = None
    tried: tuple[TriedReply, ...] = ()
    disputed: tuple[AnswerReply, ...] = ()
    answers: tuple[AnswerReply, ...] = ()
    notes: tuple[str, ...] = ()
    orphans: tuple[OrphanReply, ...] = ()
    artifact: dict[str, str] | None = None
    why: str | None = None
    next: str

    def headline(self) -> str:
        """What is yours now, or why nothing is."""
        if self.kind == "none":
            return f"Nothing to claim: {self.why}"
        what = "The review of " if self.kind == "review" else ""
        held = f"{what}'{self.stage}' of {self.change} is yours for {self.expires_in_s} s (attempt {self.attempt})."
        return f"{held} {self.goal}" if self.goal else held


class RenewedReply(Reply):
    """`renew_lease`."""

    change: str
    stage: str
    expires_in_s: int
    next: str

    def headline(self) -> str:
        """Until when."""
        return f"'{self.stage}' of {self.change} is yours for {number_of(self.expires_in_s, 'more seconds')}."


class GateReply(BaseModel):
    """One gate's line of a verdict."""

    gate: str
    outcome: str
    count: int
    unit: str
    summary: str
    duration_s: float
    cached: bool


class Verdict(Reply):
    """`submit_artifact`, `check_gates` and, for an evaluation, `wait_for_update`.

    `running`: the gates judge. `pending`: they passed or ask, and `waits_for` says whose answer is awaited.
    """

    state: Literal["running", "pending", "settled"]
    outcome: Literal["passed", "failed", "errored", "pending"] | None
    summary: str
    evaluation: str
    change: str
    stage: str
    attempt: int | None
    commit: str
    dry_run: bool
    gates: tuple[GateReply, ...] = ()
    findings: tuple[FindingReply, ...] = ()
    findings_total: int = 0
    questions: tuple[str, ...] = ()
    waits_for: str | None = None
    warning: str | None = None
    stage_state: str
    attempts_left: int
    handed_to: tuple[str, ...] = ()
    next: str

    def headline(self) -> str:
        """The outcome in a sentence."""
        return self.summary


class StageStatus(BaseModel):
    """One stage in a status."""

    stage: str
    state: str
    holder: str | None
    expires_in_s: int | None
    attempt: int | None
    because: str
    unlock: str


class ChangeStatus(BaseModel):
    """One change in a status."""

    change: str
    title: str
    state: str
    landing: str | None
    stages: tuple[StageStatus, ...]


class UnlockReply(BaseModel):
    """One thing that would move a stage, as it is typed or called; accepted now, or in so many seconds."""

    who: str
    how: str
    in_s: int | None = None


class AttemptReply(BaseModel):
    """One attempt: what it was and what became of it; `findings` counts what held it up."""

    number: int
    holder: str
    model: str | None
    commit: str
    outcome: str
    gates: str
    findings: int


class ReviewsReply(BaseModel):
    """What a review gate of a stage in review still wants, and of whom."""

    gate: str
    given: int
    missing: int
    reviewing: str | None
    may_review: str


class NoteReply(BaseModel):
    """What people, another stage or the landing left for the next holder."""

    source: str
    text: str


class StageWhy(BaseModel):
    """Why one stage, or the landing, stands where it does; times in seconds.

    `since_s` is for how long it has been in its state, `held_s` for how long its holder has had it.
    """

    stage: str
    state: str
    is_claimable: bool
    because: str
    since_s: int | None = None
    holder: str | None = None
    held_s: int | None = None
    expires_in_s: int | None = None
    unlocks: tuple[UnlockReply, ...] = ()
    reviews: tuple[ReviewsReply, ...] = ()
    attempts_made: int = 0
    attempts_left: int | None = None
    stuck: str | None = None
    attempts: tuple[AttemptReply, ...] = ()
    notes: tuple[NoteReply, ...] = ()
    orphans: tuple[OrphanReply, ...] = ()
    left_out: str | None = None


class Status(Reply):
    """`get_status`. `why` and `history` come when one stage, or one change, is asked for, `ended` when none is."""

    summary: str
    waiting_for_people: tuple[str, ...]
    waiting_more: int | None = None
    changes: tuple[ChangeStatus, ...]
    more: int | None = None
    ended: tuple[str, ...] = ()
    why: StageWhy | None = None
    history: tuple[str, ...] = ()
    warning: str | None = None
    next: str

    def headline(self) -> str:
        """What waits for people first."""
        return self.summary


class Update(Reply):
    """`wait_for_update` about a change or about everything."""

    summary: str
    position: int
    happened: tuple[str, ...]
    claimable: tuple[str, ...]
    next: str

    def headline(self) -> str:
        """What is new."""
        return self.summary


class ArtifactReply(Reply):
    """`read_artifact`: a list of files, one file, or a diff; `text` is untrusted content of the repository."""

    summary: str
    change: str
    stage: str
    attempt: int | None
    commit: str
    paths: tuple[str, ...] = ()
    path: str | None = None
    text: str | None = None
    next_offset: int | None = None
    next: str

    def headline(self) -> str:
        """What this is."""
        return self.summary


class EvidenceReply(Reply):
    """`get_evidence`: exactly as judged; `output` is untrusted program output."""

    summary: str
    change: str
    stage: str
    attempt: int | None
    evaluation: str
    commit: str
    gates: tuple[GateReply, ...]
    findings: tuple[FindingReply, ...]
    tolerated: tuple[FindingReply, ...] = ()
    questions: tuple[str, ...] = ()
    output: str | None = None
    environment: dict[str, str] = {}
    next_offset: int | None = None
    next: str

    def headline(self) -> str:
        """What was found."""
        return self.summary


class ReviewedReply(Reply):
    """`review_artifact`."""

    summary: str
    change: str
    stage: str
    attempt: int
    commit: str
    verdict: Literal["accepted", "rejected"]
    reviews: int
    quorum: int
    findings: tuple[FindingReply, ...] = ()
    stage_state: str
    next: str

    def headline(self) -> str:
        """The verdict in a sentence."""
        return self.summary


class ReleasedReply(Reply):
    """`release_stage`."""

    change: str
    stage: str
    stage_state: str
    next: str

    def headline(self) -> str:
        """Where the stage stands now."""
        return f"'{self.stage}' of {self.change} is {self.stage_state.replace('_', ' ')} now."


class RefusalReply(BaseModel):
    """A refusal on the wire: the same keys for every code."""

    code: str
    message: str
    next: str
