"""What a store asks of the database that it stands on: `sqlite` and `postgres` answer."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Session:
    """A transaction under way.

    `hold` keeps everybody else who holds the same name waiting until this transaction has ended. Where one writes at a
    time it has nothing to do. `damage` is what the database finds wrong with its own files, in its own words.
    """

    connection: "Connection"
    is_writing: bool
    hold: Callable[[str], None]
    damage: Callable[[], tuple[str, ...]]


class Database(Protocol):
    """One database with a store of ours in it. Threads share it; never across a fork.

    `place` names it in sentences, without a password. `errors` is all that its library raises. `is_shared`: other
    machines use it too, and evaluations are delivered to workers.
    """

    place: str
    errors: tuple[type[Exception], ...]
    is_shared: bool

    def writing(self) -> AbstractContextManager[Session]:
        """A transaction that sees what was committed before each of its statements, and commits in the end.

        Any exception rolls it back. Raises `errors`, or `StoreUnavailable` by itself where trying again is no use.
        """
        ...

    def reading(self, attempt: int) -> AbstractContextManager[Session]:
        """A transaction that sees one state and cannot write; `attempt` counts from 0 how often it was tried."""
        ...

    def may_succeed_again(self, error: Exception) -> bool:
        """Whether nothing was kept of the transaction, and the same may succeed when it is tried again at once."""
        ...

    def sentence_of(self, error: Exception) -> str | None:
        """Why the store cannot be used, as a sentence; None when the error is a defect of ours."""
        ...

    def is_closed(self, error: Exception) -> bool:
        """Whether it answers and lets nobody in like this, so that waiting does not help."""
        ...

    def feed(self) -> Callable[[], bool]:
        """A cheap question whether anybody committed since it was last asked; it neither waits nor raises."""
        ...

    def now(self) -> datetime | None:
        """The time that all who share it go by, aware UTC; None when that is this machine's. Raises `errors`."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
