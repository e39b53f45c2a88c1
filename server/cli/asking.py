"""Ask a person, and only a person: what decides about a gate is typed at a terminal, word by word.

There is no flag that skips it. An agent that runs as the same user can forge a terminal all the same; see
docs/command-line.md for what that means.
"""

from ...schemas import refusals
from ...schemas.refusals import Refused
from .command import CannotGoOn
from .terminal import Terminal


def require_person(terminal: Terminal, command: str) -> None:
    """Raise `Refused` (not_allowed) unless a terminal is at both ends."""
    if not terminal.is_interactive:
        what = "People decide this, at a terminal: this command has none on its input and output."
        raise Refused(refusals.not_allowed(what, f"A person runs `{command}` in a terminal of their own."))


def confirm_by_typing(terminal: Terminal, word: str, what: str) -> None:
    """Have the person type `word`; raises `CannotGoOn` for anything else, and nothing was decided."""
    typed = terminal.ask(f"Type {word} to {what}:")
    if typed != word:
        raise CannotGoOn("Nothing was decided.", "Run the command again when you are sure.", code="not_confirmed")


def confirm(terminal: Terminal, question: str) -> None:
    """Ask y/N; raises `CannotGoOn` unless it is yes."""
    if not terminal.confirm(question):
        raise CannotGoOn("Nothing was decided.", "Run the command again when you are sure.", code="not_confirmed")
