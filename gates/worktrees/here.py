"""The person's own checkout as the workspace of one lease: `workspace: here`.

The checkout is the repository's main worktree. One live lease works there; the files are all that is ever written, and
only what a stage builds on, where nobody's bytes are. HEAD, index, refs and settings are the person's.
Source: docs/decisions/0016-workspace-here.md
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..files import locked
from ..git import Git, GitFailed
from ..repository import SharedRepository
from .changed_here import ID_CHARS, committed_elsewhere, take_changed
from .laying import Wanted, lay, present, wanted
from .occupation import Occupation, forget_occupation, read_occupation, write_occupation
from .problems import WorkspaceProblem
from .snapshot import SAVED_REFS, UNCOMMITTED_FILES_MAX, Snapshot, find_head, is_ancestor
from .uncommitted import ignored, refuse_unfinished, uncommitted
from .untouched import Seen, look_at, still_untouched
from .worktree import index_copy, user_git

LOCK = "here"


@dataclass(frozen=True, slots=True)
class Place:
    """Which lease asks for the checkout, and what it needs there, all by full commit ids.

    `root` is the base of the change, `base` that of the stage, `content` what the files should go on from.
    """

    change: str
    stage: str
    fence: int
    lease: str
    root: str
    base: str
    content: str


class Here:
    """The person's checkout of one repository; `path` is None where there is none, as in a bare repository."""

    def __init__(self, repository: SharedRepository) -> None:
        self._repository = repository
        self.path = repository.main_worktree

    def occupation(self) -> Occupation | None:
        """Who was given the checkout last; their lease may have ended."""
        return read_occupation(self._repository.state_dir)

    def holds(self, change: str, stage: str, fence: int) -> bool:
        """Whether this lease works in the checkout."""
        found = self.occupation()
        return found is not None and found.is_of(change, stage, fence)

    def find_lease(self, path: Path) -> str | None:
        """The lease of whoever works in the checkout, where `path` lies in it."""
        found = self.occupation()
        if found is None or self.path is None or not path.resolve().is_relative_to(self.path):
            return None
        return found.lease

    def enter(self, place: Place, *, is_live: Callable[[Occupation], bool], when: datetime) -> Path:
        """Give the checkout to a lease, with what its stage builds on; returns its top. Safe to repeat.

        `is_live` tells whether a lease still works there. What another stage left there is kept under a ref first.
        Raises `WorkspaceProblem` with the reason why this one cannot, and then nobody's file was changed.
        """
        if self.path is None:
            message = "This repository has no checkout of its own."
            raise WorkspaceProblem(message, "Work in a clone that has one.")
        folder = self._repository.state_dir / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(folder / LOCK):
                self._enter(place, self.path, is_live, when)
        except GitFailed as exc:
            message = f"git cannot read the checkout {self.path}: {exc.stderr.rpartition(chr(10))[2]}."
            raise WorkspaceProblem(message, "Mend that, then claim the stage again.") from exc
        except OSError as exc:
            message = f"The checkout {self.path} cannot be used: {exc}."
            raise WorkspaceProblem(message, "Mend that, then claim the stage again.") from exc
        return self.path

    def left_out(self) -> tuple[str, ...]:
        """The paths that the person had uncommitted before, and that nobody has touched since."""
        found = self.occupation()
        if found is None or self.path is None:
            return ()
        return tuple(sorted(still_untouched(self.path, found.person)))

    def snapshot(self, *, base: str, message: str, author: str, when: datetime) -> Snapshot:
        """What was changed in the checkout, as a commit on `base`: see `take_changed`."""
        found = self.occupation()
        if found is None:
            message = "Nobody works in the checkout."
            raise WorkspaceProblem(message, "Claim the stage again.")
        return take_changed(self._git(), found, base=base, message=message, author=author, when=when)

    def save_unsaved(self, occupation: Occupation, *, when: datetime) -> str | None:
        """Keep under a ref what a lease changed beyond what it began with; None when that is nothing.

        The files stay where they are.
        """
        name = f"{occupation.change}-{occupation.stage}-{occupation.fence}"
        git, text = self._git(), f"Unsaved work of {name}\n"
        saved = take_changed(git, occupation, base=occupation.base, message=text, author="gatewright", when=when)
        if not saved.changed or saved.tree == self._repository.tree_of(occupation.content):
            return None
        try:
            git.run("update-ref", "--no-deref", f"{SAVED_REFS}{name}", saved.commit)
        except GitFailed as exc:
            message = f"git cannot save what is in {self.path}: {exc.stderr.rpartition(chr(10))[2]}."
            raise WorkspaceProblem(message, "It stays where it is; mend that, then try again.") from exc
        return saved.commit

    def leave(self, change: str) -> None:
        """End whatever lease of the change works there; its files stay as they are."""
        found = self.occupation()
        if found is not None and found.change == change:
            forget_occupation(self._repository.state_dir)

    def _enter(self, place: Place, top: Path, is_live: Callable[[Occupation], bool], when: datetime) -> None:
        found = self.occupation()
        if found is not None and found.is_of(place.change, place.stage, place.fence):
            write_occupation(self._repository.state_dir, replace(found, lease=place.lease))
            return
        if found is not None and is_live(found):
            message = f"{top} is in use for '{found.stage}' of {found.change}."
            raise WorkspaceProblem(message, "One lease at a time works there.")
        write_occupation(self._repository.state_dir, self._prepare(place, top, found, when))

    def _prepare(self, place: Place, top: Path, found: Occupation | None, when: datetime) -> Occupation:
        """Find out what of the checkout is whose, and put there what the stage builds on."""
        git = self._git()
        refuse_unfinished(git)
        former = found if found is not None and found.change == place.change else None
        head = _head_for(git, place, former)
        step = wanted(git, head, place.base, place.content)
        with index_copy(git) as copy:
            names = uncommitted(copy, head)
            _refuse_too_many(names, top)
            now = present(copy, step.paths & {*names})
            worked = {} if former is None else _worked_on(top, names, former)
            if former is not None and former.stage == place.stage:
                person = _still_persons(top, names, former)
            else:
                own = worked.get(place.stage, frozenset())
                person = look_at(top, [name for name in names if not step.is_there(name, now) and name not in own])
                self._keep_left(found, top, person.keys(), when)
            laid = lay(copy, head, step.to_content, step.to_content.paths - {*names})
        inputs = step.to_base.paths - person.keys()
        return Occupation(
            change=place.change,
            stage=place.stage,
            fence=place.fence,
            lease=place.lease,
            head=head,
            base=place.base,
            content=place.content,
            person=person,
            others={stage: paths for stage, paths in worked.items() if stage != place.stage},
            ignored=former.ignored if former is not None else ignored(git),
            laid=frozenset(path for path in inputs if path in {*names, *laid} or _is_as(top, step, path)),
        )

    def _keep_left(self, found: Occupation | None, top: Path, paths: Collection[str], when: datetime) -> None:
        """Keep what another stage left unsaved there: its files stay, but who comes now may change them."""
        if found is not None and {*paths} - still_untouched(top, found.person):
            with suppress(WorkspaceProblem):
                self.save_unsaved(found, when=when)

    def _git(self) -> Git:
        assert self.path is not None, "only a checkout is worked in"
        return user_git(self._repository.common_dir, self.path)


