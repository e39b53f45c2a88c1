"""Measure what a program leaves on the disk while it runs. Standard library only: it runs in the supervisor."""

import os
import stat
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress

# One slice of a measurement; its pause makes it a tenth of the time at most, however large the folders are.
SLICE_S = 0.005
PAUSES_PER_SLICE = 9
# Below this everybody on the machine would suffer.
FREE_BYTES_MIN = 100_000_000
BLOCK_BYTES = 512

TOO_MUCH, NEARLY_FULL = "disk", "full"


class DiskUse:
    """Watches the folders `places`: the blocks of everything in them, and of files that have no name any more."""

    def __init__(self, places: Sequence[bytes], bytes_max: int) -> None:
        self._places = places
        self._bytes_max = bytes_max
        self._free = {place: _free_bytes(place) for place in places}
        self._walk: Generator[int, None, None] | None = None
        self._bytes = 0

    @property
    def is_through(self) -> bool:
        """Whether the folders were measured to their end."""
        return self._walk is None

    def measure(self, pids: Iterable[int]) -> tuple[str | None, float]:
        """Go on measuring for a moment: why the program must end, if it must, and the seconds to leave it alone.

        `pids` are its processes, asked for open files without a name when a new measurement begins.
        """
        begun = time.monotonic()
        if min(map(_free_bytes, self._places), default=FREE_BYTES_MIN) < FREE_BYTES_MIN:
            return NEARLY_FULL, 0.0
        if self._walk is None:
            self._walk = self._sizes()
            self._bytes = nameless_bytes(pids)
        for size in self._walk:
            self._bytes += size
            if self._bytes > self._bytes_max:
                return TOO_MUCH, 0.0
            if time.monotonic() - begun > SLICE_S:
                break
        else:
            self._walk = None
        return None, (time.monotonic() - begun) * PAUSES_PER_SLICE

    def _sizes(self) -> Generator[int, None, None]:
        """The blocks of each entry, one after the other; a file with several names counts once a name."""
        for place in self._places:
            waiting = [place]
            while waiting:
                try:
                    with os.scandir(waiting.pop()) as entries:
                        for entry in entries:
                            # Things come and go while they are counted.
                            with suppress(OSError):
                                if entry.is_dir(follow_symlinks=False):
                                    waiting.append(entry.path)
                                yield entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
                except PermissionError:
                    # A program can lock a folder of its own: then what the disk lost since it began is held for it.
                    yield max(0, self._free[place] - _free_bytes(place))
                except OSError:
                    continue


def nameless_bytes(pids: Iterable[int]) -> int:
    """The blocks of files that were removed, or never had a name, and that one of the processes holds open."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
            for descriptor in descriptors:
                with suppress(OSError):
                    status = descriptor.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        found[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(found.values())


def _free_bytes(place: bytes) -> int:
    try:
        status = os.statvfs(place)
    except OSError:
        return FREE_BYTES_MIN
    return status.f_bavail * status.f_frsize
