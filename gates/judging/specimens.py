"""Trees on which gates are proved: commits of our own store, on top of the trusted branch, that no ref names."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..artifact_store.objects import EXECUTABLE, FILE
from ..artifacts import ArtifactStore
from ..contract import PatchRefused, Specimen
from ..git import Git, GitFailed
from ..policy import Policy

FILE_BYTES_MAX = 5_000_000
PATCHED_FILES_MAX = 100
REASON_CHARS_MAX = 300
# Always the same, so that equal trees are equal commits.
MADE_AT = datetime(2000, 1, 1, tzinfo=UTC)

Files = Mapping[str, bytes | None]


@dataclass(frozen=True)
class SpecimenMaker:
    """Makes specimens of one commit after another; `change` and `stage` fill what globs leave open. Synchronous."""

    store: ArtifactStore
    policy: Policy
    change: str
    stage: str
    writes: tuple[str, ...]

    def specimen(self, commit: str) -> Specimen:
        """The tree of the commit, read as it is needed."""
        entries = self.store.entries(commit)
        # What is larger is nobody's source, and nothing is planted in it.
        files = {e.path for e in entries if e.mode in (FILE, EXECUTABLE) and e.size <= FILE_BYTES_MAX}

        def read(path: str) -> bytes | None:
            return self.store.read(commit, path, FILE_BYTES_MAX) if path in files else None

        return Specimen(
            change=self.change,
            stage=self.stage,
            writes=self.writes,
            paths=tuple(sorted(files)),
            read=read,
            is_protected=self.policy.is_protected,
            patched=lambda patch: self._patched(commit, patch),
        )

    def commit(self, parent: str, files: Files) -> str:
        """A commit on `parent` with these files written, or removed where None. A file keeps its executable bit."""
        there = {entry.path: entry.mode for entry in self.store.entries(parent)}
        nothing = "0" * len(parent)
        with tempfile.TemporaryDirectory(prefix="specimen-", dir=self.store.path) as folder:
            git = self._index(Path(folder), parent)
            lines = [f"0 {nothing}\t{path}\0" for path in files if path in there]
            for path, data in files.items():
                if data is not None:
                    oid = git.run("hash-object", "-w", "--stdin", "--no-filters", stdin=data).decode().strip()
                    mode = EXECUTABLE if there.get(path) == EXECUTABLE else FILE
                    lines.append(f"{mode} {oid}\t{path}\0")
            git.run("update-index", "-z", "--index-info", stdin="".join(lines).encode("utf-8", "surrogateescape"))
            return self._committed(git, parent)

    def _patched(self, commit: str, patch: bytes) -> Files:
        with tempfile.TemporaryDirectory(prefix="specimen-", dir=self.store.path) as folder:
            git = self._index(Path(folder), commit)
            try:
                git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)
            except GitFailed as exc:
                reason = exc.stderr.strip().replace("\n", "; ")[:REASON_CHARS_MAX]
                raise PatchRefused(f"The patch does not apply to the trusted branch: {reason}.") from exc
            made = self._committed(git, commit)
        changes = self.store.changes(commit, made)
        if not 0 < len(changes) <= PATCHED_FILES_MAX:
            raise PatchRefused(f"The patch changes {len(changes)} files; one to {PATCHED_FILES_MAX} may be changed.")
        return {
            change.path: None if change.new_oid is None else self.store.read(made, change.path, FILE_BYTES_MAX)
            for change in changes
        }

    def _index(self, folder: Path, commit: str) -> Git:
        git = Git(self.store.path, index_file=folder / "index", config=self.store.git.config)
        git.run("read-tree", commit)
        return git

    def _committed(self, git: Git, parent: str) -> str:
        tree = git.text("write-tree")
        if tree == self.store.tree_of(parent):
            return parent
        return self.store.commit_tree(tree, (parent,), message="What a gate is proved on.\n", when=MADE_AT)
