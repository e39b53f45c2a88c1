"""A parser that knows what was declared to it, so that what is said about a command cannot drift from what it takes."""

from argparse import Action, ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

from .command import Exit


class CommandParser(ArgumentParser):
    """Says how to go on in one line, not with the whole usage, and takes no name that is empty."""

    @property
    def declared(self) -> Sequence[Action]:
        """Every argument, in the order in which it was declared."""
        return self._actions

    def complain_about_empty(self, given: object) -> None:
        """End the program when one of the names in `given`, as it was parsed, is empty: it would name nothing."""
        for action in self.declared:
            value = getattr(given, action.dest, None)
            if not action.option_strings and isinstance(value, str) and not value.strip():
                self.error(f"{action.metavar} is empty")

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n{self.format_usage()}")
