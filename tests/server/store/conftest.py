"""The store under test. Another database joins the contract by another way to open one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gatewright.server.store import Store, open_store

OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open the test's one store, each time as another process would; all are closed at the end."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(open_store(tmp_path / "store", create=True)))


@pytest.fixture
def store(open_again: OpenStore) -> Store:
    return open_again()
