"""What an agent does to the files of its workspace: small edits that fit exactly, or not at all."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
    """Make a new file."""

    path: str
    text: str

    def apply(self, folder: Path) -> None:
        file = folder / self.path
        if file.exists():
            raise DoesNotFit(f"{self.path} is there already")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text, "utf-8")


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


def apply(edits: Iterable[Edit], folder: Path) -> None:
    """Do all of them in order."""
    for edit in edits:
        edit.apply(folder)
