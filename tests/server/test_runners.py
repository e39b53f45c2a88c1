"""Runners are forked by a nursery, and end with their conversation, their nursery or their server."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from gatewright.gates.contract import Found, Job, Message, format_job
from gatewright.gates.programs.descendants import descendants_of
from gatewright.schemas.records import Outcome
from gatewright.server.engine.runners import RunnerLost, Runners

from ..gates.kinds.workbench import Project, use_own_python

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0
POLL_S = 0.01
SERVER = """
import sys, anyio
from gatewright.gates.contract import parse_job
from gatewright.server.engine.runners import Runners

async def serve():
    async with anyio.create_task_group() as tasks:
        await Runners(tasks).judge(parse_job(sys.stdin.buffer.readline()), print)

anyio.run(serve)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())


def a_job(root: Path, *gates: object) -> Job:
    project = Project(root, gates or ["compile"])
    return project.job(project.commit({"more.py": "x = 1\n"}))


def a_slow_job(root: Path) -> Job:
    return a_job(root, {"command": {"name": "slow", "run": "sleep 300; test -f calc.py"}})


def outcomes(said: list[Message]) -> dict[str, Outcome]:
    return {message.evidence.gate: message.evidence.outcome for message in said if isinstance(message, Found)}


def called(words: bytes, *, below: int) -> list[int]:
    """The living descendants of a process whose command line has these words."""
    found = []
    for pid in descendants_of(below):
        try:
            if words in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "):
                found.append(pid)
        except OSError:
            continue
    return found


async def until(is_so: Callable[[], object]) -> None:
    with anyio.fail_after(WITHIN_S):
        # What another process does wakes nobody here.
        while not is_so():  # noqa: ASYNC110 - of another process
            await anyio.sleep(POLL_S)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
async def test_one_nursery_forks_the_runners_of_all_jobs_and_leaves_none(tmp_path: Path) -> None:
    jobs = [a_job(tmp_path / name) for name in ("one", "two")]
    said: list[list[Message]] = [[], []]

    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        async with anyio.create_task_group() as judgements:
            for job, heard in zip(jobs, said, strict=True):
                judgements.start_soon(runners.judge, job, heard.append)
        # It, and the runner that it has forked ahead.
        await until(lambda: len(called(b"runner_nursery", below=os.getpid())) == 2)
        await runners.aclose()

    assert [outcomes(heard)["compile"] for heard in said] == [Outcome.PASSED] * 2
    assert called(b"runner_nursery", below=os.getpid()) == []


async def test_a_job_whose_nursery_is_killed_is_lost_and_the_next_one_is_judged(tmp_path: Path) -> None:
    slow, quick = a_slow_job(tmp_path / "slow"), a_job(tmp_path / "quick")
    said: list[Message] = []

    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)

        async def kill_nursery() -> None:
            await until(lambda: called(b"sleep 300", below=os.getpid()))
            os.kill(min(called(b"runner_nursery", below=os.getpid())), signal.SIGKILL)

        tasks.start_soon(kill_nursery)
        with pytest.raises(RunnerLost):
            await runners.judge(slow, said.append)
        await runners.judge(quick, said.append)
        await runners.aclose()

    assert outcomes(said)["compile"] is Outcome.PASSED


@pytest.mark.slow
async def test_the_runner_forked_ahead_takes_the_next_job_and_when_it_was_killed_another_does(tmp_path: Path) -> None:
    jobs = [a_job(tmp_path / name) for name in ("one", "two")]
    said: list[list[Message]] = [[], []]

    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        await runners.warm_up()
        await until(lambda: len(called(b"runner_nursery", below=os.getpid())) == 2)
        ahead = max(called(b"runner_nursery", below=os.getpid()))
        await runners.judge(jobs[0], said[0].append)
        await until(lambda: is_gone(ahead))
        await until(lambda: len(called(b"runner_nursery", below=os.getpid())) == 2)
        os.kill(max(called(b"runner_nursery", below=os.getpid())), signal.SIGKILL)
        await until(lambda: len(called(b"runner_nursery", below=os.getpid())) == 1)
        await runners.judge(jobs[1], said[1].append)
        await runners.aclose()

    assert [outcomes(heard)["compile"] for heard in said] == [Outcome.PASSED] * 2
    assert called(b"runner_nursery", below=os.getpid()) == []


@pytest.mark.slow
async def test_a_cancelled_judgement_ends_its_runner_and_what_that_started(tmp_path: Path) -> None:
    job = a_slow_job(tmp_path)
    programs: list[int] = []

    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        async with anyio.create_task_group() as judgement:
            judgement.start_soon(runners.judge, job, lambda _: None)
            await until(lambda: called(b"sleep 300", below=os.getpid()))
            programs += called(b"sleep 300", below=os.getpid())
            judgement.cancel_scope.cancel()

        assert all(map(is_gone, programs))
        await until(lambda: len(called(b"runner_nursery", below=os.getpid())) == 2)
        await runners.aclose()


@pytest.mark.slow
async def test_nothing_is_left_of_a_server_that_was_killed(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.write_text(format_job(a_slow_job(tmp_path / "project")) + "\n")
    # To start a process blocks for a moment, and nobody else waits here.
    with job.open() as line, subprocess.Popen([sys.executable, "-c", SERVER], stdin=line) as server:  # noqa: ASYNC220 - begins at once
        await until(lambda: called(b"sleep 300", below=server.pid))
        below = descendants_of(server.pid)
        server.kill()

        await until(lambda: all(map(is_gone, below)))
