"""What an agent does to the files of its workspace: small edits that fit exactly, or not at all."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processes import run_command
from sources import git

TOOL_TIMEOUT_S = 60.0


class DoesNotFit(Exception):
    """The project is not the one that the edit was written for."""


class Edit(Protocol):
    """Something that is done to a folder. Raises `DoesNotFit` when the files are not what it was written for."""

    def apply(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Replace:
    """Replace the one place that has the old text."""

    path: str
    old: str
    new: str

    def apply(self, folder: Path) -> None:
        file = folder / self.path
        text = file.read_text("utf-8")
        if text.count(self.old) != 1:
            raise DoesNotFit(f"{self.path} has {text.count(self.old)} times: {self.old!r}")
        file.write_text(text.replace(self.old, self.new), "utf-8")


@dataclass(frozen=True)
class Append:
    """Add text to the end of a file."""

    path: str
    text: str

    def apply(self, folder: Path) -> None:
        file = folder / self.path
        file.write_text(file.read_text("utf-8") + self.text, "utf-8")


@dataclass(frozen=True)
class Write:
    """Make a new file, byte for byte."""

    path: str
    text: str | bytes

    def apply(self, folder: Path) -> None:
        data = self.text if isinstance(self.text, bytes) else self.text.encode()
        _new_file(folder, self.path).write_bytes(data)


@dataclass(frozen=True)
class Link:
    """Make a symbolic link; `target` is relative to its folder."""

    path: str
    target: str

    def apply(self, folder: Path) -> None:
        _new_file(folder, self.path).symlink_to(self.target)


@dataclass(frozen=True)
class MoveFile:
    """Give a file another name."""

    path: str
    to: str

    def apply(self, folder: Path) -> None:
        _there(folder, self.path).rename(_new_file(folder, self.to))


@dataclass(frozen=True)
class Delete:
    """Remove a file."""

    path: str

    def apply(self, folder: Path) -> None:
        _there(folder, self.path).unlink()


@dataclass(frozen=True)
class Rename:
    """Give a name of the code another name wherever it stands as a whole word: in each of these files."""

    old: str
    new: str
    paths: Sequence[str]

    def apply(self, folder: Path) -> None:
        for path in self.paths:
            file = folder / path
            text, count = re.subn(rf"\b{re.escape(self.old)}\b", self.new, file.read_text("utf-8"))
            if count == 0:
                raise DoesNotFit(f"{path} does not name {self.old}")
            file.write_text(text, "utf-8")


@dataclass(frozen=True)
class Remove:
    """Take away a piece of a file, from the first place that has `begin` to the first `end` after it."""

    path: str
    begin: str
    end: str

    def apply(self, folder: Path) -> None:
        self.cut(folder)

    def cut(self, folder: Path) -> str:
        """Take the piece away and return it."""
        file = folder / self.path
        before, begin, after = file.read_text("utf-8").partition(self.begin)
        piece, end, rest = after.partition(self.end)
        if not begin or not end:
            raise DoesNotFit(f"{self.path} has no {self.begin!r} up to {self.end!r}")
        file.write_text(before + rest, "utf-8")
        return begin + piece + end


@dataclass(frozen=True)
class Move:
    """Move such a piece to the end of another file, which has its own blank lines; those after the piece go."""

    path: str
    begin: str
    end: str
    target: str

    def apply(self, folder: Path) -> None:
        piece = Remove(self.path, self.begin, f"{self.end}\n\n").cut(folder)
        Append(self.target, piece.removesuffix("\n\n")).apply(folder)


@dataclass(frozen=True)
class Reformat:
    """Have ruff lay these files or folders out anew, with lines of this length, whatever the project configures."""

    paths: Sequence[str]
    line_length: int

    def apply(self, folder: Path) -> None:
        ruff = str(Path(sys.executable).with_name("ruff"))
        options = ["--isolated", "--no-cache", f"--line-length={self.line_length}"]
        argv = [ruff, "format", "--quiet", *options, "--", *self.paths]
        run_command(argv, cwd=folder, timeout_s=TOOL_TIMEOUT_S)


@dataclass(frozen=True)
class Commit:
    """Commit what was done so far, be it nothing, and go on."""

    message: str

    def apply(self, folder: Path) -> None:
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--allow-empty", f"--message={self.message}")


def apply(edits: Iterable[Edit], folder: Path) -> None:
    """Do all of them in order."""
    for edit in edits:
        edit.apply(folder)


def _there(folder: Path, path: str) -> Path:
    if not os.path.lexists(folder / path):
        raise DoesNotFit(f"{path} is not there")
    return folder / path


def _new_file(folder: Path, path: str) -> Path:
    file = folder / path
    if os.path.lexists(file):
        raise DoesNotFit(f"{path} is there already")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
