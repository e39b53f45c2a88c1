"""Lines of ours in `info/exclude`, which is never committed: what git is to ignore in every worktree of a repository.

What was added is noted in our own folder, with what the file was before, so that all of it can be taken back and a line
that the person had already stays.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..files import locked, replace_text

_NOTES = "excluded.json"


@dataclass(frozen=True, slots=True)
class _Notes:
    """`before`: the file's text when the first line was added, None when there was no file."""

    before: str | None
    added: tuple[str, ...]


def exclude(common_dir: Path, state_dir: Path, pattern: str) -> None:
    """Have git ignore `pattern`; once."""
    with _locked(common_dir) as file:
        text = _read(file)
        if pattern in _lines(text):
            return
        notes = _read_notes(state_dir) or _Notes(text, ())
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # First: a line that is noted and not there is harmless, the other way round it would stay for ever.
        _write_notes(state_dir, _Notes(notes.before, (*notes.added, pattern)))
        _write(file, [*_lines(text), pattern])


def unexclude(common_dir: Path, state_dir: Path) -> None:
    """Undo every `exclude`; the file is what it was, where nobody else has changed it since."""
    with _locked(common_dir) as file:
        text, notes = _read(file), _read_notes(state_dir)
        if text is None or notes is None:
            return
        left = [line for line in _lines(text) if line not in notes.added]
        if left != _lines(notes.before):
            _write(file, left)
        elif notes.before is None:
            file.unlink()
        else:
            replace_text(file, notes.before, mode=file.stat().st_mode & 0o777)
        (state_dir / _NOTES).unlink()


@contextmanager
def _locked(common_dir: Path) -> Generator[Path, None, None]:
    """The file, for one process at a time."""
    # A person may keep it elsewhere and link to it.
    file = Path(os.path.realpath(common_dir / "info" / "exclude"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.parent):
        yield file


def _lines(text: str | None) -> list[str]:
    lines = (text or "").split("\n")
    return lines if lines[-1] else lines[:-1]


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _write(file: Path, lines: list[str]) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    replace_text(file, "".join(f"{line}\n" for line in lines), mode=mode)


def _read_notes(state_dir: Path) -> _Notes | None:
    try:
        noted = json.loads((state_dir / _NOTES).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return _Notes(noted["before"], tuple(noted["added"]))


def _write_notes(state_dir: Path, notes: _Notes) -> None:
    # ASCII, in which bytes that are no UTF-8 keep their stand-ins.
    replace_text(state_dir / _NOTES, json.dumps({"before": notes.before, "added": notes.added}), mode=0o600)
