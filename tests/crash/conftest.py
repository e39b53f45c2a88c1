"""A theatre for the plays, and a prepared repository for each."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..acceptance.house import Repository
from .play import PIPELINE
from .points import Point

ROOT = Path(__file__).resolve().parent.parent.parent
MEMORY = Path("/dev/shm")


class Theatre:
    """Has lives of a server played, each in a repository of its own or where an earlier one was played."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipeline = PIPELINE
        self._count = 0
        environment = {
            **os.environ,
            "GATEWRIGHT_ISOLATION": "process",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._log = (folder / "log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.theatre"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def repository(self) -> Repository:
        """A new one, set up for the play."""
        self._count += 1
        return Repository(self.folder / f"repository-{self._count}", self.pipeline)

    def play(self, repository: Repository, doomed: Point | None = None) -> int:
        """Play in the repository until the end or until the doomed point; the life's exit status."""
        order = {
            "repository": str(repository.path),
            "trace": str(self._trace),
            "doomed": None if doomed is None else [doomed.label, doomed.nth],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def points(self) -> list[Point]:
        """The points that the last life came to, in order."""
        return [Point(*json.loads(line)) for line in self._trace.read_text().splitlines()]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def forget(self, repository: Repository) -> None:
        """Make room: a theatre plays hundreds of times."""
        shutil.rmtree(repository.path)
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    @property
    def _trace(self) -> Path:
        return self.folder / "trace"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """In memory where there is such a place: hundreds of repositories are made, and every write is synced."""
    with tempfile.TemporaryDirectory(prefix="gw-crash-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        theatre = Theatre(Path(folder))
        yield theatre
        theatre.close()
