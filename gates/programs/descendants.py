"""The processes below this one: adopt, list, measure, kill, reap. Standard library only; Linux, with less elsewhere."""

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress

KILL_TIME_S = 10.0
KILL_PAUSE_S = 0.002

_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
C_LIBRARY: ctypes.CDLL | None = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def can_adopt() -> bool:
    """Tell whether orphans can be adopted and listed here; if not, only a process group can be killed."""
    return C_LIBRARY is not None and os.access(f"/proc/self/task/{os.getpid()}/children", os.R_OK)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan among its descendants."""
    if C_LIBRARY is not None and can_adopt():
        C_LIBRARY.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """List the children of all threads of `pid`, zombies included; none when it is gone."""
    children: list[int] = []
    with suppress(OSError), os.scandir(f"/proc/{pid}/task") as threads:
        for thread in threads:
            children += map(int, _read(f"{thread.path}/children").split())
    return children


def descendants_of(pid: int) -> list[int]:
    found = children_of(pid)
    for child in found:  # grows while it is walked
        found += children_of(child)
    return found


def kill_trees(pids: Iterable[int]) -> None:
    """Send SIGKILL to each process and everything below it; who escapes now is adopted and found by the next call."""
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        waiting += children_of(pid)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_descendants(group: int, wakeups: int) -> tuple[dict[int, int], int]:
    """Kill until no child of this process is left; the wait statuses seen, and how many could not be killed in time.

    `wakeups` becomes readable when a child has ended.
    """
    if not can_adopt():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    statuses: dict[int, int] = {}
    until = time.monotonic() + KILL_TIME_S
    while True:
        ended, has_children = reap()
        statuses |= ended
        # No child at all is the proof: whoever lived below would be a child by now, or a child's descendant.
        if not has_children:
            return statuses, 0
        alive = children_of(os.getpid())
        if time.monotonic() > until:
            return statuses, max(1, len(alive))
        kill_trees(alive)
        select.select([wakeups], [], [], KILL_PAUSE_S)
        drain(wakeups)


def drain(descriptor: int) -> None:
    """Read a non-blocking descriptor empty."""
    with suppress(BlockingIOError):
        while os.read(descriptor, 1 << 12):
            pass


def reap() -> tuple[dict[int, int], bool]:
    """Collect the wait status of every child that ended, and tell whether others are left."""
    statuses: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return statuses, False
        if pid == 0:
            return statuses, True
        statuses[pid] = status


def memory_exceeds(pids: list[int], bytes_max: int) -> bool:
    """Tell whether the processes together hold more memory than that.

    Resident sizes count shared pages once per process: quick, and too high. Only above the limit exact shares are read.
    """
    return sum(map(_resident_bytes, pids)) > bytes_max and sum(map(_proportional_bytes, pids)) > bytes_max


def tasks_of_user(user: int) -> int:
    """Count the threads of all processes of this user."""
    count = 0
    with os.scandir("/proc") if can_adopt() else nullcontext(()) as entries:
        for entry in entries:
            # A process may end between being listed and being looked at.
            with suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid == user:
                    # Two of a folder's links are not its subfolders.
                    count += os.stat(f"{entry.path}/task").st_nlink - 2
    return count


def _resident_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0


def _proportional_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _resident_bytes(pid)


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
