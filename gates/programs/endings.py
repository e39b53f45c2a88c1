"""What is told about a program that could not start or was ended: one sentence each."""

import errno
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..text import number_of
from .disk import NEARLY_FULL, TOO_MUCH
from .request import Ending

DISK_FREE_BYTES_MIN = 1 << 20
SANDBOX_SAYS = "bwrap: "

# The steps at which a supervisor can fail before the program runs.
_NOT_STARTED = frozenset({"limits", "folder", "program", "sandbox", "fence"})


def has_started(ending: Ending) -> bool:
    return ending.reason not in _NOT_STARTED


def explain_start(ending: Ending, program: Path, cwd: Path, *, output: str, is_confined: bool) -> str:
    """Say why the program never ran; `output` is what a sandbox said about it."""
    if ending.reason == "sandbox" and "execvp" not in output:
        said = next((line for line in output.splitlines() if line.startswith(SANDBOX_SAYS)), "it did not say why")
        return f"The sandbox could not be set up: {said.removeprefix(SANDBOX_SAYS)}."
    if ending.reason == "fence":
        return f"The sandbox could not be set up: {os.strerror(ending.number)}."
    if is_confined and ending.reason in ("sandbox", "program") and os.access(program, os.X_OK):
        return (
            f"The program '{program}', or the interpreter that it names, lies outside of what gates may reach. "
            "Put its folder on the server's PATH or into GATEWRIGHT_READABLE."
        )
    reason = os.strerror(ending.number)
    if ending.reason == "folder":
        return f"The folder '{cwd}' cannot be entered: {reason}."
    if ending.reason == "limits":
        return f"The limits for '{program}' could not be set: {reason}."
    if ending.number == errno.ENOENT and program.exists():
        return f"The interpreter that '{program}' names in its first line is missing."
    if ending.number == errno.ENOENT:
        return f"The program '{program}' does not exist."
    if ending.number == errno.EACCES:
        return f"The program '{program}' is not executable."
    return f"The program '{program}' could not be executed: {reason}."


def explain_end(
    ending: Ending | None, *, memory_bytes_max: int | None, processes_max: int | None, disk_bytes_max: int | None
) -> str | None:
    """Say why the program was ended, other than by time, or what it left; without `ending` its supervisor was lost."""
    if ending is None:
        return "What watched over the program was killed or did not answer."
    if ending.reason == "memory":
        return f"The program used more than {(memory_bytes_max or 0) / 1e6:.0f} MB of memory."
    if ending.reason == "processes":
        return f"The program ran more than {processes_max} processes at once."
    if ending.reason == TOO_MUCH:
        return f"The program used more than {(disk_bytes_max or 0) / 1e6:.0f} MB of disk."
    if ending.reason == NEARLY_FULL:
        return "The program was ended because the disk that it writes to is nearly full."
    if ending.survivors:
        return f"The program left {number_of(ending.survivors, 'processes')} behind that could not be ended."
    return None


def explain_disk(places: Sequence[Path]) -> str | None:
    """Name the first place whose disk is full now: a program that failed on it has not judged anything."""
    for place in places:
        with suppress(OSError):
            free = os.statvfs(place)
            if free.f_bavail * free.f_frsize < DISK_FREE_BYTES_MIN:
                return f"The disk of '{place}' is full."
    return None


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
