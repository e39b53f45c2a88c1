"""How an agent asks: over which connection, and what it may ask again."""

from dataclasses import dataclass
from typing import Protocol

from gatewright.server.cli.demo_agent import Data


class Gone(Exception):
    """The connection ended, and what was asked last may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A call that may be repeated."""

    tool: str
    arguments: Data


class Connection(Protocol):
    """What answers; raises as `Agent` does."""

    def call(self, tool: str, **arguments: object) -> Data: ...

    def close(self) -> None: ...
