"""Small files that other processes read and write at the same moment: one writer at a time, never a half to be read."""

import fcntl
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LOCK_WAIT_S = 300.0
LOCK_POLL_S = 0.01


@contextmanager
def locked(file: Path) -> Generator[int, None, None]:
    """Hold `file` (made when missing, or a folder) against every other process and thread that asks for it this way.

    Yields the descriptor; whoever inherits it holds the lock as well, until it ends. Raises `TimeoutError` when others
    have held it for `LOCK_WAIT_S`.
    """
    descriptor = os.open(file, os.O_RDONLY if file.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait_for(descriptor, file)
        yield descriptor
    finally:
        os.close(descriptor)


def replace_text(file: Path, text: str, *, mode: int) -> None:
    """Write `file` as a whole under a temporary name, sync it and move it into place."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable: syncing a file does not sync its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, file: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Other processes have held {file} for {LOCK_WAIT_S:.0f} seconds.") from None
            time.sleep(LOCK_POLL_S)
        else:
            return
