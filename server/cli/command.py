"""What a command of the command line is, what it may raise, and what its exit status means."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from .terminal import Terminal


class Exit(IntEnum):
    """The exit statuses, the same for every command; scripts and CI rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    ERRORED = 4
    UNDECIDED = 5
    """Running, pending, or nothing there yet: ask again later."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class Group(StrEnum):
    """Headings of the help."""

    SETUP = "Set up a repository"
    LOOKING = "See where everything stands"
    AGENTS = "Work on a change (the tools of the MCP server, for agents and scripts)"
    PEOPLE = "Decide (people, at a terminal)"
    TEAM = "Serve a team (many machines, over HTTP)"


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of the help. `module`, below this package, is imported when the command is asked for."""

    module: str
    group: Group
    about: str


class CommandModule(Protocol):
    """What a command's module holds. A module may serve several commands, so it is told which one."""

    def configure(self, command: str, parser: "ArgumentParser", /) -> None:
        """Declare the arguments; `--repo` and `--no-color` are there already."""
        ...

    def run(self, command: str, options: "Namespace", terminal: "Terminal", /) -> int:
        """Do it and return the exit status. Expected problems are raised: `failures` words them."""
        ...


class CannotGoOn(Exception):
    """A command met a state in which it can do nothing: one sentence, and what to do about it."""

    def __init__(
        self, message: str, next_action: str, *, code: str = "cannot_go_on", status: Exit = Exit.REFUSED
    ) -> None:
        self.message = message
        self.next = next_action
        self.code = code
        self.status = status
        super().__init__(f"{message} {next_action}")


class UsageError(Exception):
    """The arguments do not fit together; `str()` is one sentence."""
