"""Keep artifacts in a bare repository of our own, fed from the user's shared one.

Nothing is ever judged in the shared repository: agents write there. What an artifact is, is decided here, where every
object came in by its full id and had that id computed again. Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from .artifact_store import history, transfer, writing
from .artifact_store.copying import FetchBudget
from .artifact_store.holdings import Holdings
from .artifact_store.objects import EXECUTABLE, FILE, BadArtifact, TooLarge, checked_id
from .artifact_store.ranges import Ranges
from .artifact_store.readers import ReaderPool
from .artifact_store.transfer import checked_ref_name
from .artifact_store.walk import Change, TreeBudget, TreeEntry, compare, walk
from .artifact_store.writing import Merge
from .git import Git
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
# What was taken over whole: apart from the names that callers keep commits by.
ARTIFACTS = "refs/gatewright-store/artifacts/"
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
        self._holdings = Holdings(self.git, self._readers, self.shared, remote)
        self._ranges = Ranges(self.git, self._readers)

    # -- bringing commits in and out ----------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Make the store where there is none, else clean it up; safe when several processes do it at once."""
        attributes = self.path / "info" / "attributes"
        self._readers.clear()
        self._holdings.forget()
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
        """Bring in a trusted commit, its whole history and the tags that reach it; nothing when it is present."""
        self._holdings.take_base(commit)

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
        was_here = self._holdings.find_ref(ref) == commit
        if not was_here:
            self._holdings.take_over(commit, base, fetch_budget)
        try:
            steps = self._ranges.checked_steps(base, commit, landed, tree_budget, is_known_whole=was_here)
            self._ranges.changes_of(steps, tree_budget)
            if [step.parents[:1] for step in steps] != [(base,)]:
                self.changes(base, commit, tree_budget)
        except BadArtifact:
            if was_here:
                self.git.run("update-ref", "-d", ref)
            raise
        name = [] if keep_as is None else [OUR_REFS + checked_ref_name(keep_as)]
        self._holdings.set_refs(commit, [*([] if was_here else [ref]), *name])
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
            self._remote.keep(self.path, self._holdings.present(commit), name)

    def keep(self, commit: str, name: str) -> None:
        """Put refs/gatewright/`name` on the commit, so that no clean-up ever loses it; durable on return.

        With a remote it is there, and any other server can have it.
        """
        ref = OUR_REFS + checked_ref_name(name)
        self._holdings.set_refs(self._holdings.present(commit), [ref])
        if self._remote is not None:
            self._remote.keep(self.path, commit, ref)

    def require(self, *commits: str) -> None:
        """Have commits that were taken in once, with their histories; raises `BadArtifact` for one that is nowhere."""
        for commit in commits:
            self._holdings.present(commit)

    # -- reading ------------------------------------------------------------------------------------------------------

    def has(self, commit: str) -> bool:
        """Whether the commit object is to be had; only `fetch` and `fetch_base` say that all of its history is."""
        return self._holdings.has(commit)

    def tree_of(self, commit: str) -> str:
        present = self._holdings.present(commit)
        with self._readers.reader() as reader:
            return reader.tree_of(present)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is `new` or is reachable from it."""
        return history.is_ancestor(self.git, self._holdings.present(old), self._holdings.present(new))

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
        present = self._holdings.present(commit)
        with self._readers.reader() as reader:
            return reader.parents_of(present)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """Return the newest commits that both have in their histories, sorted by id: none descends from another."""
        return history.merge_bases(self.git, self._holdings.present(one), self._holdings.present(other))

    def range_changes(self, base: str, commit: str, budget: TreeBudget = TREE_BUDGET) -> tuple[Change, ...]:
        """Return every change that a commit of `base..commit` makes to all of its parents, sorted by path, each once.

        What one commit adds and a later one takes back is in it; of a merge what no side of it had. Raises `TooLarge`
        above the budget's commits, or when the changes of all commits together exceed its entries.
        """
        steps = self._ranges.steps(self._holdings.present(base), self._holdings.present(commit), budget)
        found = self._ranges.changes_of(steps, budget)
        return tuple(sorted(found, key=lambda change: (change.path, change.new_oid or "", change.old_oid or "")))

    def merges_between(self, base: str, commit: str, budget: TreeBudget = TREE_BUDGET) -> tuple[tuple[str, ...], ...]:
        """Return the parents of every merge of `base..commit`; raises `TooLarge` above the budget's commits."""
        steps = self._ranges.steps(self._holdings.present(base), self._holdings.present(commit), budget)
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
        fields = iter(self.git.text(*arguments, self._holdings.present(old), self._holdings.present(new)).split("\0"))
        return {new_path: old_path for _, old_path, new_path in zip(fields, fields, fields, strict=False)}

    def diff(
        self, old: str, new: str, path: str | None = None, *, context_lines: int = 3, bytes_max: int = 2**18
    ) -> str:
        """Return a unified diff for people to read, cut (and said so) after `bytes_max` bytes. `path` is literal."""
        git = Git(self.path, config={**STORE_CONFIG, "core.bigFileThreshold": str(DIFF_FILE_BYTES_MAX)})
        text, is_cut = git.run_head(
            *("--literal-pathspecs", "diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv"),
            *(
                f"-U{context_lines}",
                self._holdings.present(old),
                self._holdings.present(new),
                "--",
                *filter(None, [path]),
            ),
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
        tree = writing.write_files(self.git, self._holdings.present(start or parent), files)
        return writing.commit_tree(self.git, tree, (parent,), message=message, when=when, author=author)

    def commit_tree(self, tree: str, parents: Sequence[str], *, message: str, when: datetime) -> str:
        """Return a commit of the server's own."""
        ids = [self._holdings.present(parent) for parent in parents]
        return writing.commit_tree(self.git, checked_id(tree), ids, message=message, when=when)

    def merge(self, ours: str, theirs: str, *, message: str, when: datetime) -> Merge:
        """Merge `theirs` into `ours`. Raises `BadArtifact` when they have no history in common."""
        return writing.merge(
            self.git, self._holdings.present(ours), self._holdings.present(theirs), message=message, when=when
        )
