"""What `setup:` makes for the gates: an environment cached by the content of its key files.

It is built at a constant path, because a virtual environment cannot be moved, from the key files alone, and only a
finished one is ever used: a marker beside it is written last. Building is the one place where a project's program gets
the network, the secrets that the policy names, and the person's own settings for package indexes. The artifact
itself is laid over it (`installing.py`), never into it.
"""

import os
import platform
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import anyio
from anyio import to_thread

from ..schemas.pipeline import Limits, Setup
from .isolation.installations import default_reads, network_reads, paths_in
from .isolation.reach import Reach
from .judging.scratch import remove_tree
from .preparation.environment_cache import finish, forget_unused, is_finished, start_anew, touch
from .preparation.layer import find_python
from .preparation.locks import try_lock
from .preparation.progress import progress
from .preparation.server_settings import SECRET_PREFIX, find_secrets, index_settings, server_path, toolchains
from .preparation.setup_secrets import find_leak
from .process import Finished, ProcessLimits, allowed_environment, by_shell, judge_exit, run_process
from .sandbox import choose

LOCK_POLL_S = 0.1
KEY_DIGITS = 24
KEY_FILE_BYTES_MAX = 10_000_000

# `setup` may run gatewright itself, which an editable installation has elsewhere than Python.
PACKAGE = Path(__file__).resolve().parent.parent
# In a sandbox root is alone, and tar would fail to give files to others.
OWNERLESS = {"TAR_OPTIONS": "--no-same-owner"}


@dataclass(frozen=True)
class PreparedEnvironment:
    """Where a project's programs are found. `root` is None without `setup`; `keep` are paths below it.

    `stand_ins` are programs and modules that `install` put in front of others of the same name. `reads` is what its
    programs may read, `hidden` what they may not even where it lies below that.
    """

    key: str
    root: Path | None
    keep: tuple[str, ...]
    path: str
    python: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    stand_ins: tuple[str, ...] = ()
    reads: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()

    def reach(self, *reads: Path, writes: Sequence[Path] = (), temporary: Path, network: bool = False) -> Reach:
        """What one of its programs may touch; `reads` are added to what all of them may read."""
        resolver = network_reads() if network else ()
        return Reach((*self.reads, *reads, *resolver), (*writes,), self.hidden, temporary, network)


@dataclass(frozen=True)
class SetupFailed:
    """Why there is no environment. `could_not_judge`: the program gave no answer, so the artifact is not to blame."""

    sentence: str
    output: str
    could_not_judge: bool


async def prepare_environment(
    setup: Setup | None,
    *,
    files: Mapping[str, bytes],
    cache: Path,
    limits: Limits,
    report: Callable[[str], None],
    hidden: tuple[Path, ...] = (),
    server: Mapping[str, str] = os.environ,
) -> PreparedEnvironment | SetupFailed:
    """Return the environment for these key files (path to content), built first when it is not in `cache`.

    One builder at a time, also among processes; whoever waits is told through `report`. An environment that was not
    finished, by a crash or a cancellation, is removed and built anew. `hidden` are paths that no program may see.
    `server` is the server's own environment.
    """
    path = server_path(server)
    python = await find_python(path, Path(sys.executable))
    if str(python.parent) not in path.split(os.pathsep):
        path = f"{python.parent}{os.pathsep}{path}"
    variables = toolchains(server)
    key = _key_of(setup, files, python)
    reads = default_reads(path, python, server=server, variables=variables, hidden=hidden)
    bare = PreparedEnvironment(key, None, (), path, python, variables, reads=reads, hidden=hidden)
    if setup is None:
        return bare
    secrets = find_secrets(setup.secrets, server)
    if missing := [name for name, value in secrets.items() if value is None]:
        names = f"'{missing[0]}': the server's environment has neither it nor {SECRET_PREFIX}{missing[0]}"
        return SetupFailed(f"`setup` needs the secret {names}.", "", could_not_judge=True)
    known = {name: value for name, value in secrets.items() if value is not None}
    await to_thread.run_sync(lambda: cache.mkdir(mode=0o700, parents=True, exist_ok=True))
    async with _lock(cache / f"{key}.lock", report):
        if not is_finished(cache, key):
            # A Python that uv brings along would otherwise lie in the private home, and go with it.
            own = {"UV_PYTHON_INSTALL_DIR": str(cache / key / ".uv-python")}
            settings = index_settings(server)
            extra = {**variables, **OWNERLESS, **own, **settings, **known}
            reads = (*paths_in(settings.values()), PACKAGE)
            async with progress(report, "setup: building the environment"):
                failed = await _build(setup, files, cache / key, bare, extra=extra, reads=reads, limits=limits)
            failed = failed or await _leaking(cache / key, known)
            if failed is not None:
                return _without_secrets(failed, known)
            await to_thread.run_sync(finish, cache, key)
            await to_thread.run_sync(forget_unused, cache)
        touch(cache, key)
    return _describe(setup, cache / key, bare)


