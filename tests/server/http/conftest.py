"""Fixtures of the web: a prepared repository, and one replica that serves it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatewright.server.engine.runners import Runners
from gatewright.server.operations import changes

from ...acceptance.house import Clock, Generation, Repository
from .house import Site, serving_site


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def generation(request: pytest.FixtureRequest) -> Generation:
    """Both generations of the protocol."""
    return "legacy" if request.param == "legacy" else "auto"


@pytest.fixture(autouse=True)
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no runner that the story does not need."""

    async def keep_none(_: Runners) -> None:
        pass

    monkeypatch.setattr(Runners, "warm_up", keep_none)
    monkeypatch.setattr(changes, "_enqueue_warming", lambda tx, record: None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repo")


@pytest.fixture
async def site(repository: Repository, clock: Clock) -> AsyncIterator[Site]:
    """A replica that judges nothing."""
    async with serving_site(repository, clock=clock, has_engine=False) as served:
        yield served
