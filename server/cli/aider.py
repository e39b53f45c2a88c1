"""aider as a program: its command line, and one bounded run of it.

aider speaks no MCP. It takes a brief from a file, runs a test command after each of its edits, shows the output of one
that failed to its model, three times in a run, and ends with 0 whatever happened.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .command import CannotGoOn

# What it leaves in the root of a checkout: caches and histories.
TRACES = "/.aider*"
# The first edit and three answers to what its test command said.
HAND_INS_MAX = 4
FILES_MAX = 20
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class AiderRun:
    """`message` is the file with the brief, `hand_in` the command after each edit, `extra` a person's own arguments."""

    program: str
    workspace: Path
    message: Path
    hand_in: Sequence[str]
    files: Sequence[str]
    extra: Sequence[str]

    def command(self) -> list[str]:
        """Nobody is asked, git is left to the server, and no trace of it gets into what is handed in."""
        scratch = self.message.parent
        return [
            self.program,
            *("--message-file", str(self.message)),
            *("--auto-test", "--test-cmd", shlex.join(self.hand_in)),
            "--yes-always",
            # The server commits what is handed in; a commit of aider's would stand in the history of what lands.
            *("--no-auto-commits", "--no-dirty-commits"),
            # It would write to .gitignore, which the stage may not be allowed to.
            "--no-gitignore",
            # Its own linter would use up the answers that the gates need.
            "--no-auto-lint",
            "--no-check-update",
            *("--chat-history-file", str(scratch / "chat.md")),
            *("--input-history-file", str(scratch / "input")),
            *self.extra,
            *self.files,
        ]


def run_aider(
    run: AiderRun, environment: Mapping[str, str], *, timeout_s: float, beat_s: float, on_beat: Callable[[], None]
) -> bool:
    """Run it in the workspace until it ends; False when it had to be ended after `timeout_s`.

    `on_beat` is called every `beat_s` meanwhile. What it prints goes to standard error. It is ended with its children
    when we are. Raises `CannotGoOn` when it cannot be started.
    """
    try:
        process = subprocess.Popen(
            run.command(),
            cwd=run.workspace,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            stderr=sys.stderr.fileno(),
            start_new_session=True,
        )
    except OSError as exc:
        raise CannotGoOn(f"{run.program} does not start: {exc.strerror}.", "Name another one with --aider.") from exc
    deadline_s = time.monotonic() + timeout_s
    try:
        while (left_s := deadline_s - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(left_s, beat_s))
                return True
            on_beat()
    finally:
        _end(process)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs of it: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            return
