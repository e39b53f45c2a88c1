"""What principals and the server may ask of a change. `lifecycle.decide` answers each with events or one refusal.

Every command names its stage or is about the change as a whole. None carries a verdict of its sender: outcomes come
only in `Settle` and `SettleLanding`, which the evaluator alone makes.
"""

from dataclasses import dataclass
from enum import StrEnum

from ...schemas.plan import Plan, PolicyPin
from ...schemas.records import Answered, Finding, GateOutcome, Maker


class Because(StrEnum):
    """The honourable exits of `release_stage`."""

    DONE_FOR_NOW = "done_for_now"
    WITHDRAW = "withdraw"
    CANNOT = "cannot"
    SPEC_CONFLICT = "spec_conflict"
    NEEDS_DECISION = "needs_decision"


@dataclass(frozen=True, slots=True)
class Start:
    """Open a change; the only command without a record before it."""

    change: str
    title: str
    intent: str
    principal: str
    base: str
    target: str
    policy: PolicyPin
    plan: Plan


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for a stage."""

    stage: str
    holder: str
    principal: str
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Renew:
    """Any call with a lease says that its holder is alive."""

    stage: str
    fence: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand in a commit, to be judged from `base`; `stage_base` is where the stage begins when that is another commit.

    `open_findings` are the ids of what gates found about the last failed attempt, if it did. `kept_by` are the makers
    of work that was once kept of this stage and is this, as it is: the record forgets what it offers no more.
    """

    stage: str
    fence: int
    commit: str
    tree: str
    base: str
    summary: str
    answers: tuple[Answered, ...] = ()
    open_findings: tuple[str, ...] = ()
    stage_base: str | None = None
    kept_by: tuple[Maker, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of a lease by one of the exits; `upstream` is the stage a spec conflict is with, `paths` where in it."""

    stage: str
    fence: int
    because: Because
    reason: str
    upstream: str | None = None
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepOrphan:
    """Keep a late commit of a former holder for the next one; `principal` and `model` are the holder's."""

    stage: str
    fence: int
    commit: str
    holder: str
    note: str
    principal: str | None = None
    model: str | None = None
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What running a `run:` stage came to: a commit on the stage's base, or the base itself when nothing was made."""

    commit: str
    tree: str
    base: str
    summary: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The evaluator's result for an attempt; a late or superseded one changes nothing (invariant I3).

    The result of a `run:` stage brings what was `made`, and so the attempt itself, with it. `because` says in a few
    words what failed or could not judge.
    """

    stage: str
    evaluation: str
    gates: tuple[GateOutcome, ...]
    fingerprints: tuple[str, ...] = ()
    made: Made | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class ClaimReview:
    """Ask to review the stage's current attempt."""

    stage: str
    reviewer: str
    principal: str
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RenewReview:
    """Any call with a review lease says that the reviewer is alive."""

    stage: str
    number: int


@dataclass(frozen=True, slots=True)
class ReleaseReview:
    """Let go of a review lease without a judgement."""

    stage: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class GiveReview:
    """A reviewer's findings about the commit that the lease names; the verdict follows from them (rule 9).

    `by` is the principal that gives it, who may be another than the one that claimed it, where that is known.
    """

    stage: str
    number: int
    findings: tuple[Finding, ...]
    inspected: tuple[str, ...]
    note: str = ""
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Approve:
    """A person's word about a commit for a target; `how` says by what the person is known. `stage` may be `land`.

    `gate` None: whichever approval is asked for.
    """

    stage: str
    gate: str | None
    person: str
    how: str
    commit: str
    target: str
    is_given: bool
    note: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A person answers what gates asked (`gate` None: everything asked), or an escalated question."""

    stage: str
    gate: str | None
    allowed: bool
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class RetryGates:
    """A person wants an escalated stage's last artifact judged once more, free of charge."""

    stage: str
    by: str


@dataclass(frozen=True, slots=True)
class GrantAttempts:
    """A person adds to the budget of an escalated stage."""

    stage: str
    by: str
    count: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """A person opens a passed or escalated stage again."""

    stage: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person ends the change."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class SettleLanding:
    """The evaluator's result for the merged tree. `conflicts` are set when there was no merge to judge."""

    evaluation: str
    old: str
    new: str
    tree: str
    gates: tuple[GateOutcome, ...]
    paths: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class BlockLanding:
    """Something outside is in the way of landing."""

    evaluation: str
    because: str


@dataclass(frozen=True, slots=True)
class RetryLanding:
    """What was in the way is gone, or a person asks for it."""

    by: str


@dataclass(frozen=True, slots=True)
class ConfirmLanding:
    """The target stands at the intended commit."""

    number: int


@dataclass(frozen=True, slots=True)
class DelayLanding:
    """The target cannot be moved at the moment; the intent stands."""

    number: int
    because: str


@dataclass(frozen=True, slots=True)
class LoseLanding:
    """The target had moved: the intent is void."""

    number: int
    because: str


@dataclass(frozen=True, slots=True)
class Repin:
    """Judge the change by another policy from now on."""

    policy: PolicyPin
    plan: Plan
    because: str


AskedOfStage = (
    Claim
    | Renew
    | Submit
    | Release
    | KeepOrphan
    | ClaimReview
    | RenewReview
    | ReleaseReview
    | GiveReview
    | Approve
    | Answer
    | RetryGates
    | GrantAttempts
    | Reopen
)
Asked = AskedOfStage | Cancel | RetryLanding | Repin
# What the server itself finds out. It is taken whatever has become of the change.
Told = Settle | SettleLanding | BlockLanding | ConfirmLanding | DelayLanding | LoseLanding
Command = Start | Asked | Told
