"""The stores under test: the contract is run with each database."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gatewright.server.store import Store
from tests.postgres import _emptied_database, database_url, new_database_url, postgres

from .hiring import Hire, Worker
from .opening import open_at

__all__ = ["_emptied_database", "database_url", "new_database_url", "postgres"]

ROOT = Path(__file__).resolve().parents[3]
OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """The database that the test's store stands on."""
    return str(request.param)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test's one store is: a folder, or the address of a database."""
    return str(request.getfixturevalue("database_url")) if kind == "postgres" else str(tmp_path / "store")


@pytest.fixture
def open_again(address: str) -> Iterator[OpenStore]:
    """Open the test's one store, each time as another process would; all are closed at the end."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(open_at(address)))


@pytest.fixture
def store(open_again: OpenStore) -> Store:
    return open_again()


@pytest.fixture
def hire(store: Store, address: str) -> Iterator[Hire]:
    """Start a worker process on the store, not yet at work; whatever still runs at the end is killed."""
    with ExitStack() as hired:

        def begin(*task: str) -> Worker:
            command = [sys.executable, "-m", "tests.server.store.worker", address, *task]
            worker = hired.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            )
            hired.callback(worker.kill)
            return worker

        yield begin
