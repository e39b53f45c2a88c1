"""Whether a process still runs. One that has ended but that nobody has asked about yet does not.

A killed server is nobody's child; in a container whose first process reaps no orphans it stays a zombie for ever, and
signal 0 would say that it is there.
"""

import os
from pathlib import Path

ZOMBIE = b"Z"


def is_running(pid: int) -> bool:
    """Whether a process with this id runs; another user's counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != ZOMBIE


def _state(pid: int) -> bytes:
    """The letter that Linux has for a process's state; empty elsewhere, and for one that is just gone."""
    try:
        # The program's name stands before the state and may hold anything, brackets as well.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b""
