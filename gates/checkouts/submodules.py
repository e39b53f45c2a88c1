"""Bring submodules' commits from the user's own folders into a store of ours. Nothing is fetched from a network.

A submodule is one commit of another repository, so its history is left behind. Its objects are believed as an
artifact's are: after git has computed their ids again and found them sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..artifact_store import transfer
from ..artifact_store.objects import BadArtifact, checked_id
from ..artifacts import ArtifactStore
from ..git import Git

STORE = "submodules.git"
KEPT = "refs/gatewright-store/submodules/"
# Flaws that old commits of many repositories have and that harm nobody who only reads their files.
HARMLESS = ("zeroPaddedFilemode", "badTimezone", "missingSpaceBeforeDate", "missingEmail", "badDate")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the user's own git folders of a repository's submodules may lie.

    `git_dirs` are folders with `modules/` in them; `work_tree` has submodules as nested repositories, as long ago.
    """

    git_dirs: tuple[Path, ...]
    work_tree: Path | None = None

    def of(self, path: str, name: str | None) -> "Places":
        """The existing git folders of one submodule."""
        names = {name, path} if name else {path}
        found = [folder / "modules" / each for folder in self.git_dirs for each in sorted(names)]
        if self.work_tree is not None:
            found.append(self.work_tree / path / ".git")
        return Places(tuple(folder for folder in found if (folder / "HEAD").is_file()))


def places_of(shared: Path) -> Places:
    """Those of a repository, by its git common folder: the main worktree's and the linked ones'."""
    linked = sorted((shared / "worktrees").glob("*"))
    return Places((shared, *linked), shared.parent if shared.name == ".git" else None)


class SubmoduleStore:
    """The commits of all submodules of one repository, beside the store of its artifacts."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self.store = ArtifactStore(artifacts.path.with_name(STORE), artifacts.shared)
        self._is_ready = False

    def bring_in(self, commit: str, places: Places) -> bool:
        """Have the commit with all its files in our store; False when no git folder of the user's has it.

        Raises `BadArtifact` when one has it and it is not sound.
        """
        ref = KEPT + checked_id(commit)
        if not self._is_ready:
            self.store.ensure()
            self._is_ready = True
        if (self.store.path / ref).is_file():
            return True
        sources = [folder for folder in places.git_dirs if transfer.holds(folder, commit)]
        if not sources:
            return False
        with transfer.exclusive(self.store.path):
            self._fetch(commit, ref, sources)
        return True

    def _fetch(self, commit: str, ref: str, sources: Sequence[Path]) -> None:
        ignored: dict[str, str | None] = {f"fetch.fsck.{flaw}": "ignore" for flaw in HARMLESS}
        git = Git(self.store.path, config={**self.store.git.config, **ignored})
        for number, source in enumerate(sources, start=1):
            try:
                transfer.fetch(git, source, [f"+{commit}:{ref}"], strict=True, tip=None, depth=1)
            except BadArtifact:
                if number == len(sources):
                    raise
            else:
                return
