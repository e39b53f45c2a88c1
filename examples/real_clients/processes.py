"""Run other programs: a scrubbed environment, bounded time, and no process of ours left behind."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

OUTPUT_BYTES_MAX = 200_000
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Finished:
    """A program that has ended; `returncode` is None when it was stopped because its time was up."""

    returncode: int | None
    output: str


@dataclass(frozen=True)
class Scratch:
    """A folder of its own: the clients' homes, temporary files, and the repository that they work in."""

    root: Path

    def home(self, name: str) -> Path:
        return self.root / "homes" / name

    @property
    def repository(self) -> Path:
        return self.root / "tally"

    @property
    def tools(self) -> Path:
        """An installation of ours: what lies beside its `bin`, which is on every PATH, is readable for `setup`."""
        return self.root / "tools"

    def environment(self, path: str, extra: Mapping[str, str]) -> dict[str, str]:
        """Built from nothing, so that no key, proxy or setting of the machine's user reaches a client."""
        # TMPDIR keeps sockets, locks and the clients' own droppings inside the folder that is removed.
        own = {"HOME": str(self.home("nobody")), "TMPDIR": str(self.root / "tmp")}
        return {"PATH": path, "TERM": "dumb", "LANG": "C.UTF-8", **own, **extra}


@contextmanager
def scratch_folder() -> Generator[Scratch]:
    """Make the folder, and take it and every process that works in it away again."""
    # Short, because the paths of unix sockets end at about a hundred bytes.
    scratch = Scratch(Path(tempfile.mkdtemp(prefix="gw-")).resolve())
    try:
        for folder in (scratch.home("nobody"), scratch.repository, scratch.tools / "bin", scratch.root / "tmp"):
            folder.mkdir(parents=True)
        yield scratch
    finally:
        stop_processes(scratch.root)
        shutil.rmtree(scratch.root, ignore_errors=True)


def run(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float) -> Finished:
    """Run a program in a process group of its own, output and errors together; one that cannot start ends with 127."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as problem:
            return Finished(127, str(problem))
        try:
            returncode: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            returncode = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read(OUTPUT_BYTES_MAX).decode(errors="replace")
        return Finished(returncode, text if returncode is not None else f"{text}\n(stopped after {timeout_s:g} s)")


def processes_in(folder: Path) -> list[int]:
    """The processes that name the folder on their command line or work in it (seen through /proc only)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            at_work = (entry / "cwd").readlink().is_relative_to(folder)
            if at_work or os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def stop_processes(folder: Path) -> None:
    """End what still works in the folder, which is the repository's gatewright server: gently, then firmly."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for request in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_in(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, request)
        while processes_in(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
