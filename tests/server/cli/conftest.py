"""A person's desk: a repository, the command line as a process, in this process and at a terminal."""

import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewright.server.cli.main import main

WITHIN_S = 60.0
PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    writes: ["docs/changes/{change}.md"]
    gates:
      - document: {path: "docs/changes/{change}.md", sections: [Goal]}
  code:
    needs: [plan]
    goal: Make the change.
    gates:
      - command: {name: answer, run: "grep -rqw 42 src"}
land: {needs: [code]}
"""


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Desk:
    """One repository and a person, or an agent on a shell, who works on it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        if not top.exists():
            top.mkdir(parents=True)
            self.git("init", "--quiet")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.top,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def write(self, files: dict[str, str], folder: Path | None = None) -> None:
        for name, text in files.items():
            path = (folder or self.top) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: dict[str, str]) -> str:
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Work")
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Ran:
        """The command line as a process of its own, on pipes."""
        done = subprocess.run(
            [sys.executable, "-m", "gatewright", *arguments],
            cwd=cwd or self.top,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def do(self, *arguments: str, cwd: Path | None = None) -> Ran:
        """The command line in this process: many times faster, for what only has to be done."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(cwd or self.top), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
        return Ran(status, out.getvalue(), err.getvalue())

    def at_terminal(
        self, *arguments: str, answers: Sequence[str] = (), before_answer: Callable[[], None] | None = None
    ) -> Ran:
        """The command line with a terminal on all its streams; an answer is typed at each prompt that ends with `: `,
        `? ` or `] `. `before_answer` runs while the first prompt waits."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.top)
            os.execv(sys.executable, [sys.executable, "-m", "gatewright", *arguments])
        try:
            shown = self._talk(terminal, list(answers), before_answer)
            _, ended = os.waitpid(child, 0)
        finally:
            os.close(terminal)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return Ran(os.waitstatus_to_exitcode(ended), shown, "")

    def at_terminal_output_only(self, *arguments: str, given: str) -> Ran:
        """The command line with a terminal for its output, and input from a pipe."""
        terminal, output = pty.openpty()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "gatewright", *arguments],
                cwd=self.top,
                input=given,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
        finally:
            os.close(output)
            os.close(terminal)
        return Ran(done.returncode, "", done.stderr)

    def stop_server(self) -> None:
        pid_file = self.top / ".git" / "gatewright" / "server.pid"
        if pid_file.exists():
            pid = int(pid_file.read_text())
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _talk(terminal: int, answers: list[str], before_answer: Callable[[], None] | None) -> str:
        shown, deadline = b"", time.monotonic() + WITHIN_S
        seen = 0
        while True:
            readable, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"the command said nothing more after {shown.decode()!r}"
            try:
                data = os.read(terminal, 65_536)
            except OSError:  # Linux says so when the other side has closed
                data = b""
            if not data:
                return shown.decode().replace("\r\n", "\n")
            shown += data
            if shown[seen:].endswith((b": ", b"? ", b"] ")) and answers:
                if before_answer is not None and seen == 0:
                    before_answer()
                seen = len(shown)
                os.write(terminal, f"{answers.pop(0)}\n".encode())


def set_up(desk: Desk) -> Desk:
    """Give the repository a pipeline that needs no environment."""
    desk.commit({"gatewright.yaml": PIPELINE, "src/answer.txt": "42\n"})
    assert main(["--repo", str(desk.top), "init"]) == 0
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty repository on `main`, with a blank and an umlaut in its path."""
    desk = Desk(tmp_path / "my projekt ü")
    yield desk
    desk.stop_server()


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """A repository with a pipeline that needs no environment, set up."""
    return set_up(desk)


@pytest.fixture
def call(desk: Desk) -> Callable[..., Ran]:
    """The command line in this process, in the desk's repository."""
    return desk.do
