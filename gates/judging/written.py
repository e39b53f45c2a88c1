"""What a program has written into a tree: its files before and after, as git would name them.

git itself is never run in the tree: a program that can write there could plant a configuration that runs something.
Only what git's ignore rules say is asked of it, from our own store.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import new as new_hash
from pathlib import Path

from ..artifact_store.objects import EXECUTABLE, FILE, LINK, TooLarge
from ..artifact_store.trees import is_dot_git
from ..git import Git

PATHS_MAX = 1_000_000
CHUNK_BYTES = 2**20
SHA1_CHARS = 40
IGNORE_TIMEOUT_S = 300.0
# The mode of what is neither a file nor a link: a pipe, a socket, a git folder of its own.
ODD = "odd"


@dataclass(frozen=True, slots=True)
class Written:
    """A file or link as git would record it. `oid` is empty for what is `ODD`, and for a file that was too large."""

    mode: str
    oid: str
    size: int


def list_files(tree: Path, *, paths_max: int = PATHS_MAX) -> dict[str, os.stat_result]:
    """Every path below `tree` that is no folder, links not followed, without the tree's own `.git`.

    A folder that is a git repository of its own is one path, that of its `.git`. Raises `TooLarge` above `paths_max`,
    which counts folders as well.
    """
    return dict(_entries(tree, paths_max))


def read_files(
    tree: Path, files: Mapping[str, os.stat_result], *, oid_chars: int, file_bytes_max: int | None = None
) -> dict[str, Written]:
    """What git would record of each of the files; one of more than `file_bytes_max` bytes is not read."""
    return {path: _written(tree / path, found, oid_chars, file_bytes_max) for path, found in files.items()}


def rewritten(before: Mapping[str, os.stat_result], after: Mapping[str, os.stat_result]) -> tuple[str, ...]:
    """The paths that are new or were written, replaced or made executable in between, sorted; nothing is read."""
    known = {path: _stamp(found) for path, found in before.items()}
    return tuple(sorted(path for path, found in after.items() if known.get(path) != _stamp(found)))


def read_start(path: Path, bytes_max: int) -> bytes:
    """The first bytes of a regular file."""
    with os.fdopen(_open(path), "rb") as file:
        return file.read(bytes_max)


def blob_id(chunks: Iterable[bytes], size: int, *, oid_chars: int) -> str:
    """The id that git gives to contents of this size, in a repository with ids of `oid_chars` characters."""
    digest = new_hash("sha1" if oid_chars == SHA1_CHARS else "sha256", usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def ignored(git: Git, tree: Path, files: Mapping[str, os.stat_result], paths: Iterable[str]) -> frozenset[str]:
    """Those of the paths that the `.gitignore` files among `files` name; none when one of them is no file."""
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    # git would wait for what a pipe has to say.
    is_odd = any(
        path.rpartition("/")[2] == ".gitignore" and not stat.S_ISREG(found.st_mode) for path, found in files.items()
    )
    if not asked or is_odd:
        return frozenset()
    arguments = ("check-ignore", "--no-index", "-z", "--stdin")
    there = Git(git.git_dir, work_tree=tree, config={**git.config, "core.bare": "false"})
    _, told = there.run_status(*arguments, stdin=asked, expected=(0, 1), timeout_s=IGNORE_TIMEOUT_S)
    return frozenset(os.fsdecode(path) for path in told.split(b"\0") if path)


def _entries(tree: Path, paths_max: int) -> Iterator[tuple[str, os.stat_result]]:
    waiting, seen = [""], 0
    while waiting:
        folder = waiting.pop()
        entries = _scan(tree / folder)
        seen += len(entries)
        if seen > paths_max:
            raise TooLarge(f"There are more than {paths_max} files and folders in the tree.")
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_dot_git(entry.name):
                if folder:
                    yield path, entry.stat(follow_symlinks=False)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                yield path, entry.stat(follow_symlinks=False)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        # Made so by the program, which has ended.
        folder.chmod(stat.S_IRWXU)
        with os.scandir(folder) as entries:
            return list(entries)


def _written(place: Path, found: os.stat_result, oid_chars: int, file_bytes_max: int | None) -> Written:
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(place.readlink())
        return Written(LINK, blob_id((target,), len(target), oid_chars=oid_chars), len(target))
    if not stat.S_ISREG(found.st_mode) or is_dot_git(place.name):
        return Written(ODD, "", 0)
    mode = EXECUTABLE if found.st_mode & stat.S_IXUSR else FILE
    if file_bytes_max is not None and found.st_size > file_bytes_max:
        return Written(mode, "", found.st_size)
    return Written(mode, blob_id(_chunks(place), found.st_size, oid_chars=oid_chars), found.st_size)


def _chunks(place: Path) -> Iterator[bytes]:
    with os.fdopen(_open(place), "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _open(place: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(place, flags)
    except PermissionError:
        # Programs may make what they themselves cannot read.
        place.chmod(place.lstat().st_mode | stat.S_IRUSR)
        return os.open(place, flags)


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
