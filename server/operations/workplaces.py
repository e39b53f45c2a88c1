"""Where a holder works: what the operations ask of it, whichever it is.

Worktrees on this machine (worktrees), or branches on a remote that are worked on elsewhere (branches).
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ...schemas.ids import LeaseName
from ...schemas.records import ChangeRecord
from ..services import Services

WORK_IN_WORKSPACE = "Work in the workspace, then submit_artifact with this lease; check_gates first costs no attempt."


@dataclass(frozen=True, slots=True)
class Workplace:
    """`path` is None where it is not on this machine. `problem`: why there is none at all.

    `is_here`: it is the person's checkout. `notes` are for the brief, `next` is its last line.
    """

    path: Path | None
    problem: str | None = None
    is_here: bool = False
    notes: tuple[str, ...] = ()
    next: str = WORK_IN_WORKSPACE

    @property
    def may_be_furnished(self) -> bool:
        """Whether what `setup` makes is laid there."""
        return self.path is not None and self.problem is None and not self.is_here


class Places(Protocol):
    """Where the holders of one repository's leases work. All methods block."""

    @property
    def hand_in(self) -> str:
        """What to do where the commit that was named cannot be handed in."""
        ...

    def find_lease_file(self, services: Services, change: str, stage: str, fence: int) -> str | None:
        """Where a holder that lost its lease finds it again; None when that is nowhere."""
        ...

    def find(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
        """Where this lease works; nothing is made."""
        ...

    def make(self, services: Services, record: ChangeRecord, stage: str, fence: int) -> Workplace:
        """Make ready where this lease works; repeated, it stays where it is. The claim stands in any case."""
        ...

    def snapshot(
        self, services: Services, record: ChangeRecord, lease: LeaseName, *, base: str, message: str, author: str
    ) -> str:
        """The commit of what the holder has now; raises `WorkspaceProblem`, `Refused` when it has nothing."""
        ...

    def save_unsaved(
        self, services: Services, record: ChangeRecord, stage: str, fence: int, *, when: datetime
    ) -> tuple[str, str] | None:
        """Keep what this lease left under a ref; the commit and a note about it. Raises `WorkspaceProblem`."""
        ...

    def how_to_adopt(self, services: Services, record: ChangeRecord, commit: str) -> str:
        """What comes before a commit that was made reachable can be named: how a sentence begins, or nothing."""
        ...

    def clear(self, services: Services, record: ChangeRecord) -> bool:
        """Take away every place of a change that is over, what was not handed in kept first.

        Whether all of them are gone; why one stays is logged.
        """
        ...

    def list_changes(self, services: Services) -> set[str]:
        """The changes of which there are places."""
        ...
