"""The command that users get: the `gatewright` that is installed beside this Python, in a repository of its own."""

import os
import signal
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gatewright.server.liveness import is_running
from gatewright.server.process import IDLE_VARIABLE
from gatewright.server.rendezvous import PID_FILE

from ..acceptance.house import Repository

# Of this run's environment, all that the command gets.
KEPT = ("HOME", "LANG", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
IDLE_S = 60
LEAVE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Command:
    """How it is started to serve a client on its standard input and output."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@contextmanager
def installed(folder: Path) -> Generator[Command]:
    """In a fresh repository below `folder`; the server that it starts is ended with the block."""
    repository = Repository(folder)
    environment = {name: value for name, value in os.environ.items() if name in KEPT}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment[IDLE_VARIABLE] = str(IDLE_S)
    try:
        yield Command(("gatewright",), repository.path, environment)
    finally:
        _end_server(repository)


def _end_server(repository: Repository) -> None:
    """One that does not leave when it is told to is not ours to wait for: it leaves when idle."""
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int((repository.state / PID_FILE).read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_WITHIN_S
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
