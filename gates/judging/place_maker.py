"""Where programs run: checkouts of commits, and environments that `setup` and `install` of the policy make.

What cannot be made is told as nobody's fault, or as the artifact's when the base can be.
"""

import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import anyio
from anyio import CapacityLimiter, Lock, to_thread

from ..checkout import CheckoutPool, leave_out
from ..contract import CannotJudge, Job, Message
from ..environment import KEY_FILE_BYTES_MAX, PreparedEnvironment, SetupFailed, prepare_environment
from ..findings import Blamed, Problem
from ..isolation.installations import hidden_places
from ..preparation.installing import layer_install
from ..sandbox import Choice, choose
from .commit_reader import CommitReader
from .scratch import remove_tree

BYTECODE = (".pyc", ".pyo")
# Here a program that may only read a tree changes nothing there; landlock keeps nobody from changing modes and times.
READ_ONLY_LEVEL = "full"
CLEAN_UP_TIMEOUT_S = 30.0


@dataclass(slots=True)
class _Held:
    opened: AbstractContextManager[Path]
    path: Path
    readers: int = 0


class PlaceMaker(CommitReader):
    """Makes places below `scratch`, a private folder that the caller removes."""

    def __init__(self, job: Job, emit: Callable[[Message], None], scratch: Path) -> None:
        super().__init__(job, emit)
        self._pool = CheckoutPool(job.cache / "checkouts", self.store, filler=self._filler)
        self._scratch = scratch
        self._numbers = count(1)
        self._slots = CapacityLimiter(max(1, job.slots))
        self._held: dict[str, _Held] = {}
        self._writable: set[Path] = set()

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
                opened = self._pool.pristine(commit, filling)
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
            tree = await to_thread.run_sync(self._pool.private, commit, folder / "tree", filling)
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
        is_kept = (await self._require_isolation()).level == READ_ONLY_LEVEL
        has_bytecode = any(path.endswith(BYTECODE) for path in await self.entries(commit))
        place = self.pristine if is_kept and not has_bytecode else self.private
        await self._require_filled(commit)
        async with place(commit) as tree:
            await self._leave_out_bytecode(commit, tree)
            yield tree, prepared

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
