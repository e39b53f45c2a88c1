"""What an MCP client is to us: where its settings are, how it is told of gatewright, and what that left behind."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NAME = "gatewright"

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Traces:
    """What an installation made beside its entry, for `uninstall`: files and folders by their paths, outermost first.

    `holders` are the paths in a file, `file#a.b`, of the objects that were made to hold the entry.
    """

    paths: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()

    def with_more(self, more: "Traces") -> "Traces":
        """Both: what the first of two installations made is there after the second."""
        paths = dict.fromkeys((*self.paths, *more.paths))
        return Traces(tuple(paths), tuple(dict.fromkeys((*self.holders, *more.holders))))


@dataclass(frozen=True, slots=True)
class Done:
    """What was written and where; `settings` says what each setting is for, `links` what else a person may click."""

    what: str
    settings: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    traces: Traces = Traces()


class Client(Protocol):
    """One client. Its methods raise `CannotGoOn`, with everything as it was, when a file cannot be changed safely."""

    @property
    def file(self) -> str:
        """The file that its settings are in, for people."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether one entry serves all of the user's repositories."""
        ...

    def text(self, top: Path, /) -> str:
        """What that file holds when nothing else does; `top` is the repository's checkout."""
        ...

    def install(self, top: Path, /) -> Done:
        """Tell it of gatewright. A second time changes nothing."""
        ...

    def uninstall(self, top: Path, traces: Traces, /) -> bool:
        """Take our entry away and what was made for it; whether there was one."""
        ...


def server_command() -> list[str]:
    """gatewright by its absolute path: clients start servers with other PATHs than a person's shell."""
    beside_python = Path(sys.executable).with_name(NAME)
    if beside_python.is_file():
        return [str(beside_python)]
    found = shutil.which(NAME)
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", NAME]


def entry_of(*options: str) -> JsonObject:
    """`command` and `args`, as most clients want them."""
    command, *arguments = [*server_command(), *options]
    return {"command": command, "args": arguments}
