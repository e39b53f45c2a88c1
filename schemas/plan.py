"""What a change keeps of the policy that it is judged by: which one, and what the lifecycle needs to know of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyPin:
    """The policy a change is judged by: the commit it is read from and the digest of all that it covers."""

    commit: str
    digest: str


@dataclass(frozen=True, slots=True)
class ReviewRule:
    """A gate that agents answer: how many of them, and what makes two of them two (`principal`, `agent`, `family`)."""

    gate: str
    quorum: int
    independence: str


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """A gate that people answer: how many of them, and whether by signatures; else by secrets of registered people."""

    gate: str
    minimum: int
    is_signed: bool = False


@dataclass(frozen=True, slots=True)
class StageRule:
    """What the lifecycle needs to know of one stage of the policy.

    `gates` are those that the server judges, approvals among them: they always ask. `reviews` come on top of a passed
    floor and are judged by reviewers alone. `runs_on` are the labels that a worker needs for all of them.
    """

    name: str
    needs: tuple[str, ...]
    gates: tuple[str, ...]
    attempts: int
    otherwise: str | None
    reopens: int
    role: str | None
    is_transform: bool
    writes: tuple[str, ...]
    reviews: tuple[ReviewRule, ...] = ()
    approvals: tuple[ApprovalRule, ...] = ()
    runs_on: tuple[str, ...] = ()

    @property
    def every_gate(self) -> tuple[str, ...]:
        """What must have spoken for the artifact before the stage passes: the server's gates, and the reviewers'."""
        return (*self.gates, *(review.gate for review in self.reviews))


@dataclass(frozen=True, slots=True)
class Plan:
    """The policy as the lifecycle sees it: stages in an order in which needs come first, and what landing needs."""

    stages: tuple[StageRule, ...]
    land_needs: tuple[str, ...]
    land_gates: tuple[str, ...]
    lease_s: float
    land_approvals: tuple[ApprovalRule, ...] = ()
    land_runs_on: tuple[str, ...] = ()
