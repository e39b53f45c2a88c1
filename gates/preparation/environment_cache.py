"""The folders of built environments: made anew, marked as finished, and forgotten when unused. Synchronous.

An environment is used only when its marker exists. The marker lies beside the folder, where no set-up program writes by
accident, and its age is the time since the environment was last used.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..files import sync_folder
from ..judging.scratch import remove_tree
from .locks import try_lock

ENVIRONMENTS_MAX = 8
# Longer than any evaluation lasts, so that none in use is removed.
UNUSED_S_MIN = 86_400.0

_MARKER = ".finished"


def is_finished(cache: Path, key: str) -> bool:
    return (cache / f"{key}{_MARKER}").exists() and (cache / key).is_dir()


def start_anew(root: Path, files: Mapping[str, bytes]) -> None:
    """Make `root` a folder that holds the key files and nothing else."""
    (root.parent / f"{root.name}{_MARKER}").unlink(missing_ok=True)
    if root.exists():
        remove_tree(root)
    root.mkdir(mode=0o700)
    for path, content in files.items():
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"a key file outside the repository: {path}")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def finish(cache: Path, key: str) -> None:
    """Mark as finished, durably, and only after what it marks."""
    os.sync()
    marker = cache / f"{key}{_MARKER}"
    marker.touch(mode=0o600)
    sync_folder(cache)


def touch(cache: Path, key: str) -> None:
    (cache / f"{key}{_MARKER}").touch()


def forget_unused(cache: Path) -> None:
    """Remove the environments beyond the newest `ENVIRONMENTS_MAX` that nobody used for `UNUSED_S_MIN` seconds.

    The newest marker says what time it is: an environment was finished or used just now.
    """
    markers = sorted(cache.glob(f"*{_MARKER}"), key=_used_at, reverse=True)
    for marker in markers[ENVIRONMENTS_MAX:]:
        key = marker.name.removesuffix(_MARKER)
        descriptor = try_lock(cache / f"{key}.lock")
        if descriptor is None:
            continue
        try:
            if _used_at(markers[0]) - _used_at(marker) > UNUSED_S_MIN:
                # The marker first: an environment that is half gone must not be found.
                marker.unlink()
                remove_tree(cache / key)
        finally:
            os.close(descriptor)


def _used_at(marker: Path) -> float:
    return marker.stat().st_mtime
