"""Files in LFS: what a pointer says, and their content out of the user's own folder, verified and kept by us.

Nothing is fetched from a network, and git-lfs itself is not needed. What a pointer names is believed only when size and
digest agree. Source: docs/real-repositories.md
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..artifact_store.objects import TooLarge
from ..git import Git, GitFailed

# git-lfs never takes a longer file for a pointer.
POINTER_BYTES_MAX = 1_023
CHUNK_BYTES = 2**20
# What nobody used for longest goes first, once the cache holds more than this.
CACHE_BYTES_MAX = 20 * 10**9

_VERSION = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\r?\n")
_POINTER = re.compile(_VERSION.pattern + rb"oid sha256:([0-9a-f]{64})\r?\nsize (0|[1-9][0-9]{0,14})\s*")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a file in LFS has in git's place: the digest of its content, and how many bytes that has."""

    sha256: str
    size: int


class Unreadable(ValueError):
    """Text that begins as a pointer and is none that names content by its digest alone."""


class ContentMissing(Exception):
    """The content is not on this machine, or not as the pointer says; `str()` says which, as the end of a sentence."""


def parse_pointer(text: bytes) -> Pointer | None:
    """The pointer; None for any other content, which git-lfs hands out as it is. Raises `Unreadable`."""
    if len(text) > POINTER_BYTES_MAX or not _VERSION.match(text):
        return None
    found = _POINTER.fullmatch(text)
    if found is None:
        raise Unreadable("begins as an LFS pointer and cannot be read as one")
    return Pointer(found[1].decode("ascii"), int(found[2]))


class LfsCache:
    """Verified content below `folder`, taken from where the repository of the git folder `shared` keeps its own.

    For any number of processes: content is put in place as a whole, under its digest.
    """

    def __init__(self, folder: Path, shared: Path, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._folder = folder
        self._shared = shared
        self._bytes_max = bytes_max

    def get(self, pointer: Pointer) -> Path:
        """A file with the content, which may be read at once and not kept. Raises `ContentMissing`."""
        place = self._place(pointer)
        with suppress(OSError):
            if place.stat().st_size == pointer.size:
                os.utime(place)
                return place
        sources = [folder / self._name(pointer) for folder in self._user_folders()]
        for source in sources:
            if source.is_file():
                self._take_over(source, place, pointer)
                return place
        raise ContentMissing("is in LFS and its content is not on this machine")

    def read(self, pointer: Pointer, bytes_max: int) -> bytes:
        """The content as bytes. Raises `TooLarge`, and `ContentMissing`."""
        if pointer.size > bytes_max:
            raise TooLarge(f"A file in LFS has {pointer.size} bytes; {bytes_max} are allowed.")
        content = b"".join(_chunks(self.get(pointer), pointer.size))
        self._check(pointer, sha256(content).hexdigest())
        return content

    def write(self, pointer: Pointer, to: Path) -> None:
        """Write the content over the existing file `to`.

        Raises `ContentMissing`, with `to` half written, when what is in the cache is not what the pointer says.
        """
        descriptor = os.open(to, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as target:
            digest = sha256()
            for chunk in _chunks(self.get(pointer), pointer.size):
                digest.update(chunk)
                target.write(chunk)
        self._check(pointer, digest.hexdigest())

    def _check(self, pointer: Pointer, digest: str) -> None:
        if digest != pointer.sha256:
            self._place(pointer).unlink(missing_ok=True)
            raise ContentMissing("had other content in our cache than its digest says")

    def _take_over(self, source: Path, place: Path, pointer: Pointer) -> None:
        if source.stat().st_size != pointer.size:
            raise ContentMissing(f"has {source.stat().st_size} bytes on this machine where its pointer says otherwise")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".taking-")
        fresh, digest = Path(name), sha256()
        try:
            with os.fdopen(descriptor, "wb") as target:
                for chunk in _chunks(source, pointer.size):
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != pointer.sha256:
                raise ContentMissing("has other content on this machine than its pointer says")
            fresh.replace(place)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        self._forget_unused()

    def _forget_unused(self) -> None:
        states = [(path, path.stat()) for path in self._folder.glob("??/??/*") if path.is_file()]
        total = sum(state.st_size for _, state in states)
        # Never the newest, which was asked for just now.
        for path, state in sorted(states, key=lambda item: item[1].st_mtime)[:-1]:
            if total <= self._bytes_max:
                return
            path.unlink(missing_ok=True)
            total -= state.st_size

    def _user_folders(self) -> list[Path]:
        """Where git-lfs keeps content: its own folder, and another one if the repository's settings name it."""
        folders = [self._shared / "lfs" / "objects"]
        with suppress(GitFailed):
            named = Git(self._shared).run("config", "--get", "lfs.storage", expected=(0, 1))
            storage = os.fsdecode(named).rstrip("\n")
            folders += [self._shared / storage / "objects"] if storage else []
        return folders

    def _place(self, pointer: Pointer) -> Path:
        return self._folder / self._name(pointer)

    @staticmethod
    def _name(pointer: Pointer) -> Path:
        return Path(pointer.sha256[:2], pointer.sha256[2:4], pointer.sha256)


def _chunks(file: Path, bytes_max: int) -> Iterator[bytes]:
    """The file's content up to one chunk beyond `bytes_max`."""
    read = 0
    with file.open("rb") as stream:
        while read <= bytes_max and (chunk := stream.read(CHUNK_BYTES)):
            read += len(chunk)
            yield chunk
