"""A machine in a folder, a program's place in it, and every level that is to keep the program there.

A level that does not work on this machine is skipped, and the reason is why.
"""

import os
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio
import pytest

from gatewright.gates.isolation.installations import default_reads
from gatewright.gates.isolation.reach import Reach
from gatewright.gates.process import Finished, ProcessLimits, allowed_environment, run_process
from gatewright.gates.sandbox import Choice, find_best

PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
LIMITS = ProcessLimits(timeout_s=30, output_bytes_max=20_000)
SECRET = "the secret of this machine"

LEVELS = ("full", "files", "process")
CLOSED = ("full", "files")


@cache
def choice_of(level: str) -> Choice:
    return anyio.run(find_best, {**os.environ, "GATEWRIGHT_ISOLATION": level})


@dataclass(frozen=True)
class World:
    """A machine in a folder, and a program's place in it."""

    root: Path
    level: str
    reach: Reach

    @property
    def tree(self) -> Path:
        return self.root / "cache" / "scratch" / "tree"

    def run(self, *argv: str, limits: ProcessLimits = LIMITS, reach: Reach | None = None) -> Finished:
        environment = allowed_environment(
            path=PATH, home=self.root / "cache" / "run" / "home", tmp=self.root / "cache" / "run" / "tmp", extra={}
        )

        async def call() -> Finished:
            enclose = choice_of(self.level).enclose
            return await run_process(
                argv, cwd=self.tree, environment=environment, limits=limits, sandbox=enclose(reach or self.reach)
            )

        return anyio.run(call)

    def shell(self, script: str, limits: ProcessLimits = LIMITS, reach: Reach | None = None) -> Finished:
        return self.run("sh", "-c", script, limits=limits, reach=reach)

    def python(self, code: str, *arguments: str, reach: Reach | None = None) -> Finished:
        return self.run(sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments, reach=reach)


def make_world(root: Path, level: str) -> World:
    if choice_of(level).level != level:
        pytest.skip(choice_of(level).unreached[level])
    for file in (
        *("home/.ssh/id", "home/tools/bin/tool", "repository/.git/config", "state/store.db"),
        *("cache/checkouts/0/tree/calc.py", "cache/environments/e/lib/module.py", "cache/scratch/other/tree/calc.py"),
        *("cache/scratch/tree/calc.py", "cache/scratch/layer/bin/tool", "store/objects/aa"),
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(SECRET)
    writes = [root / "cache" / "run" / name for name in ("home", "tmp", "shared")]
    for folder in writes:
        folder.mkdir(parents=True)
    python = Path(sys.executable)
    hidden = tuple(root / name for name in ("home", "repository", "state", "cache", "store"))
    reads = default_reads(PATH, python, server=os.environ, variables={}, hidden=hidden)
    granted = [root / READABLE_FOLDERS[name] for name in READABLE_FOLDERS]
    tree = root / "cache" / "scratch" / "tree"
    return World(root, level, Reach((*reads, *granted), (*writes[:2], tree), hidden, writes[2]))


READABLE_FOLDERS = {
    "the checkout pool": "cache/checkouts/0/tree",
    "the environment": "cache/environments/e",
    "the layer": "cache/scratch/layer",
    "the objects of the store": "store/objects",
}
HIDDEN_FILES = {
    "the home": "home/.ssh/id",
    "the shared repository": "repository/.git/config",
    "the database": "state/store.db",
    "another gate's tree": "cache/scratch/other/tree/calc.py",
}


@pytest.fixture(params=LEVELS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """At every level."""
    return make_world(tmp_path, request.param)


@pytest.fixture(params=CLOSED)
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """At the levels that keep files out."""
    return make_world(tmp_path, request.param)


@pytest.fixture
def full(tmp_path: Path) -> World:
    """At the strongest level."""
    return make_world(tmp_path, "full")
