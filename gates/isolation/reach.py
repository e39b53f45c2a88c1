"""What a program may touch, as one plain value that every sandbox enforces alike.

Whatever is not granted is kept out. A hidden path stays hidden also where a readable folder around it is granted, such
as a repository below `/opt`; a path granted deeper down, such as an interpreter in the home, can be read all the same.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol


class Access(Enum):
    """What a program may do at a path and below it."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Reach:
    """Absolute paths. `temporary` is a private folder that stands for `/tmp` where a sandbox can arrange that.

    `network` is about everything beyond the program's own loopback. Not each level keeps it out.
    """

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    hidden: tuple[Path, ...]
    temporary: Path
    network: bool = False

    @cached_property
    def writable(self) -> tuple[Path, ...]:
        """Every folder in which it may write: what it leaves on the disk is below them."""
        return outermost([*self.writes, self.temporary])

    @cached_property
    def readable(self) -> tuple[Path, ...]:
        """What it may read and not write, without what another such path grants already."""
        kept: list[Path] = []
        writable = self.writable
        for path in sorted(set(self.reads)):
            around = next((other for other in reversed(kept) if is_inside(path, (other,))), None)
            is_granted = around is not None and not is_inside(path, self.hidden_below(around))
            if not is_granted and not is_inside(path, writable):
                kept.append(path)
        return tuple(kept)

    @cached_property
    def layers(self) -> tuple[tuple[Path, Access], ...]:
        """Every path that is granted, or hidden in what is granted, with those around before those within."""
        readable, writable = self.readable, self.writable
        hidden = (path for root in readable for path in self.hidden_below(root))
        layers = dict.fromkeys(hidden, Access.NONE)
        layers |= dict.fromkeys(readable, Access.READ)
        layers |= dict.fromkeys(writable, Access.WRITE)
        return tuple(sorted(layers.items(), key=lambda layer: (len(layer[0].parts), layer[0])))

    def hidden_below(self, root: Path) -> tuple[Path, ...]:
        """The hidden paths strictly inside a readable one."""
        return outermost(path for path in self.hidden if path != root and is_inside(path, (root,)))


@dataclass(frozen=True)
class Confined:
    """How a sandbox wants a command started.

    `fence` are (path, is writable) pairs outside of which the supervisor lets it reach nothing. `tells_status`: it
    writes to descriptor 3 what became of the command.
    """

    argv: Sequence[str]
    cwd: Path
    fence: tuple[tuple[Path, bool], ...] | None = None
    tells_status: bool = False


class Sandbox(Protocol):
    """Starts a command so that it reaches only `reach`; `level` is told in every verdict."""

    @property
    def level(self) -> str:
        """One of `schemas.pipeline.ISOLATION_LEVELS`."""
        ...

    @property
    def reach(self) -> Reach:
        """What is enforced, as far as the level goes."""
        ...

    def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
        """The command that runs `argv` inside; its first element is an absolute path, like that of `argv`."""
        ...


def outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths that lie in no other of them, sorted, each once."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not is_inside(path, kept[-1:]):
            kept.append(path)
    return tuple(kept)


def is_inside(path: Path, folders: Iterable[Path]) -> bool:
    """Tell whether the path is one of the folders or below one, as written."""
    # Every program asks this hundreds of times; `Path.is_relative_to` takes ten times as long.
    text = os.fspath(path)
    return any(text == (other := os.fspath(folder)) or text.startswith(f"{other.rstrip('/')}/") for folder in folders)


@lru_cache(maxsize=256)
def spread(root: Path, hidden: tuple[Path, ...]) -> tuple[Path, ...]:
    """`root` itself when nothing below it is hidden, otherwise what is in it instead, without what is hidden.

    For sandboxes that can grant a folder but take nothing out of it again. Looked up once: what comes into such a
    folder later is not granted.
    """
    if root in hidden:
        return ()
    if not any(is_inside(path, (root,)) for path in hidden):
        return (root,)
    try:
        children = sorted(root.iterdir())
    except OSError:
        return ()
    return tuple(path for child in children for path in spread(child, hidden))
