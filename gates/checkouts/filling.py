"""What is written into a checkout in the place of submodules and of LFS pointers, as far as this machine has it.

A tree is never judged with an empty folder for a submodule or a pointer for a file: what is missing is told, and
whoever needs it cannot judge. Source: docs/real-repositories.md
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..artifact_store.objects import BadArtifact, TooLarge
from ..artifact_store.walk import TreeBudget, TreeEntry
from ..artifacts import ArtifactStore
from .lfs import ContentMissing, LfsCache, Pointer
from .placeholders import LfsFile, Submodule, find_lfs_files, find_submodules
from .submodules import Places, SubmoduleStore, places_of

NESTED_MAX = 8
SUBMODULES_MEND = "a person has to run `git submodule update --init --recursive` in the repository"
LFS_MEND = "a person has to run `git lfs fetch` in the repository with that commit"


@dataclass(frozen=True, slots=True)
class FilledFile:
    """A file whose blob is a pointer, and what its content is."""

    path: str
    blob: str
    pointer: Pointer


@dataclass(frozen=True, slots=True)
class FilledSubmodule:
    """A submodule's commit, which is in `SubmoduleStore`, with what is to be filled in there."""

    path: str
    commit: str
    filling: "Filling"


@dataclass(frozen=True, slots=True)
class Filling:
    """What to write; `empty` are submodules of which there is nothing, their folders are empty."""

    files: tuple[FilledFile, ...] = ()
    submodules: tuple[FilledSubmodule, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A placeholder that could not be filled; `sentence` says why and what mends it."""

    path: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Filled:
    """All of a commit's placeholders: what fills them, and what is missing, by path."""

    filling: Filling
    missing: tuple[Missing, ...] = ()

    def lacks(self, paths: Iterable[str]) -> Missing | None:
        """The first of the commit's own files among `paths` that is not filled."""
        wanted = set(paths) if self.missing else ()
        return next((missing for missing in self.missing if missing.path in wanted), None)

    def pointer(self, path: str) -> Pointer | None:
        """What the content of a file in LFS is; None for any other."""
        return next((file.pointer for file in self.filling.files if file.path == path), None)


NOTHING = Filled(Filling())


class Filler:
    """Finds and fetches what fills the commits of one artifact store; the caller's own thread waits for git."""

    def __init__(self, artifacts: ArtifactStore, lfs: LfsCache) -> None:
        self.submodules = SubmoduleStore(artifacts)
        self.lfs = lfs
        self._artifacts = artifacts

    def fill(self, commit: str, entries: Mapping[str, TreeEntry], budget: TreeBudget) -> Filled:
        """Get everything ready that fills this commit, whose own entries are given. Cheap where there is nothing.

        Raises `TooLarge` when the tree with all that fills it exceeds the budget's entries or bytes.
        """
        used = _Used(budget)
        used.add(len(entries), sum(entry.size for entry in entries.values()))
        return self._fill(self._artifacts, commit, entries, places_of(self._artifacts.shared), used, prefix="", depth=1)

    def _fill(
        self,
        store: ArtifactStore,
        commit: str,
        entries: Mapping[str, TreeEntry],
        places: Places,
        used: "_Used",
        *,
        prefix: str,
        depth: int,
    ) -> Filled:
        submodules = find_submodules(store, commit, entries)
        files = find_lfs_files(store, commit, entries)
        if not submodules and not files:
            return NOTHING
        missing: list[Missing] = []
        filled = [file for found in files if (file := self._file(found, used, missing, prefix=prefix)) is not None]
        modules: list[FilledSubmodule] = []
        empty: list[str] = []
        for submodule in submodules:
            inner = self._submodule(submodule, places, used, prefix=prefix, depth=depth)
            missing += inner.missing
            if inner.filling is None:
                empty.append(submodule.path)
            else:
                modules.append(FilledSubmodule(submodule.path, submodule.commit, inner.filling))
        return Filled(Filling(tuple(filled), tuple(modules), tuple(empty)), tuple(missing))

    def _file(self, found: LfsFile, used: "_Used", missing: list[Missing], *, prefix: str) -> FilledFile | None:
        path = f"{prefix}{found.path}"
        if found.pointer is None:
            missing.append(Missing(path, f"{path} begins as an LFS pointer and cannot be read as one."))
            return None
        # Before anything is copied: a few bytes can name any number of them.
        used.add(0, found.pointer.size)
        try:
            self.lfs.get(found.pointer)
        except ContentMissing as exc:
            missing.append(Missing(path, f"{path} {exc}: {LFS_MEND}."))
            return None
        return FilledFile(found.path, found.blob, found.pointer)

    def _submodule(self, submodule: Submodule, places: Places, used: "_Used", *, prefix: str, depth: int) -> "_Inner":
        if submodule.is_left_out:
            return _Inner(None)
        path = f"{prefix}{submodule.path}"
        inside = places.of(submodule.path, submodule.name)
        what = f"The submodule {path} is at {submodule.commit[:12]}"
        if depth > NESTED_MAX:
            return _Inner(None, (Missing(path, f"{what}, nested deeper than {NESTED_MAX} submodules."),))
        try:
            is_here = self.submodules.bring_in(submodule.commit, inside)
        except TooLarge:
            raise
        except BadArtifact as exc:
            return _Inner(None, (Missing(path, f"{what}, which cannot be taken over: {exc}"),))
        if not is_here:
            return _Inner(None, (Missing(path, f"{what}, which is not on this machine: {SUBMODULES_MEND}."),))
        store = self.submodules.store
        entries = {entry.path: entry for entry in store.entries(submodule.commit, used.budget)}
        used.add(len(entries), sum(entry.size for entry in entries.values()))
        inner = self._fill(store, submodule.commit, entries, inside, used, prefix=f"{path}/", depth=depth + 1)
        return _Inner(inner.filling, inner.missing)


@dataclass(frozen=True, slots=True)
class _Inner:
    """What fills one submodule; None leaves its folder empty."""

    filling: Filling | None
    missing: tuple[Missing, ...] = ()


@dataclass
class _Used:
    """Counts what a tree has with all that fills it."""

    budget: TreeBudget
    entries: int = 0
    size: int = 0

    def add(self, entries: int, size: int) -> None:
        self.entries += entries
        self.size += size
        if self.entries > self.budget.entries_max:
            message = (
                f"With its submodules the tree has more than {self.budget.entries_max} entries (`limits.entries`)."
            )
            raise TooLarge(message)
        if self.size > self.budget.bytes_max:
            message = (
                f"With its submodules and files in LFS the tree has more than {self.budget.bytes_max} bytes written out"
                " (`limits.tree`)."
            )
            raise TooLarge(message)
