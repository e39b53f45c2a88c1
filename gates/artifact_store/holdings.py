"""Which commits our store has, how it comes by others, and the refs that keep them.

What an agent made is copied object by object and checked; a trusted base, and what another server has taken in and
checked, are fetched. All of it by full id. Source: docs/decisions/0002-own-store-for-artifacts.md
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from ..git import Git
from ..remote.problems import RemoteFault, RemoteProblem
from ..remote.quarantine import quarantined
from ..remote.remote import Remote
from . import copying, transfer
from .copying import FetchBudget
from .objects import BadArtifact, checked_id
from .readers import ReaderPool

# What was fetched whole: apart from the names that callers keep commits by.
BASES = "refs/gatewright-store/bases/"
BROUGHT = "refs/gatewright-store/brought/"


class Holdings:
    """Of one store, fed from `shared` and, where there is one, from the remote; for any number of threads."""

    def __init__(self, git: Git, readers: ReaderPool, shared: Path, remote: Remote | None) -> None:
        self._git = git
        self._readers = readers
        self._shared = shared
        self._remote = remote
        self._bases: set[str] = set()
        self._brought: set[str] = set()

    def has(self, commit: str) -> bool:
        """Whether the commit object is here, or can be brought in."""
        return self._is_here(commit) or (self._remote is not None and self._bring_in(commit))

    def present(self, commit: str) -> str:
        """The id, of a commit that was taken in once, here or by another server; such a one is brought in.

        Raises `BadArtifact` for one that the remote has no more. Without a remote nothing is looked for.
        """
        if self._remote is None or checked_id(commit) in self._brought:
            return checked_id(commit)
        if self._readers.kind_of(commit) is None and not self._bring_in(commit):
            raise BadArtifact(f"The commit {commit}, which was taken in once, is not on the remote any more.")
        self._brought.add(commit)
        return commit

    def take_base(self, commit: str) -> None:
        """Fetch a trusted commit with its whole history and the tags that reach it; nothing when that was done."""
        if checked_id(commit) in self._bases:
            return
        if self.find_ref(BASES + commit) != commit:
            self._fetch_base(commit, BASES + commit)
        self._bases.add(commit)

    def take_over(self, commit: str, base: str, budget: FetchBudget) -> None:
        """Copy what an agent's commit adds to `base`, which is here; no ref is set.

        Raises `BadArtifact` when it is not there whole and sound, `TooLarge` above the budget.
        """
        with self._lent(commit, budget.bytes_max) as shared:
            transfer.check_complete(shared)
            # A commit that the server made need not be in the shared repository.
            if self._readers.kind_of(commit) == "commit" and not transfer.holds(shared, commit):
                return
            listing = copying.list_added(shared, commit, base=base, budget=budget)
            with transfer.exclusive(self._git.git_dir):
                copying.copy(self._git, shared, listing)

    def find_ref(self, ref: str) -> str | None:
        """What a ref of the store stands on."""
        try:
            return (self._git.git_dir / ref).read_text(encoding="ascii", errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not (self._git.git_dir / "packed-refs").exists():
                return None
        return self._git.text("for-each-ref", "--format=%(objectname)", ref) or None

    def set_refs(self, commit: str, refs: Iterable[str]) -> None:
        """Put them on the commit, all at once; durable on return."""
        missing = [ref for ref in refs if self.find_ref(ref) != commit]
        if missing:
            told = "".join(f"update {ref} {commit}\n" for ref in missing).encode()
            self._git.run("update-ref", "--stdin", stdin=told)

    def forget(self) -> None:
        """Begin anew, because the store may be another one."""
        self._bases.clear()
        self._brought.clear()

    def _is_here(self, commit: str) -> bool:
        status, _ = self._git.run_status("cat-file", "-e", f"{checked_id(commit)}^{{commit}}", expected=(0, 1, 128))
        return status == 0

    @contextmanager
    def _lent(self, commit: str, pack_bytes_max: int) -> Generator[Path]:
        """A repository on this machine to take the commit from, where anybody's has it."""
        if self._remote is None or self._readers.kind_of(commit) is not None:
            yield self._shared
            return
        near, folder = self._shared, self._git.git_dir
        try:
            with quarantined(self._remote, commit, near=near, folder=folder, pack_bytes_max=pack_bytes_max) as place:
                yield place
        except RemoteProblem as exc:
            if exc.fault is not RemoteFault.MISSING:
                raise
            raise BadArtifact(f"There is no commit {commit} on the remote. Push it first.") from exc

    def _bring_in(self, commit: str) -> bool:
        """Fetch what another server has taken in, and checked; False when the remote has not got it."""
        assert self._remote is not None, "only a remote has what is not here"
        try:
            with transfer.exclusive(self._git.git_dir):
                self._remote.fetch(self._git.git_dir, [f"+{commit}:{BROUGHT}{commit}"])
        except RemoteProblem as exc:
            if exc.fault is not RemoteFault.MISSING:
                raise
            return False
        transfer.check_is_commit(self._git, commit)
        return True

    def _fetch_base(self, commit: str, ref: str) -> None:
        """Old history may hold objects that git's strict check refuses today, so it is not asked for."""
        if self._remote is not None and not transfer.holds(self._shared, commit):
            self.present(commit)
        with transfer.exclusive(self._git.git_dir):
            transfer.check_complete(self._shared)
            is_shared = transfer.holds(self._shared, commit)
            if not is_shared and not self._is_here(commit):
                raise BadArtifact(f"There is no commit {commit} in the repository.")
            tags = transfer.tags_reaching(self._shared, commit) if is_shared else ()
            refspecs = [f"+{name}:{name}" for name in tags]
            transfer.fetch(self._git, self._shared, [f"+{commit}:{ref}", *refspecs], strict=False, tip=None)
            transfer.check_is_commit(self._git, commit)
