"""Folders for the time of one judgement, removed at its end or by whoever judges next."""

import os
import shutil
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from ..preparation.locks import try_lock

LOCK = ".lock"


@contextmanager
def scratch_folder(root: Path, name: str) -> Generator[Path]:
    """A new folder below `root`, which holds nothing else; those of processes that were killed are removed."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in root.glob(f"*{LOCK}"):
        _remove_unowned(left)
    unique = f"{name}-{token_hex(4)}"
    folder, lock = root / unique, root / f"{unique}{LOCK}"
    descriptor = try_lock(lock)
    assert descriptor is not None, "nobody else knows this name"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        remove_tree(folder)
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder that a program may have made unwritable; what still resists is left to the next sweep."""

    def open_up(_: Callable[[str], object], path: str, __: object) -> None:
        with suppress(OSError):
            Path(path).parent.chmod(stat.S_IRWXU)
            if not Path(path).is_symlink():
                Path(path).chmod(stat.S_IRWXU)

    shutil.rmtree(folder, onerror=open_up)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_unowned(lock: Path) -> None:
    descriptor = try_lock(lock)
    if descriptor is not None:
        remove_tree(lock.with_name(lock.name.removesuffix(LOCK)))
        lock.unlink(missing_ok=True)
        os.close(descriptor)
