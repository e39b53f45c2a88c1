"""Tell whether what a person had not committed is still as it was, without storing a byte of it.

Of each file the size, the time and, where it is small, a digest are kept: what a person has lying about may be secret
or huge, and belongs into no object store.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DIGEST_FILE_BYTES_MAX = 2**20
# Of all files of one checkout together; beyond it a file that was only saved again counts as touched.
DIGEST_BYTES_MAX = 64 * 2**20


class Kind(StrEnum):
    ABSENT = "absent"
    FILE = "file"
    LINK = "link"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Seen:
    """One path as it was: permissions, size in bytes, time in nanoseconds; of a link the digest is of its target."""

    kind: Kind
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    digest: str | None = None


def look_at(root: Path, names: Iterable[str]) -> dict[str, Seen]:
    """What lies at each of the paths below `root` now; never raises for one that cannot be read."""
    seen, left = {}, DIGEST_BYTES_MAX
    for name in names:
        found = _look(root / name)
        if found.kind is Kind.LINK or (found.kind is Kind.FILE and found.size <= min(left, DIGEST_FILE_BYTES_MAX)):
            left -= found.size
            found = _with_digest(root / name, found)
        seen[name] = found
    return seen


def is_untouched(root: Path, name: str, seen: Seen) -> bool:
    """Whether the path still is as it was seen; a file that was written again with the same bytes is."""
    now = _look(root / name)
    if (now.kind, now.mode, now.size) != (seen.kind, seen.mode, seen.size):
        return False
    if now.kind in {Kind.ABSENT, Kind.FOLDER, Kind.OTHER}:
        return True
    if now.kind is Kind.FILE and now.mtime_ns == seen.mtime_ns:
        return True
    return seen.digest is not None and _with_digest(root / name, now).digest == seen.digest


def still_untouched(root: Path, seen: Mapping[str, Seen]) -> frozenset[str]:
    """Those of the paths that are as they were seen."""
    return frozenset(name for name, was in seen.items() if is_untouched(root, name, was))


def _look(place: Path) -> Seen:
    try:
        found = place.lstat()
    except OSError:
        return Seen(Kind.ABSENT)
    if stat.S_ISDIR(found.st_mode):
        return Seen(Kind.FOLDER)
    if stat.S_ISLNK(found.st_mode):
        return Seen(Kind.LINK, size=found.st_size)
    if not stat.S_ISREG(found.st_mode):
        return Seen(Kind.OTHER)
    return Seen(Kind.FILE, found.st_mode & 0o777, found.st_size, found.st_mtime_ns)


def _with_digest(place: Path, seen: Seen) -> Seen:
    try:
        data = os.fsencode(place.readlink()) if seen.kind is Kind.LINK else place.read_bytes()
    except OSError:
        return seen
    return Seen(seen.kind, seen.mode, seen.size, seen.mtime_ns, hashlib.sha256(data).hexdigest())
