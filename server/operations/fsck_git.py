"""Whether git still has what the store speaks of, kept by refs, and what of ours lies about. Reads only."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ...gates.artifact_store.transfer import LEFTOVER_AGE_S, LEFTOVERS, OUR_LOCK
from ...gates.artifacts import ArtifactStore
from ...gates.git import Git, GitFailed, kill_group
from ...gates.repository import SharedRepository
from ...gates.workspaces import SAVED_REFS, Workspaces
from ...schemas.records import Attempt, ChangeRecord, ChangeState, LandingStep
from .fsck_problem import Kind, Problem

# Above this only the connections between objects are followed, not every byte of each read.
BYTES_READ_WHOLE_MAX = 512 * 2**20
FSCK_TIMEOUT_S = 600.0
LINES_TOLD_MAX = 20
LIVE = (ChangeState.ACTIVE, ChangeState.LANDING)
# Advice is no damage, and neither is what git says of how old objects were written, long before they came to us.
ABOUT_FORM = ("hint:", "error in ", "warning in ", "notice:", "dangling ", "unreachable ", "warning: ")


class GitLook:
    """One look at the artifact store and at the user's repository."""

    def __init__(self, artifacts: ArtifactStore, repository: SharedRepository) -> None:
        self._path = artifacts.path
        self._store = artifacts.git
        self._shared = Git(repository.common_dir)
        self._repository = repository
        self._pointed: set[str] = set()

    @property
    def is_there(self) -> bool:
        """Whether there is an artifact store at all; before the first change there need not be."""
        return (self._path / "HEAD").is_file()

    def of_store(self) -> Iterator[Problem]:
        """Whether every object that the store's refs lead to is there and whole."""
        counted = self._store.text("count-objects", "-v").splitlines()
        sizes = [int(line.rpartition(" ")[2]) for line in counted if line.startswith(("size: ", "size-pack: "))]
        how = () if sum(sizes) * 1024 <= BYTES_READ_WHOLE_MAX else ("--connectivity-only",)
        lines = self._complaints("fsck", "--no-dangling", "--no-progress", *how)
        do = f"Copy {self._path} away; fetch what is named from another clone with git, or restore it; then run again."
        for line in lines[:LINES_TOLD_MAX]:
            yield Problem(Kind.ARTIFACTS, f"git finds in the artifact store: {line}.", do)
        self._pointed = {oid for _, oid in self._refs(self._store, "refs/")}

    def of_change(self, record: ChangeRecord) -> Iterator[Problem]:
        """Whether what the change speaks of is there, and is kept as long as it is needed."""
        if record.state in LIVE:
            yield from self._attempts(record)
            yield from self._orphans(record)
        if record.landed_commit is not None:
            yield from self._landed(record, record.landed_commit)
        landing = record.landing
        new = landing.new if landing is not None and landing.step is LandingStep.INTENDED else None
        if new is not None and not _holds(self._store, new):
            do = f"It may be in your repository: `git branch rescued {new}`; then ask for help with `gatewright log`."
            yield Problem(
                Kind.ARTIFACTS, f"{new}, which {record.id} is landing, is gone from the store.", do, record.id
            )

    def saved(self) -> Iterator[Problem]:
        """Whether what was saved of ended workspaces is there."""
        refs = self._refs(self._shared, SAVED_REFS)
        present = _present(self._shared, [oid for _, oid in refs])
        for ref, oid in refs:
            if oid not in present:
                do = f"Look for it in other clones; else `git update-ref -d {ref}` forgets it."
                yield Problem(Kind.REF, f"{ref} names {oid}, which is not in the repository.", do)

    def _attempts(self, record: ChangeRecord) -> Iterator[Problem]:
        attempts = [(stage.name, attempt) for stage in record.stages for attempt in stage.attempts]
        named = [("base", record.base), ("policy", record.policy.commit)]
        wanted = [*((stage, attempt.commit) for stage, attempt in attempts), *named]
        present = _present(self._store, [commit for _, commit in wanted])
        for where, commit in dict.fromkeys(wanted):
            if commit not in present:
                yield self._gone(record, where, commit)
            elif not self._is_kept(commit):
                ref = f"refs/gatewright/attempts/{record.id}/{where}/{commit}"
                do = f"`git --git-dir {self._path} update-ref {ref} {commit}` keeps it again."
                yield Problem(Kind.REF, f"No ref keeps {commit} ('{where}' of {record.id}).", do, record.id)
        yield from self._trees(record, [item for item in attempts if item[1].commit in present])

    def _trees(self, record: ChangeRecord, attempts: Sequence[tuple[str, Attempt]]) -> Iterator[Problem]:
        trees = _look_up(self._store, [f"{attempt.commit}^{{tree}}" for _, attempt in attempts])
        for (stage, attempt), tree in zip(attempts, trees, strict=True):
            if tree != attempt.tree:
                what = f"Attempt {attempt.number} of '{stage}' of {record.id} is not the tree {attempt.tree} it was."
                do = f"Look at the disk; `gatewright reopen {record.id} {stage} --reason ...`, or cancel the change."
                yield Problem(Kind.ARTIFACTS, what, do, record.id)

    def _gone(self, record: ChangeRecord, where: str, commit: str) -> Problem:
        do = f"`gatewright cancel {record.id} --reason ...`, and begin anew: nothing can be judged without it."
        if _holds(self._shared, commit):
            ref = f"refs/gatewright/attempts/{record.id}/{where}/{commit}"
            fetch = f"git --git-dir {self._path} fetch {self._shared.git_dir} {commit}:{ref}"
            do = f"It is in your repository still: `{fetch}`."
        return Problem(Kind.ARTIFACTS, f"{commit} ('{where}' of {record.id}) is gone from the store.", do, record.id)

    def _orphans(self, record: ChangeRecord) -> Iterator[Problem]:
        """Saved work lies in the user's repository, what was handed in late in the store; either will do."""
        for stage, commit in dict.fromkeys((s.name, orphan.commit) for s in record.stages for orphan in s.orphans):
            is_in_store = _holds(self._store, commit) and self._is_kept(commit)
            is_saved = _holds(self._shared, commit) and bool(_containing(self._shared, commit))
            if not is_in_store and not is_saved:
                what = f"{commit}, which was kept for the next holder of '{stage}' of {record.id}, is gone."
                do = "Nothing else stands on it: the next holder begins without it."
                yield Problem(Kind.ARTIFACTS, what, do, record.id)

    def _is_kept(self, commit: str) -> bool:
        return commit in self._pointed or bool(_containing(self._store, commit))

    def _landed(self, record: ChangeRecord, commit: str) -> Iterator[Problem]:
        tip = self._repository.branch_tip(record.target)
        if tip is None:
            told = f"the branch '{record.target}' is gone"
        elif self._contains(commit, tip):
            return
        else:
            told = f"'{record.target}' (at {tip[:10]}) does not contain it"
        do = f"`git reflog show {record.target}` tells who moved the branch; `git merge {commit}` brings it back."
        yield Problem(Kind.LANDED, f"{record.id} landed as {commit}, and {told}.", do, record.id)

    def _contains(self, commit: str, tip: str) -> bool:
        if not _holds(self._shared, commit):
            return False
        return self._shared.run_status("merge-base", "--is-ancestor", commit, tip, expected=(0, 1))[0] == 0

    def _complaints(self, *command: str) -> list[str]:
        """What git says on both of its streams, the form of old objects left out."""
        with self._store.spawn(*command) as process:
            try:
                said, errors = process.communicate(timeout=FSCK_TIMEOUT_S)
            except subprocess.TimeoutExpired as exc:
                raise GitFailed(command, -1, f"no answer within {FSCK_TIMEOUT_S:.0f} s") from exc
            finally:
                kill_group(process)
        lines = (said + errors).decode("utf-8", "replace").splitlines()
        return list(dict.fromkeys(line.strip() for line in lines if line and not line.startswith(ABOUT_FORM)))

    @staticmethod
    def _refs(git: Git, below: str) -> list[tuple[str, str]]:
        printed = git.text("for-each-ref", "--format=%(objectname) %(refname)", below)
        return [(ref, oid) for oid, _, ref in (line.partition(" ") for line in printed.splitlines())]


