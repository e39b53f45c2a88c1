"""What an examination may find: each kind with what it means; what to do is said with each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a problem is about. Leftovers cost space and nothing else."""

    DATABASE = "database"
    UNREADABLE = "unreadable"
    HISTORY = "history"
    RECORD = "record"
    INVARIANT = "invariant"
    OPENINGS = "openings"
    EVALUATIONS = "evaluations"
    EVIDENCE = "evidence"
    STRAY = "stray"
    ARTIFACTS = "artifacts"
    REF = "ref"
    LANDED = "landed"
    LEFTOVER = "leftover"


MEANING: Mapping[Kind, str] = {
    Kind.DATABASE: "The database file is not as it was written: a disk, a copy or a program changed it.",
    Kind.UNREADABLE: "Something in the store is damaged, or a newer gatewright wrote it.",
    Kind.HISTORY: "Events were deleted or altered past the server: what happened cannot be told from them any more.",
    Kind.RECORD: "What the server goes by is not what happened: the record was altered past the server.",
    Kind.INVARIANT: "A rule of the protocol is broken: a defect of gatewright, or a store that somebody altered.",
    Kind.OPENINGS: "Agents are offered work that is not there, or never get work that is.",
    Kind.EVALUATIONS: "What waits for a verdict will not be judged, or something is judged that nobody waits for.",
    Kind.EVIDENCE: "The stage counts as passed, and what is kept does not show that every gate found so.",
    Kind.STRAY: "Rows belong to a change that is gone: the store was altered past the server.",
    Kind.ARTIFACTS: "Something that was handed in or judged is not whole any more.",
    Kind.REF: "Nothing keeps the commit: git may delete it when it cleans up.",
    Kind.LANDED: "The branch no longer has what was recorded as landed on it.",
    Kind.LEFTOVER: "It takes space and does no harm.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be: `what` it is and what to `do`, a sentence each."""

    kind: Kind
    what: str
    do: str
    change: str | None = None

    @property
    def means(self) -> str:
        return MEANING[self.kind]

    @property
    def is_harmless(self) -> bool:
        return self.kind is Kind.LEFTOVER
