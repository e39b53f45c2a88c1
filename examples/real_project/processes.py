"""Run commands, and leave no process behind."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

OUTPUT_CHARS_MAX = 4_000
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05


class CommandFailed(Exception):
    """A command that everything else stands on ended badly; says which, and what it printed."""


def clean_environment() -> dict[str, str]:
    """The caller's environment without what leaks out of git hooks, and without gatewright's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GATEWRIGHT_"))}


def run_command(
    argv: Sequence[str], *, cwd: Path, timeout_s: float, environment: Mapping[str, str] | None = None
) -> str:
    """What the command printed. Raises `CommandFailed` when it ends with anything but 0, or not in time."""
    status, output = try_command(argv, cwd=cwd, timeout_s=timeout_s, environment=environment)
    if status != 0:
        how = f"did not end within {timeout_s:g} s" if status is None else f"ended with {status}"
        raise CommandFailed(f"{' '.join(argv)} {how}:\n{output[-OUTPUT_CHARS_MAX:].strip()}")
    return output


def try_command(
    argv: Sequence[str], *, cwd: Path, timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[int | None, str]:
    """Its exit status, None when it was stopped after `timeout_s`, and what it printed, errors included."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment if environment is not None else clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as stopped:
        return None, (stopped.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace")


def stop_server(repository: Path) -> bool:
    """End the repository's gatewright server, gently; False when it is still there after `STOP_TIMEOUT_S`."""
    try:
        pid = int((repository / ".git/gatewright/server.pid").read_text())
    except (OSError, ValueError):
        return True
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if not _is_running(pid):
            return True
        time.sleep(POLL_S)
    return False


def processes_in(folder: Path) -> list[int]:
    """The processes that name the folder on their command line or work in it (none where there is no /proc)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            at_work = (entry / "cwd").readlink().is_relative_to(folder)
            if at_work or os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody waits for is a zombie until somebody does: it runs no more.
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True
