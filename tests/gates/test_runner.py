"""The runner: one job in, one message a line out, and nothing left behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from gatewright.gates import kinds, runner_child
from gatewright.gates.contract import (
    BaseResult,
    Done,
    Found,
    Job,
    Merged,
    Message,
    Progress,
    Started,
    format_job,
    format_message,
    parse_job,
    parse_message,
)
from gatewright.gates.kinds.compile import Compile
from gatewright.schemas.pipeline import GateSpec
from gatewright.schemas.records import Evidence, Finding, Outcome

from .kinds.workbench import SAMPLE, Project, use_own_python

CHILD = [sys.executable, "-I", "-m", "gatewright.gates.runner_child"]
WITHIN_S = 30.0
NUMBERS = count(1)


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def send(process: "subprocess.Popen[bytes]", job: Job) -> None:
    assert process.stdin is not None
    process.stdin.write(format_job(job).encode() + b"\n")
    process.stdin.flush()


def messages(process: "subprocess.Popen[bytes]") -> list[Message]:
    assert process.stdout is not None
    return [parse_message(line) for line in process.stdout]


def slow_job(root: Path) -> tuple[Job, str]:
    """A job whose gate starts a process that would run for minutes, and that process's command."""
    command = f"sleep 300.{os.getpid()}{next(NUMBERS)}"
    run = f"setsid sh -c 'exec {command}'; test -f calc.py"
    project = Project(root / "project", [{"command": {"name": "slow", "run": run}}])
    return project.job(project.commit({"more.py": "x = 1\n"})), command


