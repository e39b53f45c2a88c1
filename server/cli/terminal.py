"""Say things to a person at a terminal, or to a program on a pipe: tables, colours, progress, questions.

Whatever comes from a repository or an agent is cleaned before it is shown: a title with control sequences could repaint
the very question that a person is asked.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

from ...gates.text import clean_text, shorten

WIDTH_WITHOUT_TERMINAL = 120
GAP = "  "
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


class Terminal:
    """Standard output and error as they are. `is_interactive`: a person can be asked."""

    def __init__(
        self,
        *,
        colour: bool = True,
        environment: Mapping[str, str] = os.environ,
        stdin: TextIO | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._stdin = sys.stdin if stdin is None else stdin
        self._out = sys.stdout if out is None else out
        self._err = sys.stderr if err is None else err
        plain = "NO_COLOR" in environment or environment.get("TERM") == "dumb" or not colour
        self.is_terminal = self._out.isatty()
        self.is_interactive = self.is_terminal and self._stdin.isatty()
        self._is_coloured = self.is_terminal and not plain
        self._shows_progress = self._err.isatty() and environment.get("TERM") != "dumb"
        self._has_progress = False

    def say(self, text: str = "", *styles: str) -> None:
        """One or more lines on standard output."""
        self.clear_progress()
        print(self._paint(clean_text(text), styles), file=self._out)

    def warn(self, text: str, *styles: str) -> None:
        """One or more lines on standard error."""
        self.clear_progress()
        print(self._paint(clean_text(text), styles) if self._err.isatty() else clean_text(text), file=self._err)

    def write_data(self, text: str) -> None:
        """Text for a program, as it is."""
        self.clear_progress()
        self._out.write(text)

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Mapping[str, str] | None = None
    ) -> None:
        """Columns side by side, the last one cut at the edge of a terminal; cells that `styles` names are coloured."""
        self.clear_progress()
        cells = [[clean_text(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(headers, *cells, strict=True)]
        room = self._columns() - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
        for number, row in enumerate([list(headers), *cells]):
            last = shorten(row[-1], max(room, 10)) if self.is_terminal else row[-1]
            padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
            shown = [self._styled_cell(cell, styles or {}, is_header=number == 0) for cell in (*padded, last)]
            print(GAP.join(shown).rstrip(), file=self._out)

    def progress(self, text: str) -> None:
        """One line that the next output replaces; nothing where nobody looks."""
        if self._shows_progress:
            line = shorten(clean_text(text).replace("\n", " "), max(self._columns() - 1, 10))
            self._err.write(f"\r\x1b[K{line}")
            self._err.flush()
            self._has_progress = True

    def clear_progress(self) -> None:
        """Take the progress line away."""
        if self._has_progress:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._has_progress = False

    def ask(self, question: str) -> str:
        """What the person types, without blanks around it; empty at the end of input. Only for `is_interactive`."""
        assert self.is_interactive, "there is nobody to ask"
        self.clear_progress()
        self._out.write(f"{clean_text(question)} ")
        self._out.flush()
        return self._stdin.readline().strip()

    def confirm(self, question: str) -> bool:
        """Whether the person types y or yes; anything else is no."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")

    def flush(self) -> None:
        """Send what is buffered; raises BrokenPipeError when the reader is gone."""
        self._out.flush()

    def _styled_cell(self, cell: str, styles: Mapping[str, str], *, is_header: bool) -> str:
        if is_header:
            return self._paint(cell, ("dim",))
        style = styles.get(cell.strip())
        return self._paint(cell, (style,)) if style else cell

    def _paint(self, text: str, styles: Sequence[str]) -> str:
        if not self._is_coloured or not styles:
            return text
        return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"

    @staticmethod
    def _columns() -> int:
        return shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns


def _width(text: str) -> int:
    """How many columns a terminal needs for the text."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - combining