async def _build(
    setup: Setup,
    files: Mapping[str, bytes],
    root: Path,
    bare: PreparedEnvironment,
    *,
    extra: Mapping[str, str],
    reads: Sequence[Path],
    limits: Limits,
) -> SetupFailed | None:
    await to_thread.run_sync(start_anew, root, files)
    private = Path(await to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="home-", dir=root.parent)))
    home, temporary = private / "home", private / "temporary"
    try:
        for folder in (home, temporary):
            folder.mkdir()
        reach = bare.reach(*reads, writes=[root, home], temporary=temporary, network=setup.network)
        finished = await run_process(
            by_shell(setup.run),
            cwd=root,
            environment=allowed_environment(path=bare.path, home=home, tmp=home, extra=extra),
            limits=process_limits(limits, setup.timeout),
            sandbox=(await choose()).enclose(reach),
        )
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(remove_tree, private)
    return judge_run("setup", finished) or _check_made(setup, root, finished)


def judge_run(what: str, finished: Finished) -> SetupFailed | None:
    """Why a run of `setup` or `install`, as `what` says, made nothing; None when it ended well."""
    problem = judge_exit(finished)
    if problem is not None:
        return SetupFailed(f"`{what}` could not be run: {problem}", finished.output, could_not_judge=True)
    if finished.returncode:
        sentence = f"`{what}` ended with exit code {finished.returncode}."
        return SetupFailed(sentence, finished.output, could_not_judge=False)
    return None


def _check_made(setup: Setup, root: Path, finished: Finished) -> SetupFailed | None:
    for pattern in setup.keep:
        if not _kept(root, (pattern,)):
            sentence = f"`setup` ended well but made no '{pattern}', which the pipeline says to keep."
            return SetupFailed(sentence, finished.output, could_not_judge=False)
    if venv_of(root).is_dir() and not (venv_of(root) / "bin" / "python").exists():
        sentence = "`setup` made a .venv without an interpreter, or one whose interpreter lay in the private home."
        return SetupFailed(sentence, finished.output, could_not_judge=False)
    return None


async def _leaking(root: Path, secrets: Mapping[str, str]) -> SetupFailed | None:
    """Why an environment in which a secret lies is none; it is removed."""
    leak = await to_thread.run_sync(find_leak, root, secrets)
    if leak is None:
        return None
    await to_thread.run_sync(remove_tree, root)
    sentence = f"`setup` left the secret '{leak[0]}' in {leak[1]}, where gates would see it."
    return SetupFailed(sentence, "", could_not_judge=True)


def _kept(root: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The kept paths that exist, relative; what points out of the root is none."""
    found = {path.relative_to(root) for pattern in patterns for path in root.glob(pattern)}
    return tuple(sorted(str(path) for path in found if ".." not in path.parts))


def _describe(setup: Setup, root: Path, without: PreparedEnvironment) -> PreparedEnvironment:
    """The environment with what `setup` made, over what the server has without it."""
    venv = venv_of(root)
    folders = [folder for folder in (venv / "bin", root / "node_modules" / ".bin") if folder.is_dir()]
    return replace(
        without,
        keep=_kept(root, setup.keep),
        root=root,
        reads=(*without.reads, root),
        path=os.pathsep.join([*map(str, folders), without.path]),
        python=venv / "bin" / "python" if venv.is_dir() else without.python,
        variables={**without.variables, "VIRTUAL_ENV": str(venv)} if venv.is_dir() else without.variables,
    )


def venv_of(folder: Path) -> Path:
    """Where a folder has its virtual environment, if it has one."""
    return folder / ".venv"


def _key_of(setup: Setup | None, files: Mapping[str, bytes], python: Path) -> str:
    """What an environment depends on. Every part is preceded by its length, so that no two sets of parts look alike."""
    parts = [os.fsencode(python.resolve()), sys.version.encode(), platform.platform().encode()]
    if setup is not None:
        parts += [setup.run.encode(), f"network {setup.network}".encode()]
        parts += [
            *(f"keep {path}".encode() for path in setup.keep),
            *(f"secret {name}".encode() for name in setup.secrets),
        ]
    for path, content in sorted(files.items()):
        parts += [os.fsencode(path), content]
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:KEY_DIGITS]


def _without_secrets(failed: SetupFailed, secrets: Mapping[str, str]) -> SetupFailed:
    sentence, output = failed.sentence, failed.output
    for name, value in secrets.items():
        output = output.replace(value, f"({name})") if value else output
        sentence = sentence.replace(value, f"({name})") if value else sentence
    return replace(failed, sentence=sentence, output=output)


def process_limits(limits: Limits, timeout_s: float) -> ProcessLimits:
    """The policy's limits for one run of `setup` or `install`."""
    return ProcessLimits(
        timeout_s=timeout_s,
        output_bytes_max=limits.output,
        processes_max=limits.processes,
        memory_bytes_max=limits.memory,
        disk_bytes_max=limits.disk,
    )


@asynccontextmanager
async def _lock(file: Path, report: Callable[[str], None]) -> AsyncGenerator[None, None]:
    """Hold the lock between processes; waiting can be cancelled, and ends at the latest with the builder's time-out."""
    descriptor = try_lock(file)
    if descriptor is None:
        report("setup: waiting for another process that builds the same environment")
    while descriptor is None:
        await anyio.sleep(LOCK_POLL_S)
        descriptor = try_lock(file)
    try:
        yield
    finally:
        os.close(descriptor)