def commits_of(record: ChangeRecord) -> Iterable[str]:
    """What the store of artifacts has to have of a change under way, each once; nothing of one that is over."""
    if record.state not in LIVE:
        return ()
    attempts = [attempt.commit for stage in record.stages for attempt in stage.attempts]
    orphans = [orphan.commit for stage in record.stages for orphan in stage.orphans]
    new = record.landing.new if record.landing is not None else None
    return dict.fromkeys([record.base, record.policy.commit, *attempts, *orphans, *([new] if new else [])])


def leftovers(
    workspaces: Workspaces, artifacts: Path, states: dict[str, ChangeState], now: datetime
) -> Iterator[Problem]:
    """Worktrees of changes that are over, and what a git that was killed left. `states` are those of all changes."""
    for workspace in workspaces.list():
        if states.get(workspace.change) not in LIVE:
            do = f"Save what you want of it, then `git worktree remove --force {workspace.path}`."
            yield Problem(Kind.LEFTOVER, f"The workspace {workspace.path} is of a change that is over.", do)
    for path in _old_files(artifacts, now):
        yield Problem(
            Kind.LEFTOVER, f"{path} was left by a git that was killed.", "The next start of the server removes it."
        )


def _old_files(artifacts: Path, now: datetime) -> Iterable[Path]:
    found = (path for pattern in LEFTOVERS for path in artifacts.glob(pattern) if path.name != OUR_LOCK)
    return [path for path in found if path.lstat().st_mtime < now.timestamp() - LEFTOVER_AGE_S]


def _containing(git: Git, commit: str) -> str:
    """A ref that keeps the commit; empty when none does."""
    return git.text("for-each-ref", "--count=1", f"--contains={commit}", "--format=%(refname)")


def _holds(git: Git, commit: str) -> bool:
    return commit in _present(git, [commit])


def _present(git: Git, commits: Sequence[str]) -> set[str]:
    """Those of the ids that name a commit that is there."""
    found = _look_up(git, [f"{commit}^{{commit}}" for commit in commits])
    return {oid for oid in found if oid is not None}


def _look_up(git: Git, names: Sequence[str]) -> list[str | None]:
    """The id of the object that each name stands for, in order; None where there is none."""
    if not names:
        return []
    said = git.run("cat-file", "--batch-check=%(objectname)", stdin="".join(f"{name}\n" for name in names).encode())
    lines = said.decode("utf-8", "replace").splitlines()
    return [None if line.endswith((" missing", " ambiguous")) else line for line in lines]
