"""Everything a gate kind may use to judge one commit, computed once and shared by the gates of an evaluation.

Trees and comparisons come from our own store; nothing is asked of the shared repository. Programs run only through
`run`, which takes a slot, so that the gates of one evaluation share the machine as the server said.
"""

import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TypeVar, cast

import anyio
from anyio import CapacityLimiter, Lock, to_thread

from ..schemas.pipeline import PIPELINE_FILE
from .artifacts import ArtifactStore
from .checkout import CheckoutPool, leave_out
from .contract import BaseResult, CannotJudge, Job, Message, Progress
from .environment import KEY_FILE_BYTES_MAX, PreparedEnvironment, SetupFailed, prepare_environment
from .filling import Filled, Filler
from .findings import Problem
from .installations import hidden_places, surroundings
from .installing import layer_install
from .lfs import ContentMissing, LfsCache
from .objects import TooLarge
from .process import Finished, ProcessLimits, allowed_environment, run_process
from .sandbox import Choice, choose
from .scratch import remove_tree
from .walk import Change, TreeBudget, TreeEntry

T = TypeVar("T")

BYTECODE = (".pyc", ".pyo")
# At these a program that may only read a tree cannot write there.
READ_ONLY_LEVELS = ("full", "files")
CLEAN_UP_TIMEOUT_S = 30.0
SURROUNDINGS_DIGITS = 16
# What a gate may add to its private copy before the copy counts as a runaway.
FILE_BYTES_MAX = 2_000_000_000


class Blamed(Exception):
    """The artifact itself keeps the gate from judging; `problem` becomes its finding and the gate fails."""

    def __init__(self, problem: Problem, *, output: str) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.output = output


@dataclass(slots=True)
class _Held:
    opened: AbstractContextManager[Path]
    path: Path
    readers: int = 0


