"""Level `full` on Linux: bubblewrap. Files, processes, network and memory of others are out of sight.

A program sees a file system of its own with the same paths as outside, mounted read-only but for what it may write. Its
`/tmp`, `/var/tmp` and `/dev/shm` are folders of the run's own, so that what it leaves there is counted and removed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..programs.request import STATUS_DESCRIPTOR
from .reach import Access, Confined, Reach, is_inside

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
    temporary, shared_memory, nothing = (reach.temporary / name for name in ("tmp", "shm", "nothing"))
    for folder in (temporary, shared_memory, nothing):
        folder.mkdir(mode=0o700, exist_ok=True)
    yield "--bind", str(temporary), "/tmp"  # noqa: S108 - the program's own
    if any(is_inside(path, (Path("/var/tmp"),)) for path, _ in reach.layers):  # noqa: S108 - inside
        # What lies there could not be mounted behind a link.
        yield "--bind", str(temporary), "/var/tmp"  # noqa: S108 - the program's own
    else:
        yield "--symlink", "/tmp", "/var/tmp"  # noqa: S108 - the program's own
    yield "--bind", str(shared_memory), "/dev/shm"  # noqa: S108 - the program's own
    closed = ["/dev", "/"]
    for path, access in reach.layers:
        if access is Access.WRITE:
            yield "--bind", str(path), str(path)
        elif access is Access.READ:
            yield _readable_step(path, reach.readable)
        elif not _is_folder(path):
            yield from [("--ro-bind", os.devnull, str(path))] if path.is_file() else ()
        elif any(inner != path and is_inside(inner, (path,)) for inner, _ in reach.layers):
            yield "--tmpfs", str(path)
            closed.insert(0, str(path))
        else:
            # With nothing to mount in it, one mount does what a file system in memory needs two for.
            yield "--ro-bind", str(nothing), str(path)
    yield from (("--remount-ro", folder) for folder in closed)


def _readable_step(path: Path, readable: Sequence[Path]) -> tuple[str, ...]:
    # `/bin` is a link into `/usr` nowadays, and a link costs less than a mount.
    link = _link(path)
    if link and is_inside(link[1], (root for root in readable if root != path)):
        return "--symlink", link[0], str(path)
    return "--ro-bind-try", str(path), str(path)


@lru_cache(maxsize=64)
def _link(path: Path) -> tuple[str, Path] | None:
    """What a link says and where it leads to in the end. Looked up once: it decides about a short cut only."""
    return (os.fspath(path.readlink()), path.resolve()) if path.is_symlink() else None


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
