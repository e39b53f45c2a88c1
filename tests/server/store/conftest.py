"""The store under test. Another database joins the contract by another way to open one."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gatewright.server.store import Store, open_store

from .hiring import Hire, Worker

ROOT = Path(__file__).resolve().parents[3]
OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open the test's one store, each time as another process would; all are closed at the end."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(open_store(tmp_path / "store", create=True)))


@pytest.fixture
def store(open_again: OpenStore) -> Store:
    return open_again()


@pytest.fixture
def hire(store: Store) -> Iterator[Hire]:
    """Start a worker process on the store, not yet at work; whatever still runs at the end is killed."""
    with ExitStack() as hired:

        def begin(*task: str) -> Worker:
            command = [sys.executable, "-m", "tests.server.store.worker", str(store.path.parent), *task]
            worker = hired.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            )
            hired.callback(worker.kill)
            return worker

        yield begin
