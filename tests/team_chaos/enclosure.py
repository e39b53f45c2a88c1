"""Namespaces that a run has for itself: processes, mounts, networks. When its first process ends, all of it ends."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# Everything of a run lies here, in memory; outside of the enclosure there is nothing of it.
ROOT = Path("/run")
BYTES = 2_000_000_000
ENCLOSED = "GATEWRIGHT_TEST_ENCLOSED"
NEEDED = ("setpriv", "unshare", "nsenter", "ip", "mount")
KINDS = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")


class CannotEnclose(Exception):
    """The system has no namespaces for us; `str()` says which and why."""


def command_in_enclosure(command: Sequence[str]) -> list[str]:
    """What runs a command in namespaces of its own; raises `CannotEnclose`."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        raise CannotEnclose(f"{' and '.join(missing)} is missing: hosts are made by util-linux and iproute2")
    if os.geteuid() != 0:
        # A user's own namespace has one user, and PostgreSQL wants another one than root.
        raise CannotEnclose("hosts are made by root, in namespaces of its own; run this as root")
    # unshare waits for its child and hears no signal but the last one; which it gets when its own parent has ended.
    enter = ["setpriv", "--pdeathsig=KILL", "unshare", *KINDS]
    tried = subprocess.run([*enter, "true"], capture_output=True, text=True, check=False, timeout=30)
    if tried.returncode:
        raise CannotEnclose(f"this system gives no network namespaces: {tried.stderr.strip()}")
    return [*enter, "env", f"{ENCLOSED}=1", *command]


def run_in_enclosure(command: Sequence[str]) -> int:
    """Run it there, and answer with its status; whatever ends this process ends the enclosure."""
    with subprocess.Popen(command_in_enclosure(command)) as process:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda caught, _: sys.exit(128 + caught))
        try:
            return process.wait()
        finally:
            process.kill()


def is_enclosed() -> bool:
    """Whether this process is the first one in an enclosure."""
    return ENCLOSED in os.environ and os.getpid() == 1


def govern(run: Callable[[], int]) -> int:
    """As the first process: prepare the enclosure, run it in a child, and bury who is left; the child's status.

    The system kills everybody in it when this one ends, and ends this one with whoever started it.
    """
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES},mode=755", "tmpfs", str(ROOT)], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    child = os.fork()
    if child == 0:
        sys.exit(run())
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) & 0xFF
