"""Fixtures of telemetry: whoever watches, and a repository that is watched."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gatewright.server.engine.runners import Runners
from gatewright.server.operations import changes
from gatewright.server.telemetry.watching import set_watcher

from ...acceptance.house import Repository, staged
from ...postgres import _emptied_database, database_url, postgres
from .watching import Seen

__all__ = ["_emptied_database", "database_url", "postgres"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no runner that the story does not need."""

    async def keep_none(_: Runners) -> None:
        pass

    monkeypatch.setattr(Runners, "warm_up", keep_none)
    monkeypatch.setattr(changes, "_enqueue_warming", lambda tx, record: None)


@cache
def _seen() -> Seen:
    return Seen()


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What somebody who watches this process has seen since the test began."""
    found = _seen()
    found.begin()
    before = set_watcher(found.watch)
    yield found
    set_watcher(before)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With a plan and the code for it."""
    return Repository(tmp_path / "repo", staged())
