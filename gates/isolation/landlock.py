"""Level `files` on Linux: landlock, which a process applies to itself, without any program's help.

Files outside are neither read nor written, and processes outside neither traced nor, where the kernel can, signalled.
The network is as it was, and `/proc` still lists who is there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .reach import Confined, Reach, spread

LEVEL = "files"

# `/dev/shm` is where every program on the machine has its semaphores, and cannot be given to one alone.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")


@dataclass(frozen=True)
class Landlock:
    """See the module."""

    reach: Reach
    level: str = LEVEL

    def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
        """The command as it is: its supervisor does the rest."""
        return Confined(argv, cwd, fence=tuple(_fence(self.reach)))


def _fence(reach: Reach) -> Iterator[tuple[Path, bool]]:
    yield Path("/proc"), False
    for device in _DEVICES:
        yield Path("/dev", device), True
    for path in reach.writable:
        yield path, True
    for root in reach.readable:
        for path in spread(root, reach.hidden_below(root)):
            yield path, False
