"""Who asks while a server is replaced is answered, and what has nothing to do any more leaves nothing behind."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright.server.cli.demo_agent import Agent
from gatewright.server.liveness import is_running

from ..acceptance.house import OK_GATE, Repository, solo
from .session import PATIENCE_S, Caller, World, until

pytestmark = pytest.mark.slow

OLDER = "0.0.1"


@pytest.fixture
def surroundings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runtime, temporary and cache folder that nobody else writes to."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as name:
        folder = Path(name)
        for variable, place in {"XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache"}.items():
            (folder / place).mkdir(mode=0o700)
            monkeypatch.setenv(variable, str(folder / place))
        yield folder


def gatewright(world: World, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "gatewright", *arguments]
    done = subprocess.run(
        command, cwd=world.repository.path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_status_and_doctor_are_answered_while_an_older_server_is_replaced(world: World) -> None:
    ada = Caller(world, "ada", version=OLDER)
    ada.hello()
    ada.ask("start_change", "start", title="Add sub", intent="Subtract.", key="start")
    older = world.server_pid()
    assert older is not None

    before = gatewright(world, "doctor", "--no-gates")
    status = gatewright(world, "status")
    newer = world.server_pid()
    after = gatewright(world, "doctor", "--no-gates")
    claimed = ada.ask("claim_stage", "claim", agent="ada", key="claim")

    assert "Add sub" in status
    assert newer != older
    assert claimed["kind"] == "work"
    for said in (before, after):
        assert "running" in said
    until(lambda: not is_running(older), time.monotonic() + PATIENCE_S)


def test_status_is_answered_however_often_the_server_is_killed(world: World) -> None:
    ada = Caller(world, "ada")
    ada.hello()
    ada.ask("start_change", "start", title="Add sub", intent="Subtract.", key="start")

    for _ in range(3):
        world.kill_server()
        assert "Add sub" in gatewright(world, "status")


def test_a_server_leaves_when_idle_and_nothing_is_left_of_it(
    tmp_path: Path, surroundings_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWRIGHT_IDLE_S", "1")
    monkeypatch.setenv("GATEWRIGHT_TEST_MARK", surroundings_of_its_own.name)
    repository = Repository(tmp_path / "repo", solo(OK_GATE))
    with (tmp_path / "log").open("wb") as log:
        agent = Agent("ada", repository.path, os.environ, log)
        agent.greet()
        agent.call("start_change", title="Add sub", intent="Subtract.")
        brief = agent.call("claim_stage", agent="ada")
        (Path(str(brief["workspace"])) / "sub.py").write_text("SUB = 1\n")
        verdict = agent.call("submit_artifact", lease=brief["lease"], summary="Work.")
        agent.close()
    mark = f"GATEWRIGHT_TEST_MARK={surroundings_of_its_own.name}".encode()

    until(lambda: not programs_with(mark), time.monotonic() + PATIENCE_S)

    assert verdict["outcome"] == "passed"
    assert files_below(surroundings_of_its_own / "run") == []
    assert files_below(surroundings_of_its_own / "tmp") == []
    assert not (repository.state / "server.sock").is_symlink()
    assert files_below(repository.state / "seats") == []


def programs_with(mark: bytes) -> list[int]:
    """The processes that carry the mark in their environment, this one aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def files_below(folder: Path) -> list[Path]:
    return [place for place in folder.rglob("*") if not place.is_dir()]
