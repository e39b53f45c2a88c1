"""The demo's scratch folder: a repository, everything that would else lie in the user's own folders, and its end.

The server, its socket, its cache and every temporary file live below one folder, which is removed with them.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..liveness import is_running
from ..rendezvous import LOCK_FILE, PID_FILE, SOCKET_PATH_BYTES_MAX, STATE_FOLDER
from .demo_agent import GATEWRIGHT, DemoFailed
from .demo_sample import FILES

PREFIX = "gatewright-demo-"
# Below the scratch folder, a socket's path has this many bytes more.
SOCKET_BYTES = 48
PROGRAM_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
POLL_S = 0.02
# A server that the demo could not end, because the demo itself was killed, leaves by itself.
IDLE_S = 30


@dataclass(frozen=True, slots=True)
class Scratch:
    """`root` holds everything; `repository` is the sample project."""

    root: Path

    @property
    def repository(self) -> Path:
        return self.root / "shop"

    @property
    def state(self) -> Path:
        return self.repository / ".git" / STATE_FOLDER

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def log(self) -> Path:
        return self.root / "bridges.log"

    def environment(self) -> dict[str, str]:
        """The user's, with every folder that gatewright writes to below `root`, and git without anybody's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "XDG_CACHE_HOME": str(self.cache),
            "XDG_RUNTIME_DIR": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "GATEWRIGHT_IDLE_S": str(IDLE_S),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "demo",
            "GIT_AUTHOR_EMAIL": "demo@example.invalid",
            "GIT_COMMITTER_NAME": "demo",
            "GIT_COMMITTER_EMAIL": "demo@example.invalid",
        }

    def git(self, *arguments: str) -> str:
        """What git prints in the sample project, without blanks around it."""
        return self.run("git", *arguments).strip()

    def gatewright(self, *arguments: str) -> str:
        """What a command prints, on a pipe."""
        return self.run(*GATEWRIGHT, "--repo", str(self.repository), *arguments)

    def run(self, *command: str) -> str:
        """Run a program to its end; raises `DemoFailed` with what it said when it fails."""
        try:
            done = subprocess.run(
                command,
                cwd=self.repository,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PROGRAM_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise DemoFailed(f"{command[0]} could not be run: {exc}") from exc
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise DemoFailed(f"{' '.join(command[-3:])} ended with {done.returncode}: {said}")
        return done.stdout

    def server_pid(self) -> int:
        """The process that serves the sample project."""
        return int((self.state / PID_FILE).read_text())


@contextmanager
def scratch_folder(*, keep: bool) -> Generator[Scratch]:
    """Make the folder, and afterwards end its server and remove it; with `keep` only the server ends.

    Signals are held back while it cleans up, which is bounded in time.
    """
    scratch = Scratch(Path(tempfile.mkdtemp(prefix=PREFIX, dir=_short_folder())).resolve())
    try:
        for folder in (scratch.repository, scratch.root / "tmp"):
            folder.mkdir()
        yield scratch
    finally:
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        _end_server(scratch)
        if not keep:
            _remove(scratch.root)
        for number, handler in ignored.items():
            signal.signal(number, handler)


def make_project(scratch: Scratch) -> None:
    """Write and commit the sample project, and set it up as a user would."""
    for path, text in FILES.items():
        write(scratch.repository, path, text)
    scratch.git("init", "--quiet", "--initial-branch", "main")
    scratch.git("add", "--all")
    scratch.git("commit", "--quiet", "-m", "A small shop")
    scratch.gatewright("init")


def write(folder: Path, path: str, text: str) -> None:
    """Write a file, with its folder."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def until_gone(pid: int, timeout_s: float) -> bool:
    """Whether the process has ended within the time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not is_running(pid):
            return True
        time.sleep(POLL_S)
    return False


def _short_folder() -> str | None:
    """Where temporary folders go; /tmp when a socket's path below the usual place would be too long."""
    usual = os.path.realpath(tempfile.gettempdir())
    is_short = len(os.fsencode(usual)) + len(PREFIX) + SOCKET_BYTES <= SOCKET_PATH_BYTES_MAX
    return usual if is_short else "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it


def _end_server(scratch: Scratch) -> None:
    """End the repository's server: gently, then firmly."""
    with _no_further_start(scratch.state / LOCK_FILE), suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = scratch.server_pid()
        os.kill(pid, signal.SIGTERM)
        if not until_gone(pid, END_TIMEOUT_S):
            os.kill(pid, signal.SIGKILL)
            until_gone(pid, END_TIMEOUT_S)


@contextmanager
def _no_further_start(lock: Path) -> Generator[None]:
    """Hold the lock that starters of a server hold, so that a start under way is waited for and none comes after it."""
    try:
        file = lock.open("a")
    except OSError:
        yield
        return
    with file:
        deadline = time.monotonic() + END_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(POLL_S)
        yield


def _remove(folder: Path) -> None:
    """Remove it; a program that is just ending may still write, so more than once if need be."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(POLL_S)
