"""What a person does at a prompt: a project of their own, commands typed into one shell, the server ended at last."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEAVES_WITHIN_S = 10.0
END = re.compile(r"=== end, status (\d+) at ([\d.]+)\n")


@dataclass(frozen=True)
class Typed:
    """A command, what it printed, its exit status, and when it had ended, in seconds after the first was typed."""

    command: str
    printed: str
    status: int
    ended_s: float


def make_project(folder: Path, files: Mapping[str, str]) -> None:
    """A repository with one commit of these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def type_into_one_shell(
    commands: Sequence[str], folder: Path, *, environment: Mapping[str, str], timeout_s: float
) -> list[Typed]:
    """Type the commands one after the other; one that fails does not end the rest. Raises when a print is lost."""
    script = "".join(f'{command}\necho "=== end, status $? at $(date +%s.%N)"\n' for command in commands)
    began_s = time.time()
    done = subprocess.run(
        ["/bin/sh"],
        cwd=folder,
        env=environment,
        input=script,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=True,
    )
    *parts, rest = END.split(done.stdout)
    assert not rest, rest
    ends = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return [
        Typed(command, printed, int(status), float(at) - began_s)
        for command, (printed, status, at) in zip(commands, ends, strict=True)
    ]


def stop_server(repository: Path) -> None:
    """End the repository's server, if it has one, and wait until it is gone."""
    file = repository / ".git" / "gatewright" / "server.pid"
    if not file.is_file():
        return
    process_id = int(file.read_text())
    deadline = time.monotonic() + LEAVES_WITHIN_S
    try:
        os.kill(process_id, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.kill(process_id, 0)
            time.sleep(0.02)
    except ProcessLookupError:
        return
