"""What a program did to the files of a tree, told by their stamps, and what it made, named as git names contents.

No link is followed. The program and all that it started have ended before anything is read.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .objects import EXECUTABLE, FILE, LINK

# A pipe, a socket or a device: nothing that a commit could hold.
SPECIAL = "special"
GIT = ".git"
READ_BYTES = 2**20
DIFF_LINES = 3
DIFF_LINE_CHARS_MAX = 80


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes whenever a file is written, replaced or made executable."""

    inode: int
    mode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file as a commit would hold it: its mode, and the id of its contents."""

    mode: str
    oid: str


class TooMuchMade(Exception):
    """More than is looked at; `str()` is one sentence."""


def survey(tree: Path, *, entries_max: int) -> Mapping[str, Stamp]:
    """Everything in the tree that is no folder, by path; `.git` at its top is left out. Raises `TooMuchMade`."""
    found: dict[str, Stamp] = {}
    waiting, seen = [("", str(tree))], 0
    while waiting:
        prefix, folder = waiting.pop()
        for entry in _scan(folder):
            seen += 1
            if seen > entries_max:
                raise TooMuchMade(f"The tree has more than {entries_max} entries after the run.")
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if path != GIT:
                    waiting.append((f"{path}/", entry.path))
                continue
            at = entry.stat(follow_symlinks=False)
            found[path] = Stamp(at.st_ino, at.st_mode, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
    return found


def written(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> tuple[str, ...]:
    """The paths that are new or other than they were, sorted."""
    return tuple(sorted(path for path, stamp in after.items() if before.get(path) != stamp))


def read_made(
    tree: Path, stamps: Mapping[str, Stamp], paths: Iterable[str], *, oid_digits: int, bytes_max: int
) -> Mapping[str, MadeFile]:
    """The files at `paths` of the tree; all together at most `bytes_max` bytes. Raises `TooMuchMade`."""
    paths = tuple(paths)
    if sum(stamps[path].size for path in paths) > bytes_max:
        raise TooMuchMade(f"It made more than {bytes_max} bytes.")
    digest = hashlib.sha1 if oid_digits == 40 else hashlib.sha256
    return {path: _read(tree / path, stamps[path], digest) for path in paths}


def make_folders(tree: Path, paths: Iterable[str]) -> None:
    """The folders in which the paths would lie; git keeps none that is empty, and programs expect theirs."""
    for folder in sorted({parent for path in paths for parent in Path(path).parents} - {Path()}):
        place = tree / folder
        # The parents were looked at before, and none of them is a link.
        if not place.is_symlink() and not place.exists() and not place.parent.is_symlink():
            place.mkdir()
        elif not place.is_dir() or place.is_symlink():
            return


def read_start(path: Path, bytes_max: int) -> bytes:
    """The first bytes of a regular file."""
    with os.fdopen(_open(path), "rb") as file:
        return file.read(bytes_max)


def first_difference(ours: bytes, theirs: bytes) -> tuple[int | None, str]:
    """The first line that is not the same, and some lines of both from there on."""
    if b"\0" in ours or b"\0" in theirs:
        return None, "; its bytes differ."
    one, other = [data.decode("utf-8", "replace").split("\n") for data in (ours, theirs)]
    alike = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if alike == min(len(one), len(other)) and len(one) == len(other):
        return None, ", further down than is shown."
    lines = [f"- {line[:DIFF_LINE_CHARS_MAX]}" for line in one[alike : alike + DIFF_LINES]]
    lines += [f"+ {line[:DIFF_LINE_CHARS_MAX]}" for line in other[alike : alike + DIFF_LINES]]
    return alike + 1, ":\n" + "\n".join(lines)


# The digests of hashlib, which share no type that can be called.
def _read(path: Path, stamp: Stamp, digest: Callable[[], "hashlib._Hash"]) -> MadeFile:
    if stat.S_ISLNK(stamp.mode):
        target = os.fsencode(path.readlink())
        return MadeFile(LINK, _name_of(digest, len(target), [target]))
    if not stat.S_ISREG(stamp.mode):
        return MadeFile(SPECIAL, "")
    with os.fdopen(_open(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        oid = _name_of(digest, size, iter(lambda: file.read(READ_BYTES), b""))
    return MadeFile(EXECUTABLE if stamp.mode & stat.S_IXUSR else FILE, oid)


def _name_of(digest: Callable[[], "hashlib._Hash"], size: int, pieces: Iterable[bytes]) -> str:
    found = digest()
    found.update(b"blob %d\0" % size)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except PermissionError:
        # Programs may make what they themselves cannot read.
        path.chmod(path.lstat().st_mode | stat.S_IRUSR)
        return os.open(path, flags)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        Path(folder).chmod(stat.S_IRWXU)
        with os.scandir(folder) as entries:
            return list(entries)
