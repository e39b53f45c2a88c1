"""What gates read of commits: files, changes and results about the base, each found once for a whole evaluation.

Trees and comparisons come from our own store; nothing is asked of the shared repository.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from hashlib import sha256
from typing import TypeVar, cast

from anyio import Lock, to_thread

from ...schemas.pipeline import PIPELINE_FILE
from ..artifact_store.objects import EXECUTABLE, FILE, TooLarge
from ..artifact_store.walk import Change, TreeBudget, TreeEntry
from ..artifacts import ArtifactStore
from ..checkouts.filling import Filled, Filler
from ..checkouts.lfs import ContentMissing, LfsCache
from ..contract import BaseResult, CannotJudge, Job, Message, Progress
from ..findings import Blamed
from ..isolation.installations import surroundings
from ..sandbox import choose

T = TypeVar("T")

REGULAR = (FILE, EXECUTABLE)
SURROUNDINGS_DIGITS = 16


class CommitReader:
    """Reads the commits of one job. What is found is told to `emit` where the server wants to keep it."""

    def __init__(self, job: Job, emit: Callable[[Message], None]) -> None:
        self.job = job
        self.limits = job.limits
        self.store = ArtifactStore(job.store, job.shared)
        self._filler = Filler(self.store, LfsCache(job.cache / "lfs", job.shared))
        self._emit = emit
        self._known: dict[object, object] = {}
        self._locks: dict[object, Lock] = {}
        self._budget = TreeBudget(entries_max=self.limits.entries, bytes_max=self.limits.tree)

    async def once(self, key: object, compute: Callable[[], Awaitable[T]]) -> T:
        """The result of `compute`, which runs once per key; whoever asks meanwhile waits for it.

        A `CannotJudge` or `Blamed` is kept and raised again: every gate that needs it gets the same answer.
        """
        async with self._locks.setdefault(key, Lock()):
            if key not in self._known:
                try:
                    self._known[key] = await compute()
                except (CannotJudge, Blamed) as exc:
                    self._known[key] = exc
        known = self._known[key]
        if isinstance(known, CannotJudge | Blamed):
            raise known
        return cast(T, known)

    async def entries(self, commit: str) -> Mapping[str, TreeEntry]:
        """The files, links and submodules of a commit by path."""

        async def walk() -> Mapping[str, TreeEntry]:
            try:
                entries = await to_thread.run_sync(lambda: self.store.entries(commit, self._budget))
            except TooLarge as exc:
                await self._excuse(commit, exc, self.entries)
                raise
            return {entry.path: entry for entry in entries}

        return await self.once(("entries", commit), walk)

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two trees, renames told as both sides."""

        async def compare() -> tuple[Change, ...]:
            return tuple(await to_thread.run_sync(self.store.changes, old, new))

        return await self.once(("changes", old, new), compare)

    async def moved(self) -> Mapping[str, str]:
        """Paths of the artifact that the base has under another name: new path to old path."""
        job = self.job

        async def find() -> Mapping[str, str]:
            return await to_thread.run_sync(self.store.renames, job.base, job.commit)

        return await self.once("moved", find)

    async def filled(self, commit: str) -> Filled:
        """What a checkout of the commit has in the place of submodules and LFS pointers, and what of it is missing."""

        async def fill() -> Filled:
            entries = await self.entries(commit)
            try:
                return await to_thread.run_sync(self._filler.fill, commit, entries, self._budget)
            except TooLarge as exc:
                await self._excuse(commit, exc, self.filled)
                raise

        return await self.once(("filled", commit), fill)

    async def need(self, commit: str, paths: Iterable[str]) -> None:
        """Raise `CannotJudge` when the content of one of the files is not on this machine."""
        missing = (await self.filled(commit)).lacks(paths)
        if missing is not None:
            raise CannotJudge(missing.sentence)

    async def read(self, commit: str, path: str, bytes_max: int) -> bytes | None:
        """One file of a commit, None when there is none; of a file in LFS its content. Raises `CannotJudge`."""
        entry = (await self.entries(commit)).get(path)
        if entry is None or entry.mode not in REGULAR:
            return None
        await self.need(commit, (path,))
        pointer = (await self.filled(commit)).pointer(path)
        try:
            if pointer is not None:
                return await to_thread.run_sync(self._filler.lfs.read, pointer, bytes_max)
        except ContentMissing as exc:
            raise CannotJudge(f"{path} {exc}.") from exc
        blobs = await to_thread.run_sync(lambda: self.store.blobs([entry.oid], bytes_max=bytes_max))
        return blobs[entry.oid]

    async def sizes(self, commit: str, paths: Iterable[str]) -> Mapping[str, int]:
        """How many bytes each regular file among `paths` has; of a file in LFS its content."""
        entries, filled = await self.entries(commit), await self.filled(commit)
        files = {path: entry.size for path in paths if (entry := entries.get(path)) and entry.mode in REGULAR}
        return files | {file.path: file.pointer.size for file in filled.filling.files if file.path in files}

    async def contents(self, commit: str, paths: Collection[str], bytes_max: int) -> Mapping[str, bytes]:
        """What `read` gives of each of these files of the commit, in their order. Raises `CannotJudge`, `TooLarge`."""
        await self.need(commit, paths)
        entries, filled = await self.entries(commit), await self.filled(commit)
        in_lfs = {file.path for file in filled.filling.files}
        oids = [entries[path].oid for path in paths if path not in in_lfs]
        blobs = await to_thread.run_sync(lambda: self.store.blobs(oids, bytes_max=bytes_max))
        found = {path: blobs[entries[path].oid] for path in paths if path not in in_lfs}
        for path in in_lfs.intersection(paths):
            found[path] = await self.read(commit, path, bytes_max) or b""
        return {path: found[path] for path in paths}

    async def diff(self, old: str, new: str, path: str | None, bytes_max: int) -> str:
        """The difference of one path or of everything, as people read it, cut at `bytes_max`."""
        return await to_thread.run_sync(lambda: self.store.diff(old, new, path, bytes_max=bytes_max))

    async def base_result(self, key: str, compute: Callable[[], Awaitable[str]]) -> str:
        """A result about the base: known to the server, or computed now and told to it.

        One from another level of isolation, or with other programs at hand, counts for nothing: what failed only there
        would be tolerated here, or the other way round. Where `compute` cannot judge, nothing is kept.
        """
        where = sha256(json.dumps(surroundings()).encode()).hexdigest()[:SURROUNDINGS_DIGITS]
        key = f"{(await choose()).level}:{where}:{key}"

        async def compute_and_tell() -> str:
            known = self.job.baselines.get(key)
            if known is not None:
                return known
            value = await compute()
            self._emit(BaseResult(key, value))
            return value

        return await self.once(("base", key), compute_and_tell)

    def report(self, text: str) -> None:
        """A line of progress for those who wait."""
        self._emit(Progress(text))

    async def _excuse(self, commit: str, exc: TooLarge, look: Callable[[str], Awaitable[object]]) -> None:
        """Raise `CannotJudge` when the base exceeds the limit as well: then no artifact can keep within it."""
        base = self.job.base
        try:
            if commit != base:
                await look(base)
                return
        except (TooLarge, CannotJudge):
            pass  # the base does not keep within it either, which is told below
        raise CannotJudge(f"{exc} So does the base: raise that limit in {PIPELINE_FILE}.") from exc
