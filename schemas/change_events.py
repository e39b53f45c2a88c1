"""What can happen to a change as a whole, its landing included. See `events`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .plan import Plan, PolicyPin
from .records import Approval, GateOutcome


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """The first event of every change."""

    at: datetime
    change: str
    title: str
    intent: str
    principal: str
    base: str
    target: str
    policy: PolicyPin
    plan: Plan
    kind: Literal["change_started"] = "change_started"


@dataclass(frozen=True, slots=True)
class LandingStarted:
    """Every stage that landing needs has passed; the server merges and judges the merged tree as `evaluation`."""

    at: datetime
    number: int
    evaluation: str
    kind: Literal["landing_started"] = "landing_started"


@dataclass(frozen=True, slots=True)
class LandingAsked:
    """A land gate asks people about the merged commit."""

    at: datetime
    number: int
    old: str
    new: str
    tree: str
    gates: tuple[GateOutcome, ...]
    asked: tuple[str, ...]
    kind: Literal["landing_asked"] = "landing_asked"


@dataclass(frozen=True, slots=True)
class LandingAnswered:
    """A person answered a land gate's question about the merged commit."""

    at: datetime
    number: int
    gate: str
    allowed: bool
    by: str
    note: str
    commit: str
    kind: Literal["landing_answered"] = "landing_answered"


@dataclass(frozen=True, slots=True)
class LandingApproved:
    """A person approved the merged commit, or did not. `is_enough`: with this one as many as the gate wants."""

    at: datetime
    number: int
    approval: Approval
    is_enough: bool
    kind: Literal["landing_approved"] = "landing_approved"


@dataclass(frozen=True, slots=True)
class LandingBlocked:
    """Something outside is in the way; landing is tried again when it is gone."""

    at: datetime
    number: int
    because: str
    kind: Literal["landing_blocked"] = "landing_blocked"


@dataclass(frozen=True, slots=True)
class LandingIntended:
    """The durable intent: the target moves from `old` to `new`, whose tree is the judged one."""

    at: datetime
    number: int
    old: str
    new: str
    tree: str
    gates: tuple[GateOutcome, ...]
    kind: Literal["landing_intended"] = "landing_intended"


@dataclass(frozen=True, slots=True)
class LandingDelayed:
    """What keeps the target from moving, which is tried again; the intent stands. Told a bounded number of times."""

    at: datetime
    number: int
    because: str
    kind: Literal["landing_delayed"] = "landing_delayed"


@dataclass(frozen=True, slots=True)
class LandingAbandoned:
    """The try is over without the target moved: the tip had moved, or the merged tree did not pass."""

    at: datetime
    number: int
    because: str
    kind: Literal["landing_abandoned"] = "landing_abandoned"


@dataclass(frozen=True, slots=True)
class ChangeLanded:
    """The target stands at the landed commit."""

    at: datetime
    number: int
    commit: str
    kind: Literal["change_landed"] = "change_landed"


@dataclass(frozen=True, slots=True)
class PolicyRepinned:
    """The change moved to another policy: every stage is judged again in order, former artifacts carried."""

    at: datetime
    policy: PolicyPin
    plan: Plan
    because: str
    kind: Literal["policy_repinned"] = "policy_repinned"


@dataclass(frozen=True, slots=True)
class ChangeCancelled:
    """A person ended the change."""

    at: datetime
    by: str
    reason: str
    kind: Literal["change_cancelled"] = "change_cancelled"
