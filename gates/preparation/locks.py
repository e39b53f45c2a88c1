"""Advisory file locks between processes and threads; a lock ends with the process that holds it, however that ends."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.01


class LockTimeout(OSError):
    """Somebody else held the lock for the whole time that the caller was ready to wait."""


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Generator[None]:
    """Hold the lock file `path` (made when missing, never removed); raise `LockTimeout` after `timeout_s`."""
    give_up_at = time.monotonic() + timeout_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > give_up_at:
            raise LockTimeout(f"{path.name} was locked for {timeout_s:.0f} s")
        time.sleep(POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Return a file descriptor that holds the lock until it is closed, or None when somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
