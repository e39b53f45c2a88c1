"""Look for secrets of `setup` in what it made: gates are given that, and so is whoever writes the code they run."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

CHUNK_BYTES = 2**20
# Shorter values turn up anywhere by chance.
SECRET_CHARS_MIN = 6


def find_leak(root: Path, secrets: Mapping[str, str]) -> tuple[str, str] | None:
    """The first secret whose value stands in a file, a link or a name below `root`, and where; None when none does.

    Values are looked for as they are: one that was encoded or cut in parts is not found.
    """
    wanted = {name: os.fsencode(value) for name, value in secrets.items() if len(value) >= SECRET_CHARS_MIN}
    for path in _paths(root) if wanted else ():
        name = os.fsencode(path.relative_to(root))
        for content in (name, *_contents(path, max(map(len, wanted.values())))):
            found = next((secret for secret, value in wanted.items() if value in content), None)
            if found is not None:
                return found, str(path.relative_to(root))
    return None


def _paths(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder) / name for name in (*folders, *files))


def _contents(path: Path, longest: int) -> Iterator[bytes]:
    """The file in pieces that overlap by the longest secret, or what a link says."""
    if path.is_symlink():
        yield os.fsencode(path.readlink())
    elif path.is_file():
        with path.open("rb") as file:
            rest = b""
            while piece := file.read(CHUNK_BYTES):
                yield rest + piece
                rest = (rest + piece)[-longest:]