class Submission:
    """One commit under judgement. `scratch` is a private folder that the caller removes."""

    def __init__(self, job: Job, emit: Callable[[Message], None], scratch: Path) -> None:
        self.job = job
        self.limits = job.limits
        self.store = ArtifactStore(job.store, job.shared)
        self._filler = Filler(self.store, LfsCache(job.cache / "lfs", job.shared))
        self.pool = CheckoutPool(job.cache / "checkouts", self.store, filler=self._filler)
        self._emit = emit
        self._scratch = scratch
        self._numbers = count(1)
        self._slots = CapacityLimiter(max(1, job.slots))
        self._known: dict[object, object] = {}
        self._locks: dict[object, Lock] = {}
        self._held: dict[str, _Held] = {}
        self._writable: set[Path] = set()
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
        if path not in await self.entries(commit):
            return None
        await self.need(commit, (path,))
        pointer = (await self.filled(commit)).pointer(path)
        try:
            if pointer is not None:
                return await to_thread.run_sync(self._filler.lfs.read, pointer, bytes_max)
        except ContentMissing as exc:
            raise CannotJudge(f"{path} {exc}.") from exc
        return await to_thread.run_sync(self.store.read, commit, path, bytes_max)

    async def diff(self, old: str, new: str, path: str | None, bytes_max: int) -> str:
        """The difference of one path or of everything, as people read it, cut at `bytes_max`."""
        return await to_thread.run_sync(lambda: self.store.diff(old, new, path, bytes_max=bytes_max))

    @asynccontextmanager
    async def pristine(self, commit: str) -> AsyncGenerator[Path]:
        """A checkout shared by whoever reads this commit now: to be read, and nothing of the artifact runs in it.

        What a submodule or a file in LFS lacks is not there: name to `need` what must be. Whoever holds one asks for no
        second, so that evaluations never wait for each other in a circle.
        """
        filling = (await self.filled(commit)).filling
        async with self._locks.setdefault(("pristine", commit), Lock()):
            held = self._held.get(commit)
            if held is None:
                opened = self.pool.pristine(commit, filling)
                held = self._held[commit] = _Held(opened, await to_thread.run_sync(opened.__enter__))
            held.readers += 1
        try:
            yield held.path
        finally:
            held.readers -= 1
            if not held.readers:
                del self._held[commit]
                with anyio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True):
                    await to_thread.run_sync(held.opened.__exit__, None, None, None)

    @asynccontextmanager
    async def private(self, commit: str) -> AsyncGenerator[Path]:
        """A writable copy with a `.git` of its own, thrown away at the end; `CannotJudge` when it would lack files."""
        await self._require_filled(commit)
        filling = (await self.filled(commit)).filling
        folder = self.make_folder("tree")
        try:
            tree = await to_thread.run_sync(self.pool.private, commit, folder / "tree", filling)
            self._writable.add(tree)
            yield tree
        finally:
            self._writable.discard(folder / "tree")
            with anyio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True):
                await to_thread.run_sync(remove_tree, folder)

    def make_folder(self, name: str) -> Path:
        """A new, empty folder outside every tree."""
        folder = self._scratch / f"{name}-{next(self._numbers)}"
        folder.mkdir(mode=0o700, parents=True)
        return folder

    async def environment(self, commit: str) -> PreparedEnvironment:
        """What `setup` makes of the commit's key files. Raises `CannotJudge`, or `Blamed` when the artifact did it."""
        await self._require_isolation()
        setup = self.job.policy.pipeline.setup
        files = await self._key_files(commit)

        async def prepare() -> PreparedEnvironment:
            made = await prepare_environment(
                setup,
                files=files,
                cache=self.job.cache / "environments",
                limits=self.limits,
                report=self.report,
                hidden=self._hidden,
            )
            if isinstance(made, PreparedEnvironment):
                return made
            return await self._setup_failed(made, files)

        return await self.once(("environment", tuple(sorted(files.items()))), prepare)

    async def own_environment(self) -> PreparedEnvironment:
        """For programs of gatewright itself: its own Python, and nothing that `setup` makes."""

        async def prepare() -> PreparedEnvironment:
            made = await prepare_environment(
                None, files={}, cache=self.job.cache, limits=self.limits, report=self.report, hidden=self._hidden
            )
            assert isinstance(made, PreparedEnvironment), "without a set-up nothing fails"
            return replace(made, python=Path(sys.executable))

        return await self.once("own environment", prepare)

    @asynccontextmanager
    async def workplace(self, commit: str, *, of: str) -> AsyncGenerator[tuple[Path, PreparedEnvironment]]:
        """A private copy of `commit` with the environment of `of`, over which the copy is installed.

        Raises `CannotJudge`, or `Blamed` when the artifact cannot be installed though the base can.
        """
        prepared = await self.environment(of)
        install = self.job.policy.pipeline.install
        async with self.private(commit) as tree:
            await self._leave_out_bytecode(commit, tree)
            into = self.make_folder("layer")
            try:
                async with self._slots:
                    made = await layer_install(
                        prepared, install, tree=tree, into=into, limits=self.limits, reads=self._objects
                    )
                if isinstance(made, SetupFailed):
                    raise await self._install_failed(made, of)
                await self._refuse_stand_ins(made, of)
                yield tree, made
            finally:
                with anyio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True):
                    await to_thread.run_sync(remove_tree, into)

    @asynccontextmanager
    async def shared_place(self, commit: str, *, of: str) -> AsyncGenerator[tuple[Path, PreparedEnvironment]]:
        """A checkout of `commit` that others read too, with the environment of `of`; nothing is installed over it.

        It is a private copy where programs cannot be kept from writing, or would find committed bytecode.
        """
        prepared = await self.environment(of)
        is_kept = (await self._require_isolation()).level in READ_ONLY_LEVELS
        has_bytecode = any(path.endswith(BYTECODE) for path in await self.entries(commit))
        place = self.pristine if is_kept and not has_bytecode else self.private
        await self._require_filled(commit)
        async with place(commit) as tree:
            await self._leave_out_bytecode(commit, tree)
            yield tree, prepared

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: PreparedEnvironment,
        timeout_s: float,
        extra: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        stdout_bytes_max: int | None = None,
        output_bytes_max: int | None = None,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
        network: bool = False,
    ) -> Finished:
        """Run a program in a slot, under the policy's limits, with a home and a temporary folder of its own.

        `reads` and `writes` are what it reaches besides the usual places, its private tree and its environment; a path
        in a tree is no grant, for an artifact could have made it a link. `network` lets it out of its own loopback.
        Raises `CannotJudge` when the machine does not isolate programs as the policy requires.
        """
        choice = await self._require_isolation()
        places = self.make_folder("run")
        home, temporary = places / "home", places / "tmp"
        for folder in (home, temporary, places / "shared"):
            folder.mkdir()
        tree = next((tree for tree in self._writable if cwd.is_relative_to(tree)), None)
        reach = environment.reach(
            *(() if tree else (cwd,)),
            *self._objects,
            *reads,
            writes=[home, temporary, *writes, *((tree,) if tree else ())],
            temporary=places / "shared",
            network=network,
        )
        variables = allowed_environment(
            path=environment.path, home=home, tmp=temporary, extra={**environment.variables, **(extra or {})}
        )
        try:
            async with self._slots:
                return await run_process(
                    argv,
                    cwd=cwd,
                    environment=variables,
                    limits=self._process_limits(timeout_s, output_bytes_max or self.limits.output),
                    stdin=stdin,
                    stdout_bytes_max=stdout_bytes_max,
                    sandbox=choice.enclose(reach),
                )
        finally:
            with anyio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True):
                await to_thread.run_sync(remove_tree, places)

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
            pass
        raise CannotJudge(f"{exc} So does the base: raise that limit in {PIPELINE_FILE}.") from exc

    @property
    def _objects(self) -> tuple[Path, ...]:
        """What the `.git` of a private tree reads through its alternates."""
        return (self.store.path / "objects",)

    @cached_property
    def _hidden(self) -> tuple[Path, ...]:
        return hidden_places(Path.home(), shared=self.job.shared, own=(self.job.cache, self.store.path))

    async def _require_filled(self, commit: str) -> None:
        filled = await self.filled(commit)
        if filled.missing:
            raise CannotJudge(filled.missing[0].sentence)

    async def _leave_out_bytecode(self, commit: str, tree: Path) -> None:
        # It may say otherwise than the source beside it, and is believed first.
        bytecode = [path for path in await self.entries(commit) if path.endswith(BYTECODE)]
        if bytecode:
            await to_thread.run_sync(leave_out, tree, bytecode)

    async def _require_isolation(self) -> Choice:
        choice = await choose()
        shortfall = choice.explain_shortfall(self.job.policy.pipeline.require_isolation)
        if shortfall is not None:
            raise CannotJudge(shortfall)
        return choice

    async def _key_files(self, commit: str) -> Mapping[str, bytes]:
        """The key files of a commit; those that the policy protects are the policy's, as in every run."""
        policy = self.job.policy
        if policy.pipeline.setup is None:
            return {}
        paths = {*await self.entries(commit), *await self.entries(policy.commit)}
        sources = policy.key_sources(commit, paths)
        read = {path: await self.read(source, path, KEY_FILE_BYTES_MAX) for path, source in sources.items()}
        return {path: data for path, data in read.items() if data is not None}

    async def _setup_failed(self, failed: SetupFailed, files: Mapping[str, bytes]) -> PreparedEnvironment:
        trusted = await self._key_files(self.job.policy.commit)
        changed = sorted(path for path in {*files, *trusted} if files.get(path) != trusted.get(path))
        if failed.could_not_judge or not changed or files != await self._key_files(self.job.commit):
            raise CannotJudge(failed.sentence, output=failed.output)
        satisfy = f"Mend {changed[0]} so that the policy's setup succeeds with it."
        raise Blamed(Problem("setup", failed.sentence, changed[0], satisfy=satisfy), output=failed.output)

    async def _refuse_stand_ins(self, made: PreparedEnvironment, of: str) -> None:
        """Raise `Blamed` when the artifact is installed in front of what gates use, and the base is not."""
        if not made.stand_ins or of != self.job.commit or of == self.job.base:
            return

        async def install_base() -> str:
            async with self.workplace(self.job.base, of=self.job.base) as (_, base):
                return json.dumps(base.stand_ins)

        install, below = self.job.policy.pipeline.install, await self.environment(self.job.base)
        known = await self.base_result(f"stand-ins:{below.key}:{install}", install_base)
        fresh = sorted({*made.stand_ins} - {*json.loads(known)})
        if fresh:
            message = f"It installs a {fresh[0]} of its own, which would stand in for the one that gates use."
            raise Blamed(Problem("install", message, satisfy=f"Give {fresh[0]} another name."), output="")

    async def _install_failed(self, failed: SetupFailed, of: str) -> Exception:
        # Where the base itself is judged, as by `doctor`, there is nothing to compare with.
        if failed.could_not_judge or of != self.job.commit or of == self.job.base:
            return CannotJudge(failed.sentence, output=failed.output)

        async def try_base() -> bool:
            try:
                async with self.workplace(self.job.base, of=self.job.base):
                    return True
            except CannotJudge:
                return False

        if not await self.once("base installs", try_base):
            return CannotJudge(f"{failed.sentence} The base cannot be installed either.", output=failed.output)
        satisfy = "Make the artifact install as the policy's `install` does it."
        return Blamed(Problem("install", failed.sentence, satisfy=satisfy), output=failed.output)

    def _process_limits(self, timeout_s: float, output_bytes_max: int) -> ProcessLimits:
        return ProcessLimits(
            timeout_s=timeout_s,
            output_bytes_max=output_bytes_max,
            processes_max=self.limits.processes,
            memory_bytes_max=self.limits.memory,
            file_bytes_max=FILE_BYTES_MAX,
            disk_bytes_max=self.limits.disk,
        )
