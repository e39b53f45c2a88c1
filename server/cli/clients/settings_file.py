"""A person's file of settings: read as it is, written as a whole or not at all, deleted with what we made around it."""

import os
from contextlib import suppress
from pathlib import Path

from ....gates.files import replace_text
from ..command import CannotGoOn

BYTES_MAX = 10_000_000


def read_settings(file: Path) -> str:
    """The text of the file, byte for byte; empty when there is none. Raises `CannotGoOn` when it is no text."""
    try:
        data = file.read_bytes()
        if len(data) <= BYTES_MAX:
            return data.decode()
        said = f"has {len(data)} bytes, too many for settings"
    except FileNotFoundError:
        return ""
    except IsADirectoryError:
        said = "is a folder"
    except UnicodeDecodeError:
        said = "is not UTF-8 text"
    raise CannotGoOn(f"{file} {said}; it is as it was.", "Mend it first, or see --print for what belongs there.")


def write_settings(file: Path, text: str, *, mode: int) -> tuple[str, ...]:
    """Write the whole file, through links, with the mode that it has or `mode`; the paths that were made for it."""
    made = [str(folder) for folder in reversed(file.parents) if not folder.exists()]
    file.parent.mkdir(mode=0o700 if mode == 0o600 else 0o777, parents=True, exist_ok=True)
    if file.exists():
        replace_text(file.resolve(), text, mode=file.stat().st_mode & 0o777)
        return tuple(made)
    # A link that leads nowhere yet is kept as well.
    replace_text(Path(os.path.realpath(file)), text, mode=mode)
    return (*made, str(file))


def delete_made(file: Path, made: tuple[str, ...]) -> None:
    """Delete the file and the folders above it, as far as they were made by us and are empty."""
    if str(file) in made:
        file.unlink(missing_ok=True)
    for folder in file.parents:
        if str(folder) not in made:
            return
        with suppress(OSError):
            folder.rmdir()