def _head_for(git: Git, place: Place, former: Occupation | None) -> str:
    """Where the checkout stands, apart from work that was committed there since this change came.

    That lies between what the change and what the stage start from: else the files tell nothing about it.
    """
    head = find_head(git)
    if head is not None and former is not None and is_ancestor(git, former.head, head):
        head = committed_elsewhere(git, former.head)
    if head is not None and is_ancestor(git, place.root, head) and is_ancestor(git, head, place.base):
        return head
    now = "on a branch without a commit" if head is None else f"at {head[:ID_CHARS]}"
    message = f"The checkout {git.work_tree} is {now}, and {place.change} starts from {place.root[:ID_CHARS]}."
    raise WorkspaceProblem(message, "A stage that is claimed when the checkout stands there can have it.")


def _refuse_too_many(names: Sequence[str], top: Path) -> None:
    if len(names) > UNCOMMITTED_FILES_MAX:
        message = f"{top} has {len(names)} uncommitted files; at most {UNCOMMITTED_FILES_MAX} can be told apart."
        raise WorkspaceProblem(message, "Name their folder in .gitignore, or commit them.")


def _still_persons(top: Path, names: Sequence[str], former: Occupation) -> Mapping[str, Seen]:
    """Of what was there before this stage first came, what nobody has touched; all else is work that goes on."""
    kept = still_untouched(top, former.person) & {*names}
    return {name: former.person[name] for name in kept}


def _worked_on(top: Path, names: Sequence[str], former: Occupation) -> dict[str, frozenset[str]]:
    """By stage of the change, what of the uncommitted paths it has worked on."""
    untouched = still_untouched(top, former.person)
    return {**former.others, former.stage: frozenset(name for name in names if name not in untouched)}


def _is_as(top: Path, step: Wanted, path: str) -> bool:
    """Whether an input that need not be laid is as HEAD has it: a file of the person's own may lie in its place."""
    return path not in step.to_content.paths and (path in step.to_base.old or not os.path.lexists(top / path))
