"""The machines of `tests/server` and the repositories of `tests/acceptance`, and what forks watched servers."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..acceptance.conftest import anyio_backend, clock, lean, make, repository, surroundings
from ..server.conftest import machine
from .session import REVIEWED, World

__all__ = ["anyio_backend", "clock", "lean", "machine", "make", "repository", "surroundings"]

Worlds = Callable[..., World]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Path]:
    """Where watched servers are forked; ends with the test run."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:
        place = Path(folder) / "nursery"
        command = [sys.executable, "-m", "tests.survival.nursery", str(place)]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield place
        process.communicate()


@pytest.fixture
def worlds(tmp_path: Path, nursery: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worlds]:
    """Repositories whose servers stop where a test says, in which gates can meet the test."""
    monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
    made: list[World] = []

    def make(pipeline: str = REVIEWED) -> World:
        made.append(World(tmp_path / str(len(made)), nursery, pipeline))
        return made[-1]

    yield make
    for world in made:
        world.clear()


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds()
