"""Examine everything: the database, every change with its history and evidence, git's objects and refs, leftovers.

Reads only. Each change is looked at in one transaction of its own, so that a server may go on meanwhile; git is looked
at after the store, because what a record speaks of is in git before it is in the record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ...gates.artifacts import ArtifactStore
from ...gates.git import GitFailed
from ...gates.repository import SharedRepository
from ...gates.workspaces import Workspaces
from ...schemas.records import ChangeRecord, ChangeState
from ..store import Store, StoreUnavailable
from .fsck_git import GitLook, commits_of, leftovers
from .fsck_history import BACKUP, problems_of_change
from .fsck_problem import Kind, Problem

if TYPE_CHECKING:
    from ..store.tx import Tx

PAGE = 200
PROBLEMS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at and what was found; `cut` says that there is more than is told."""

    changes: int
    events: int
    problems: tuple[Problem, ...]
    cut: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing but leftovers was found."""
        return all(problem.is_harmless for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Place:
    """One repository's parts, opened to be read. In a team `bring` has a commit fetched that is not here yet."""

    store: Store
    repository: SharedRepository
    artifacts: ArtifactStore
    workspaces: Workspaces
    bring: Callable[[str], object] | None = None


def examine(place: Place, now: datetime, report: Callable[[str], None]) -> Report:
    """Look at everything; `report` is told what is looked at. Raises nothing that it can tell as a problem."""
    examination = _Examination(place, report)
    examination.database()
    examination.changes()
    examination.git(now)
    return Report(
        examination.seen,
        examination.events,
        tuple(examination.found[:PROBLEMS_MAX]),
        len(examination.found) > PROBLEMS_MAX,
    )


class _Examination:
    def __init__(self, place: Place, report: Callable[[str], None]) -> None:
        self.found: list[Problem] = []
        self.seen = self.events = 0
        self._place = place
        self._report = report
        self._states: dict[str, ChangeState] = {}
        self._git = GitLook(place.artifacts, place.repository)

    def database(self) -> None:
        """What SQLite says of its own file, and rows of changes that there are not."""
        self._report("the database")
        do = f"Stop the server (it ends by itself when idle), copy {self._place.store.place} away. {BACKUP}"
        try:
            damage, strays = self._place.store.read(lambda tx: (tx.damage(), tx.strays()))
        except StoreUnavailable as exc:
            self.found.append(Problem(Kind.DATABASE, str(exc), do))
            return
        self.found += [Problem(Kind.DATABASE, f"SQLite finds: {line}.", do) for line in damage]
        self.found += [
            Problem(Kind.STRAY, f"{rows} rows of '{table}' belong to {change}, which is not there.", BACKUP, change)
            for table, change, rows in strays
        ]

    def changes(self) -> None:
        """Every change, the oldest first. Its record is kept only as long as it is looked at."""
        after = 0
        try:
            while page := self._place.store.read(partial(_ids, after)):
                for change in page:
                    self._change(change)
                after = int(page[-1][1:])
        except StoreUnavailable as exc:
            self.found.append(Problem(Kind.DATABASE, f"The list of changes cannot be read: {exc}", BACKUP))

    def git(self, now: datetime) -> None:
        """What is kept apart from changes, and what is left over."""
        try:
            self.found += self._git.saved()
            self.found += leftovers(self._place.workspaces, self._place.artifacts.path, self._states, now)
        except (GitFailed, OSError) as exc:
            self.found.append(Problem(Kind.ARTIFACTS, f"git could not look: {exc}.", "Mend that, then run again."))

    def _change(self, change: str) -> None:
        if not self.seen:
            self._store_of_artifacts()
        self.seen += 1
        self._report(f"{change}")
        try:
            problems, record = self._place.store.read(partial(_look, change))
        except StoreUnavailable as exc:
            self.found.append(Problem(Kind.UNREADABLE, f"{change} cannot be read: {exc}", BACKUP, change))
            return
        self.found += problems
        if record is None:
            return
        self.events += record.version
        self._states[change] = record.state
        if self._git.is_there:
            self._of_git(record)

    def _of_git(self, record: ChangeRecord) -> None:
        try:
            if self._place.bring is not None:
                for commit in commits_of(record):
                    self._place.bring(commit)
            self.found += self._git.of_change(record)
        except GitFailed as exc:
            do = "Mend what git says, then run again."
            self.found.append(Problem(Kind.ARTIFACTS, f"git could not look at {record.id}: {exc}.", do, record.id))

    def _store_of_artifacts(self) -> None:
        self._report("the artifact store")
        if not self._git.is_there:
            do = "Restore it from a backup. What landed is in your repository; what is under way has to begin anew."
            self.found.append(Problem(Kind.ARTIFACTS, f"{self._place.artifacts.path} is not there.", do))
            return
        try:
            self.found += self._git.of_store()
        except GitFailed as exc:
            self.found.append(Problem(Kind.ARTIFACTS, f"git could not look: {exc}.", "Mend that, then run again."))


def _ids(after: int, tx: "Tx") -> tuple[str, ...]:
    return tx.change_ids(after=after, limit=PAGE)


def _look(change: str, tx: "Tx") -> tuple[tuple[Problem, ...], ChangeRecord | None]:
    return problems_of_change(tx, change)
