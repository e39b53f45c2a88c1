"""Level `full` on Linux: bubblewrap. Files, processes, network and memory of others are out of sight.

A program sees a file system of its own with the same paths as outside, mounted read-only but for what it may write. Its
`/tmp`, `/var/tmp` and `/dev/shm` are folders of the run's own, so that what it leaves there is counted and removed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .reach import Access, Confined, Reach, is_inside
from .request import STATUS_DESCRIPTOR

LEVEL = "full"

_ISOLATED = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
_STATUS = ("--json-status-fd", str(STATUS_DESCRIPTOR))
_DEVICES = ("--proc", "/proc", "--dev", "/dev")


@dataclass(frozen=True)
class Bubblewrap:
    """`program` is where `bwrap` lies."""

    program: Path
    reach: Reach
    level: str = LEVEL

    def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
        """Raises OSError when the private `/tmp` cannot be made."""
        network = ("--share-net",) if self.reach.network else ()
        places = [argument for step in _steps(self.reach) for argument in step]
        options = (*_ISOLATED, *network, *_STATUS, *_DEVICES, *places, "--chdir", str(cwd))
        # bubblewrap itself starts where it sees everything, and holds no folder of the outside open.
        return Confined([str(self.program), *options, "--", *argv], Path("/"), tells_status=True)


def _steps(reach: Reach) -> Iterator[tuple[str, ...]]:
    """Mounts, those around before those within, and at the end whatever would let files be written to memory."""
    temporary, shared_memory = reach.temporary / "tmp", reach.temporary / "shm"
    for folder in (temporary, shared_memory):
        folder.mkdir(mode=0o700, exist_ok=True)
    yield "--bind", str(temporary), "/tmp"  # noqa: S108 - the program's own
    if any(is_inside(path, (Path("/var/tmp"),)) for path, _ in reach.layers):  # noqa: S108
        # What lies there could not be mounted behind a link.
        yield "--bind", str(temporary), "/var/tmp"  # noqa: S108
    else:
        yield "--symlink", "/tmp", "/var/tmp"  # noqa: S108
    yield "--bind", str(shared_memory), "/dev/shm"  # noqa: S108
    closed = ["/dev", "/"]
    readable = reach.readable
    for path, access in reach.layers:
        if access is Access.WRITE:
            yield "--bind", str(path), str(path)
        elif access is Access.READ:
            yield _readable_step(path, readable)
        elif path.is_dir() and not path.is_symlink():
            yield "--tmpfs", str(path)
            closed.insert(0, str(path))
        elif path.is_file():
            yield "--ro-bind", os.devnull, str(path)
    yield from (("--remount-ro", folder) for folder in closed)


def _readable_step(path: Path, readable: Sequence[Path]) -> tuple[str, ...]:
    # `/bin` is a link into `/usr` nowadays, and a link costs less than a mount.
    if path.is_symlink() and is_inside(path.resolve(), (root for root in readable if root != path)):
        return "--symlink", os.fspath(path.readlink()), str(path)
    return "--ro-bind-try", str(path), str(path)
