"""What the model beside the protocol knows of a stage: plain mutable values."""

from dataclasses import dataclass, field

PLAN, CODE = "plan", "code"
# What gates find; that a person refused is no finding of theirs.
MARKS = ("one", "two")
NEEDS = {PLAN: (), CODE: (PLAN,)}


@dataclass
class Try:
    """One attempt; `commit` is told by the server, `inputs` are those that its needs had handed over then.

    `tree` is what is in it: its content, and before that what its needs' artifacts have.
    """

    content: int
    evaluation: str
    inputs: tuple[str, ...]
    tree: tuple[int, ...]
    commit: str = ""
    disputes: frozenset[str] = frozenset()
    state: str = "judging"
    mark: str | None = None
    errors: int = 0
    is_free: bool = False
    author: str = ""
    adopted: frozenset[str] = frozenset()
    is_asked: bool = False
    is_reviewed: bool = False
    seats: "list[Seat]" = field(default_factory=list)


@dataclass
class Seat:
    """A review lease."""

    number: int
    reviewer: str
    until: float


@dataclass
class Lease:
    fence: int
    holder: str
    until: float


@dataclass
class Stage:
    """`holders` has who was given each fence, `late` what they handed in when their lease had ended, with its maker."""

    name: str
    state: str = "waiting"
    fence: int = 0
    lease: Lease | None = None
    tries: list[Try] = field(default_factory=list)
    accepted: int | None = None
    failed: int = 0
    granted: int = 0
    stuck: int = 0
    reopened: int = 0
    former: int = 0
    question: str | None = None
    seats_ever: int = 0
    disputed: Try | None = None
    holders: dict[int, str] = field(default_factory=dict)
    late: set[tuple[tuple[int, ...], str]] = field(default_factory=set)

    def failures(self) -> list[Try]:
        """What failed since the stage was last opened afresh."""
        return [x for x in self.tries[self.former :] if x.state == "failed"]

    def said(self) -> frozenset[str]:
        """What its holders have disputed since then."""
        return frozenset(mark for x in self.tries[self.former :] for mark in x.disputes)

    def live(self) -> str | None:
        """The evaluation that is waited for."""
        return self.tries[-1].evaluation if self.state == "evaluating" else None

    def afresh(self) -> None:
        """Everything live is over; attempts are counted from here."""
        if self.tries and self.tries[-1].state == "judging":
            self.tries[-1].state = "superseded"
            self.tries[-1].seats.clear()
        self.lease, self.accepted = None, None
        self.failed = self.granted = self.stuck = 0
        self.former = len(self.tries)