def wait_for(command: str) -> int:
    """The number that the process with this command has here, which is another one where it runs."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if file.read_bytes().split(b"\0")[:-1] == command.encode().split():
                    return int(file.parent.name)
        time.sleep(0.01)
    raise AssertionError(f"{command} did not begin")


def assert_gone(process: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} is still there")


def test_every_message_and_the_job_survive_the_line(tmp_path: Path) -> None:
    finding = Finding("f1", "ruff", "error", "F401", "unused\n\x00ü", "ab", path="a b.py", line=3)
    evidence = Evidence("ruff", "ruff", Outcome.FAILED, 3, "files", "3 files", (finding,), environment=(("ruff", "1"),))
    for message in (Started("ruff"), Found(evidence), BaseResult("k", "v"), Progress("half"), Done()):
        line = format_message(message)
        assert parse_message(line) == message
        assert "\n" not in line
    project = Project(tmp_path, ["compile"])
    job = project.job(
        project.commit({"more.py": ""}), writes=("a/**",), merges=(Merged(project.base, ("b",)),), baselines={"k": "v"}
    )
    assert parse_job(format_job(job)) == job


@pytest.mark.parametrize("line", ["", "{}", "null", '{"started": 1}', '{"evidence": {"gate": "x"}}', '{"done": false}'])
def test_what_no_runner_says_is_no_message(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_message(line)


def test_every_gate_is_told_once_with_scope_and_done_comes_last(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile", {"command": {"name": "files", "run": "test -f calc.py"}}])

    said = project.messages(project.job(project.commit({"more.py": "x = 1\n"})))

    assert sorted(m.gate for m in said if isinstance(m, Started)) == ["compile", "files", "scope"]
    assert sorted(m.evidence.gate for m in said if isinstance(m, Found)) == ["compile", "files", "scope"]
    assert isinstance(said[-1], Done)


def test_a_defect_of_ours_in_one_gate_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Evidence:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Compile, "check", fail)
    project = Project(tmp_path, ["compile", {"command": {"name": "files", "run": "test -f calc.py"}}])

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["compile"].outcome is Outcome.ERRORED
    assert "gatewright itself failed: ZeroDivisionError: ours" in found["compile"].summary
    assert found["files"].outcome is found["scope"].outcome is Outcome.PASSED


def test_a_gate_of_a_kind_that_is_not_there_errs(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"])
    gates = (GateSpec(kind="horoscope", name="review"),)

    found = project.judge(project.commit({"more.py": "x = 1\n"}), gates=gates)

    assert "horoscope" not in kinds.KINDS
    assert found["review"].outcome is Outcome.ERRORED


def test_a_key_file_with_which_setup_fails_is_the_artifacts_fault_and_not_that_of_the_policy(tmp_path: Path) -> None:
    setup = {"run": "grep -q good need.txt", "key": ["need.txt"], "network": False}
    gates = [{"command": {"name": "files", "run": "test -f calc.py"}}]
    project = Project(tmp_path / "a", gates, {**SAMPLE, "need.txt": "good\n"}, setup=setup)
    broken = Project(tmp_path / "b", gates, {**SAMPLE, "need.txt": "bad\n"}, setup=setup)

    blamed = project.judge(project.commit({"need.txt": "bad\n"}))["files"]
    excused = broken.judge(broken.commit({"more.py": "x = 1\n"}))["files"]

    assert (blamed.outcome, [f.path for f in blamed.findings]) == (Outcome.FAILED, ["need.txt"])
    assert excused.outcome is Outcome.ERRORED


class TestTheChild:
    def test_judges_one_job_and_leaves(self, tmp_path: Path, child: "subprocess.Popen[bytes]") -> None:
        project = Project(tmp_path, ["compile"])

        send(child, project.job(project.commit({"more.py": "x = 1\n"})))
        said = messages(child)

        assert isinstance(said[-1], Done)
        assert child.wait(WITHIN_S) == 0
        assert list((tmp_path / "cache" / "scratch").iterdir()) == []

    def test_leaves_without_a_job(self, child: "subprocess.Popen[bytes]") -> None:
        assert child.stdin is not None
        child.stdin.close()

        assert child.wait(WITHIN_S) == 1

    @pytest.mark.parametrize("how", ["signal", "closed input"])
    def test_when_ended_takes_everything_with_it(
        self, tmp_path: Path, child: "subprocess.Popen[bytes]", how: str
    ) -> None:
        job, command = slow_job(tmp_path)
        send(child, job)
        process = wait_for(command)

        assert child.stdin is not None
        child.send_signal(signal.SIGTERM) if how == "signal" else child.stdin.close()
        said = messages(child)

        assert child.wait(WITHIN_S) == 143
        assert Done() not in said
        assert_gone(process)
        assert list((job.cache / "scratch").iterdir()) == []

    @pytest.mark.slow
    def test_when_killed_leaves_no_program_and_its_files_go_with_the_next_job(self, tmp_path: Path) -> None:
        job, command = slow_job(tmp_path)
        with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as killed:
            send(killed, job)
            process = wait_for(command)
            killed.kill()
        assert_gone(process)
        assert list((job.cache / "scratch").iterdir()) != []

        project = Project(tmp_path / "other", ["compile"])
        project.judge(project.commit({"more.py": "x = 1\n"}), cache=job.cache)

        assert list((job.cache / "scratch").iterdir()) == []

    @pytest.mark.slow
    def test_dies_with_its_parent(self, tmp_path: Path) -> None:
        job, command = slow_job(tmp_path)
        line = tmp_path / "job"
        line.write_text(format_job(job) + "\n")
        # The input stays open in another process, so only the parent's death can tell.
        script = (
            "import os, subprocess, sys, json; r, w = os.pipe(); os.set_inheritable(w, True);"
            f"p = subprocess.Popen({CHILD!r}, stdin=r, stdout=subprocess.DEVNULL, close_fds=False);"
            f"os.write(w, open({str(line)!r}, 'rb').read());"
            "print(json.dumps(p.pid), flush=True); p.wait()"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            child = json.loads(parent.stdout.readline())
            process = wait_for(command)
            parent.kill()

        assert_gone(child)
        assert_gone(process)


def test_a_conversation_that_is_reset_ends_the_judgement_as_one_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by chaos: a server that is killed with messages unread resets it, and the runner never noticed."""
    server, runner = socket.socketpair()
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: ended.append(number))
    with runner, runner.makefile("rb") as conversation:
        monkeypatch.setattr(sys, "stdin", conversation)
        runner.send(b"unread")
        server.close()

        runner_child._end_with_input()

    assert ended == [signal.SIGTERM]
