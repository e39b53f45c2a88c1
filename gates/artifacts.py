"""Keep artifacts in a bare repository of our own, fed from the user's shared one.

Nothing is ever judged in the shared repository: agents write there. What an artifact is, is decided here, where every
object came in by its full id and had that id computed again. Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from .artifact_store import copying, history, transfer, writing
from .artifact_store.copying import FetchBudget
from .artifact_store.objects import EXECUTABLE, FILE, BadArtifact, TooLarge, checked_id
from .artifact_store.readers import ObjectReader, ReaderPool
from .artifact_store.transfer import checked_ref_name
from .artifact_store.walk import Change, TreeBudget, TreeEntry, compare, walk
from .artifact_store.writing import Merge
from .git import Git, GitFailed
from .preparation.locks import locked
from .remote.problems import RemoteFault, RemoteProblem
from .remote.quarantine import quarantined
from .remote.remote import Remote

__all__ = [
    "ArtifactStore",
    "BadArtifact",
    "Change",
    "FetchBudget",
    "Merge",
    "TooLarge",
    "TreeBudget",
    "TreeEntry",
]

OUR_REFS = "refs/gatewright/"
# What was fetched whole: apart from the names that callers keep commits by.
BASES = "refs/gatewright-store/bases/"
ARTIFACTS = "refs/gatewright-store/artifacts/"
BROUGHT = "refs/gatewright-store/brought/"

LOCK_TIMEOUT_S = 600.0
TREES_KNOWN_MAX = 10_000
# Above this git says "binary files differ" instead of comparing lines.
DIFF_FILE_BYTES_MAX = 8 * 2**20

# In info/attributes, which outranks every .gitattributes: files are written out as the bytes that were committed,
VERBATIM_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding"
# and compared and merged by git's own rules.
NEUTRAL_ATTRIBUTES = (
    f"{VERBATIM_ATTRIBUTES} -export-ignore -export-subst !merge !diff !conflict-marker-size !whitespace\n"
)
STORE_CONFIG = {
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.commitGraph": "false",
    "core.logAllRefUpdates": "false",
    "core.filesRefLockTimeout": "10000",
    "fetch.fsckObjects": "true",
    "transfer.unpackLimit": "1",
}


FETCH_BUDGET = FetchBudget()
TREE_BUDGET = TreeBudget()


class ArtifactStore:
    """The store at `path`, fed from `shared`, which is the user's git *common* directory.

    All methods are synchronous and may be called from several threads and processes at once. Ids that are not full
    lower-case object ids are refused with `BadArtifact` before git sees them.

    With a `remote`, agents' commits come from there and what is kept is kept there, so that the store can be lost:
    `shared` is its mirror then, and what another server has taken in is brought in when it is first named. Every method
    may raise `RemoteProblem` then.
    """

    def __init__(self, path: Path, shared: Path, remote: Remote | None = None) -> None:
        self.path = path.absolute()
        self.shared = shared.absolute()
        self.git = Git(self.path, config=STORE_CONFIG)
        self._remote = remote
        self._readers = ReaderPool(self.git)
        # What an id stands for never changes, so it is asked for once.
        self._trees: dict[str, str] = {}
        self._bases: set[str] = set()
        self._brought: set[str] = set()

    # -- bringing commits in and out ----------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Make the store where there is none, else clean it up; safe when several processes do it at once."""
        attributes = self.path / "info" / "attributes"
        self._forget()
        if attributes.is_file() and attributes.read_text() == NEUTRAL_ATTRIBUTES:
            transfer.remove_leftovers(self.path)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        object_format = transfer.shared_git(self.shared).text("rev-parse", "--show-object-format")
        with tempfile.TemporaryDirectory(prefix=".store-", dir=self.path.parent) as folder:
            fresh = Path(folder) / "store"
            fresh.mkdir()
            Git(fresh).run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")
            (fresh / "info").mkdir(exist_ok=True)
            (fresh / "info" / "attributes").write_text(NEUTRAL_ATTRIBUTES)
            try:
                fresh.rename(self.path)
            except OSError:  # Another process was first, or an older version of us made it.
                (self.path / "info").mkdir(exist_ok=True)
                (fresh / "info" / "attributes").replace(attributes)

    def fetch_base(self, commit: str) -> None:
        """Bring in a trusted commit, its whole history and the tags that reach it; nothing when it is present.

        Old history may hold objects that git's strict check refuses today, so it is not asked for.
        """
        if checked_id(commit) in self._bases:
            return
        if self._find_ref(BASES + commit) != commit:
            self._take_over_base(commit, BASES + commit)
        self._bases.add(commit)

    def fetch(
        self,
        commit: str,
        *,
        base: str,
        landed: str | None = None,
        keep_as: str | None = None,
        fetch_budget: FetchBudget = FETCH_BUDGET,
        tree_budget: TreeBudget = TREE_BUDGET,
    ) -> None:
        """Bring in an agent's commit, which must descend from `base`; after this every other method may be given it.

        `landed` is a trusted commit that is here: what it has in its history counts for no budget of commits.
        `keep_as`: a name to `keep` it by as well. Raises `BadArtifact` when it is no such commit or not sound,
        `TooLarge` when what it adds exceeds a budget.
        """
        ref = ARTIFACTS + checked_id(commit)
        self.fetch_base(base)
        was_here = self._find_ref(ref) == commit
        if not was_here:
            self._take_over(commit, base, fetch_budget)
        try:
            steps = self._checked_steps(base, commit, landed, tree_budget, is_known_whole=was_here)
            self._changes_of(steps, tree_budget)
            if [step.parents[:1] for step in steps] != [(base,)]:
                self.changes(base, commit, tree_budget)
        except BadArtifact:
            if was_here:
                self.git.run("update-ref", "-d", ref)
            raise
        name = [] if keep_as is None else [OUR_REFS + checked_ref_name(keep_as)]
        self._set_refs(commit, [*([] if was_here else [ref]), *name])
        if keep_as is not None:
            self.keep(commit, keep_as)

    def publish(self, commit: str, ref: str) -> None:
        """Copy `commit` with its history into the shared repository and put `ref` (refs/gatewright/...) there on it.

        Runs no hook and no program that the shared repository's configuration names. Raises `BadArtifact` when an
        object there has the id of one of ours and other bytes.
        """
        if not ref.startswith(OUR_REFS):
            raise ValueError(f"{ref!r} is not below {OUR_REFS}")
        name = OUR_REFS + checked_ref_name(ref.removeprefix(OUR_REFS))
        if self._remote is None:
            transfer.publish(self.git, self.shared, checked_id(commit), name)
        else:
            self._remote.keep(self.path, self._present(commit), name)

    def keep(self, commit: str, name: str) -> None:
        """Put refs/gatewright/`name` on the commit, so that no clean-up ever loses it; durable on return.

        With a remote it is there, and any other server can have it.
        """
        ref = OUR_REFS + checked_ref_name(name)
        self._set_refs(self._present(commit), [ref])
        if self._remote is not None:
            self._remote.keep(self.path, commit, ref)

    def require(self, *commits: str) -> None:
        """Have commits that were taken in once, with their histories; raises `BadArtifact` for one that is nowhere."""
        for commit in commits:
            self._present(commit)

    # -- reading ------------------------------------------------------------------------------------------------------

    def has(self, commit: str) -> bool:
        """Whether the commit object is to be had; only `fetch` and `fetch_base` say that all of its history is."""
        return self._is_here(commit) or (self._remote is not None and self._bring_in(commit))

    def tree_of(self, commit: str) -> str:
        present = self._present(commit)
        with self._readers.reader() as reader:
            return self._tree_of(reader, present)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is `new` or is reachable from it."""
        return history.is_ancestor(self.git, self._present(old), self._present(new))

    def entries(self, commit: str, budget: TreeBudget = TREE_BUDGET) -> tuple[TreeEntry, ...]:
        """Return every file, link and submodule of the commit, sorted by path; raise `TooLarge` above the budget."""
        tree = self.tree_of(commit)
        with self._readers.reader() as reader:
            return walk(reader, tree, budget)

    def read(self, commit: str, path: str, bytes_max: int) -> bytes | None:
        """Return a file's bytes; None when there is no file (a link is none). Raises `TooLarge` above `bytes_max`."""
        tree = self.tree_of(commit)
        with self._readers.reader() as reader:
            place, item = reader.find(tree, path)
            if place != path or item is None or item.mode not in (FILE, EXECUTABLE):
                return None
            return reader.blob(item.oid, bytes_max=bytes_max)

    def blobs(self, oids: Sequence[str], *, bytes_max: int = 2**20) -> Mapping[str, bytes]:
        """Return the contents of blobs (`TreeEntry.oid`) by id, each of at most `bytes_max` bytes."""
        wanted = dict.fromkeys(map(checked_id, oids))
        with self._readers.reader() as reader:
            return {oid: reader.blob(oid, bytes_max=bytes_max) for oid in wanted}

    def changes(self, old: str, new: str, budget: TreeBudget = TREE_BUDGET) -> tuple[Change, ...]:
        """Return what differs between the trees of two commits, sorted by path, renames as removal and addition."""
        old_tree, new_tree = self.tree_of(old), self.tree_of(new)
        with self._readers.reader() as reader:
            return compare(reader, old_tree, new_tree, budget)

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents of a commit, the first one first."""
        present = self._present(commit)
        with self._readers.reader() as reader:
            return reader.parents_of(present)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """Return the newest commits that both have in their histories, sorted by id: none descends from another."""
        return history.merge_bases(self.git, self._present(one), self._present(other))

    def range_changes(self, base: str, commit: str, budget: TreeBudget = TREE_BUDGET) -> tuple[Change, ...]:
        """Return every change that a commit of `base..commit` makes to all of its parents, sorted by path, each once.

        What one commit adds and a later one takes back is in it; of a merge what no side of it had. Raises `TooLarge`
        above the budget's commits, or when the changes of all commits together exceed its entries.
        """
        steps = self._steps(self._present(base), self._present(commit), budget)
        found = self._changes_of(steps, budget)
        return tuple(sorted(found, key=lambda change: (change.path, change.new_oid or "", change.old_oid or "")))

    def merges_between(self, base: str, commit: str, budget: TreeBudget = TREE_BUDGET) -> tuple[tuple[str, ...], ...]:
        """Return the parents of every merge of `base..commit`; raises `TooLarge` above the budget's commits."""
        steps = self._steps(self._present(base), self._present(commit), budget)
        return tuple(step.parents for step in steps if len(step.parents) > 1)

    def renames(self, old: str, new: str) -> dict[str, str]:
        """Return the renamed files, new path to old path, as git recognises them by similarity."""
        arguments = (
            "diff-tree",
            "-r",
            "-z",
            "-M",
            "--name-status",
            "--diff-filter=R",
            "--no-ext-diff",
            "--no-textconv",
        )
        fields = iter(self.git.text(*arguments, self._present(old), self._present(new)).split("\0"))
        return {new_path: old_path for _, old_path, new_path in zip(fields, fields, fields, strict=False)}

    def diff(
        self, old: str, new: str, path: str | None = None, *, context_lines: int = 3, bytes_max: int = 2**18
    ) -> str:
        """Return a unified diff for people to read, cut (and said so) after `bytes_max` bytes. `path` is literal."""
        git = Git(self.path, config={**STORE_CONFIG, "core.bigFileThreshold": str(DIFF_FILE_BYTES_MAX)})
        text, is_cut = git.run_head(
            *("--literal-pathspecs", "diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv"),
            *(f"-U{context_lines}", self._present(old), self._present(new), "--", *filter(None, [path])),
            bytes_max=bytes_max,
        )
        return text.decode("utf-8", "replace") + (f"\n[cut after {bytes_max} bytes]\n" if is_cut else "")

    # -- making commits -----------------------------------------------------------------------------------------------

    def commit_files(
        self,
        parent: str,
        files: Mapping[str, str | None],
        *,
        message: str,
        author: str,
        when: datetime,
        start: str | None = None,
    ) -> str:
        """Return a commit on `parent` with texts written and paths (None) removed; nothing is fetched or kept.

        They are written into the files of `start`, or of the parent. `author` is the agent's name. Raises
        `BadArtifact` for a path that may not be written or removed.
        """
        tree = writing.write_files(self.git, self._present(start or parent), files)
        return writing.commit_tree(self.git, tree, (parent,), message=message, when=when, author=author)

    def commit_tree(self, tree: str, parents: Sequence[str], *, message: str, when: datetime) -> str:
        """Return a commit of the server's own."""
        ids = [self._present(parent) for parent in parents]
        return writing.commit_tree(self.git, checked_id(tree), ids, message=message, when=when)

    def merge(self, ours: str, theirs: str, *, message: str, when: datetime) -> Merge:
        """Merge `theirs` into `ours`. Raises `BadArtifact` when they have no history in common."""
        return writing.merge(self.git, self._present(ours), self._present(theirs), message=message, when=when)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _take_over(self, commit: str, base: str, budget: FetchBudget) -> None:
        with self._lent(commit, budget.bytes_max) as shared:
            transfer.check_complete(shared)
            # A commit that the server made need not be in the shared repository.
            if self._kind_of(commit) == "commit" and not transfer.holds(shared, commit):
                return
            listing = copying.list_added(shared, commit, base=base, budget=budget)
            with self._exclusive():
                copying.copy(self.git, shared, listing)

    def _set_refs(self, commit: str, refs: Iterable[str]) -> None:
        """All at once; durable on return."""
        missing = [ref for ref in refs if self._find_ref(ref) != commit]
        if missing:
            self.git.run("update-ref", "--stdin", stdin="".join(f"update {ref} {commit}\n" for ref in missing).encode())

    def _is_here(self, commit: str) -> bool:
        status, _ = self.git.run_status("cat-file", "-e", f"{checked_id(commit)}^{{commit}}", expected=(0, 1, 128))
        return status == 0

    @contextmanager
    def _lent(self, commit: str, pack_bytes_max: int) -> Generator[Path]:
        """A repository on this machine to take the commit from, where anybody's has it."""
        if self._remote is None or self._kind_of(commit) is not None:
            yield self.shared
            return
        near, folder = self.shared, self.path
        try:
            with quarantined(self._remote, commit, near=near, folder=folder, pack_bytes_max=pack_bytes_max) as place:
                yield place
        except RemoteProblem as exc:
            if exc.fault is not RemoteFault.MISSING:
                raise
            raise BadArtifact(f"There is no commit {commit} on the remote. Push it first.") from exc

    def _present(self, commit: str) -> str:
        """The id, of a commit that was taken in once, here or by another server; such a one is brought in."""
        if self._remote is None or checked_id(commit) in self._brought:
            return checked_id(commit)
        if self._kind_of(commit) is None and not self._bring_in(commit):
            raise BadArtifact(f"The commit {commit}, which was taken in once, is not on the remote any more.")
        self._brought.add(commit)
        return commit

    def _bring_in(self, commit: str) -> bool:
        """Fetch what another server has taken in, and checked; False when the remote has not got it."""
        assert self._remote is not None, "only a remote has what is not here"
        try:
            with self._exclusive():
                self._remote.fetch(self.path, [f"+{commit}:{BROUGHT}{commit}"])
        except RemoteProblem as exc:
            if exc.fault is not RemoteFault.MISSING:
                raise
            return False
        transfer.check_is_commit(self.git, commit)
        return True

    def _take_over_base(self, commit: str, ref: str) -> None:
        if self._remote is not None and not transfer.holds(self.shared, commit):
            self._present(commit)
        with self._exclusive():
            transfer.check_complete(self.shared)
            is_shared = transfer.holds(self.shared, commit)
            if not is_shared and not self._is_here(commit):
                raise BadArtifact(f"There is no commit {commit} in the repository.")
            tags = transfer.tags_reaching(self.shared, commit) if is_shared else ()
            refspecs = [f"+{name}:{name}" for name in tags]
            transfer.fetch(self.git, self.shared, [f"+{commit}:{ref}", *refspecs], strict=False, tip=None)
            transfer.check_is_commit(self.git, commit)

    def _checked_steps(
        self, base: str, commit: str, landed: str | None, budget: TreeBudget, *, is_known_whole: bool
    ) -> Sequence[history.Step]:
        transfer.check_kind(commit, self._kind_of(commit))
        try:
            steps = self._steps(base, commit, budget, landed=landed, is_known_whole=is_known_whole)
            is_descendant = history.descends(base, commit, steps)
            if landed is not None and not is_descendant:
                # The way to it may lead through what has landed.
                is_descendant = self.is_ancestor(base, commit)
        except TooLarge:
            if self.is_ancestor(base, commit):
                raise
            steps, is_descendant = (), False
        except GitFailed as exc:
            if is_known_whole or exc.is_outage:
                raise
            raise BadArtifact(f"The commit cannot be taken over: {transfer.reason_of(exc)}") from exc
        if not is_descendant:
            raise BadArtifact(f"{commit} does not descend from {base}. Start your work from that commit.")
        return steps

    def _steps(
        self, base: str, commit: str, budget: TreeBudget, *, landed: str | None = None, is_known_whole: bool = True
    ) -> tuple[history.Step, ...]:
        if is_known_whole and landed in {None, base}:
            with self._readers.reader() as reader:
                # One commit right above the base: most are, and then there is nothing to walk.
                if reader.parents_of(commit) == (base,):
                    return (history.Step(self._tree_of(reader, commit), (base,)),)
        return history.steps_between(
            self.git, base, commit, budget.commits_max, landed=landed, is_known_whole=is_known_whole
        )

    def _changes_of(self, steps: Iterable[history.Step], budget: TreeBudget) -> set[Change]:
        found: set[Change] = set()
        with self._readers.reader() as reader:
            for step in steps:
                trees = [self._tree_of(reader, parent) for parent in step.parents]
                changes = compare(reader, next(iter(trees), None), step.tree, budget)
                for other in trees[1:]:
                    paths = {change.path for change in compare(reader, other, step.tree, budget)}
                    changes = tuple(change for change in changes if change.path in paths)
                found.update(changes)
                if len(found) > budget.entries_max:
                    raise TooLarge(f"The commits change more than {budget.entries_max} entries.")
        return found

    def _kind_of(self, oid: str) -> str | None:
        with self._readers.reader() as reader:
            found = reader.look_up(oid)
        return None if found is None else found[1]

    def _tree_of(self, reader: ObjectReader, commit: str) -> str:
        tree = self._trees.get(commit)
        if tree is None:
            tree = reader.tree_of(commit)
            if len(self._trees) >= TREES_KNOWN_MAX:
                self._trees.clear()
            self._trees[commit] = tree
        return tree

    def _forget(self) -> None:
        self._readers.clear()
        self._trees.clear()
        self._bases.clear()
        self._brought.clear()

    def _find_ref(self, ref: str) -> str | None:
        try:
            return (self.path / ref).read_text(encoding="ascii", errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not (self.path / "packed-refs").exists():
                return None
        return self.git.text("for-each-ref", "--format=%(objectname)", ref) or None

    @contextmanager
    def _exclusive(self) -> Generator[None]:
        with locked(self.path / transfer.OUR_LOCK, timeout_s=LOCK_TIMEOUT_S):
            yield
