"""What `bench_peers.py` asks of a server: how it is started, and how agents create, claim and complete work there."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

from downloads import Npm, Pip, bare_environment
from line_client import LineClient


class Peer(ABC):
    """One server, at work in one folder. Items are named by what `create` returns."""

    name: str
    package: Pip | Npm | None
    # Whether it knows work that can be created and completed; agent-lease knows paths alone.
    has_items = True

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        # What each claim gave its holder.
        self.leases: dict[str, tuple[str, str]] = {}

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Do once what its documentation asks for before its first start."""

    @abstractmethod
    def command(self) -> list[str]:
        """How a client starts it."""

    def variables(self, who: str) -> dict[str, str]:
        """The environment that it needs beyond a home."""
        return {}

    def connect(self, who: str) -> LineClient:
        """A server process of one client."""
        return LineClient(self.command(), self.working_folder(), bare_environment(self.folder, self.variables(who)))

    def working_folder(self) -> Path:
        """Where its clients start it."""
        return self.folder

    def end(self) -> None:  # noqa: B027 - with most nothing does
        """End what outlives its clients."""

    def kill(self, client: LineClient) -> None:
        """`kill -9` to whatever keeps the truth."""
        client.process.kill()

    @abstractmethod
    def create(self, client: LineClient, title: str) -> str | None:
        """The item that the server acknowledged, else None."""

    @abstractmethod
    def claim(self, client: LineClient, item: str, who: str) -> bool:
        """Whether the server let `who` have it."""

    def claim_next(self, client: LineClient, who: str) -> str | None:
        """What the server gave `who` of its own choice; None when there is nothing left, or it never chooses."""
        return None

    @abstractmethod
    def complete(self, client: LineClient, item: str) -> bool:
        """Whether the server acknowledged that it is done."""

    @abstractmethod
    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        """Which of the items are there, or are there and done."""
