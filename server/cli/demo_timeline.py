"""What the demo prints as it happens: when, who, what, and how long it took."""

import textwrap
import time
from collections.abc import Iterable

from .terminal import Terminal

WHO_WIDTH = 8
QUOTE_WIDTH = 96
INDENT = " " * (8 + 2 + WHO_WIDTH + 2)


class Timeline:
    """Lines on a terminal or a pipe, each sent at once; the clock starts with the object."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._begun = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def heading(self, text: str) -> None:
        """A new scene."""
        self._terminal.say()
        self._terminal.say(text, "bold")
        self._terminal.flush()

    def tell(self, who: str, what: str, *styles: str, since_s: float | None = None) -> None:
        """One thing that happened; `since_s`, from `elapsed_s`, is when it was begun."""
        now = self.elapsed_s()
        took = "" if since_s is None else f"  ({now - since_s:.1f} s)"
        self._terminal.say(f"{now:6.1f} s  {who:<{WHO_WIDTH}}  {what}{took}", *styles)
        self._terminal.flush()

    def quote(self, lines: Iterable[str], *styles: str) -> None:
        """What somebody read, word for word, below the line that tells of it."""
        for line in lines:
            for part in textwrap.wrap(line, QUOTE_WIDTH, subsequent_indent="  "):
                self._terminal.say(f"{INDENT}{part}", *(styles or ("dim",)))
        self._terminal.flush()
