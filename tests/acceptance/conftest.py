"""Fixtures of the journeys: prepared repositories, and a server with agents around one."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gatewright.server.engine.runners import Runners
from gatewright.server.operations import changes

from .house import SECRET, Agent, Clock, Generation, Repository, Server, serving
from .team import Team

Repositories = Callable[..., Repository]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def generation(request: pytest.FixtureRequest) -> Generation:
    """Both generations of the protocol."""
    return "legacy" if request.param == "legacy" else "auto"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates find the Python of the test run; the environment has a secret that must not get anywhere."""
    import sys

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SOMEBODYS_API_KEY", SECRET)


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gates meet the test in a file outside of their tree; that they cannot do so otherwise is told elsewhere."""
    monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")


@pytest.fixture
def as_shipped() -> None:
    """Ask for this to have a runner kept warm and bases judged ahead, as users have it."""


@pytest.fixture(autouse=True)
def lean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no runner that the story does not need: what is done ahead of time costs more than most stories."""
    if "as_shipped" in request.fixturenames:
        return

    async def keep_none(_: Runners) -> None:
        pass

    monkeypatch.setattr(Runners, "warm_up", keep_none)
    monkeypatch.setattr(changes, "_enqueue_warming", lambda tx, record: None)


@pytest.fixture
def make(tmp_path: Path) -> Repositories:
    """Make a repository with the given pipeline (default: one stage, one instant gate)."""

    def make_one(pipeline: str | None = None, *, name: str = "repo", is_set_up: bool = True) -> Repository:
        return Repository(tmp_path / name, pipeline, is_set_up=is_set_up)

    return make_one


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make()


@pytest.fixture
async def server(repository: Repository, clock: Clock) -> AsyncIterator[Server]:
    """A server of `repository`, evaluations included."""
    async with serving(repository, clock=clock) as served:
        yield served


@pytest.fixture
async def desk(repository: Repository, clock: Clock) -> AsyncIterator[Server]:
    """A server of `repository` that judges nothing."""
    async with serving(repository, clock=clock, has_engine=False) as served:
        yield served


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[Agent]:
    async with server.agent("ada") as agent:
        yield agent


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path / "team")
