"""A repository on a small disk, everything that would else lie in somebody's own folders, and who runs in it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LEASE_S = 6
DISK_BYTES = 300_000_000
COMMAND_TIMEOUT_S = 90.0
END_TIMEOUT_S = 20.0
POLL_S = 0.05
# A server that nobody could end, because the whole run was killed, leaves by itself.
IDLE_S = 60
# Not what lies in the folder that it is started in.
GATEWRIGHT = (sys.executable, "-P", "-m", "gatewright")
MARK = "GATEWRIGHT_TEST_RUN"
# What a gate sees, and what only a reviewer does.
WRONG = "WRONG"
SUBTLE = "SUBTLY"
# What the last stage of every change may write, so that changes come into conflict.
SHARED = "shared.txt"
GATE = f'command: {{name: right, run: "! grep -rqs {WRONG} work"}}'

PIPELINE = f"""\
version: 1
target: main
limits: {{lease: {LEASE_S}}}
stages:
  plan:
    goal: Say what will change.
    writes: ["work/{{change}}/plan.txt"]
    gates: [{GATE}]
  left:
    needs: [plan]
    writes: ["work/{{change}}/left.txt"]
    gates: [{GATE}, review]
  right:
    needs: [plan]
    writes: ["work/{{change}}/right.txt"]
    attempts: 4
    otherwise: {{reopen: plan}}
    gates: [{GATE}]
  join:
    needs: [left, right]
    writes: ["work/{{change}}/join.txt", "{SHARED}"]
    gates: [{GATE}]
land:
  needs: [join]
  strategy: merge
  gates: [{GATE}]
"""


class Role(StrEnum):
    """What a process of this world is."""

    AGENT = "agent"
    BRIDGE = "bridge"
    SERVER = "server"
    NURSERY = "nursery"
    RUNNER = "runner"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Found:
    """A process that is running."""

    pid: int
    parent: int
    role: Role
    command: str


class World:
    """`root` holds everything; `disk` is a small file system below it, where that may be mounted, with the project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = root / "disk"
        self.project = self.disk / "project"
        self.journals = root / "journals"
        self.is_mounted = False
        self.mark = f"{MARK}={root.name}"

    @property
    def state(self) -> Path:
        return self.project / ".git" / "gatewright"

    def environment(self) -> dict[str, str]:
        """Nobody's settings, and a mark by which every process of this world can be found."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GATEWRIGHT_"))}
        name, _, value = self.mark.partition("=")
        return {
            **kept,
            name: value,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "HOME": str(self.root),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_RUNTIME_DIR": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "GATEWRIGHT_IDLE_S": str(IDLE_S),
            "GATEWRIGHT_ISOLATION": "process",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "ada" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ada@example.invalid" for who in ("AUTHOR", "COMMITTER")},
        }

    def git(self, *arguments: str, stdin: str = "") -> str:
        """What git prints in the project."""
        return self.run("git", *arguments, stdin=stdin)

    def run(self, *command: str, stdin: str = "", expected: Sequence[int] = (0,)) -> str:
        """What a program prints; raises `RuntimeError` with what it said when its status is not expected."""
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode not in expected:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout.strip()

    def states(self) -> dict[str, str]:
        """Every change and its state; empty while the store cannot be read."""
        return {row[0]: row[1] for row in self._rows("SELECT id, state FROM change ORDER BY number")}

    def stages(self) -> list[tuple[str, str, str]]:
        """Change, stage and its state, of every change that is active."""
        records = (json.loads(text) for (text,) in self._rows("SELECT record FROM change WHERE state = 'active'"))
        return [(record["id"], stage["name"], stage["state"]) for record in records for stage in record["stages"]]

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        address = f"{(self.state / 'state.db').as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as store:
                return list(store.execute(query))
        except sqlite3.Error:
            return []

    def processes(self) -> list[Found]:
        """Everything of this world that is running, by the mark in its environment; not this process."""
        found = [process for pid in _pids() if (process := _look_at(pid, self.mark.encode())) is not None]
        roles = {process.pid: process.role for process in found}
        return [
            Found(p.pid, p.parent, Role.RUNNER, p.command)
            if p.role is Role.NURSERY and roles.get(p.parent) is Role.NURSERY
            else p
            for p in found
        ]

    def is_running(self, process: Found) -> bool:
        """Whether it still runs and is the same."""
        now = _look_at(process.pid, self.mark.encode())
        return now is not None and now.command == process.command

    def holds_the_disk(self, process: Found) -> bool:
        """Whether it has a file on the disk open."""
        try:
            opened = [place.readlink() for place in Path("/proc", str(process.pid), "fd").iterdir()]
        except OSError:
            return False
        return any(path.is_relative_to(self.disk) for path in opened)

    def kill(self, process: Found) -> bool:
        """Kill it as kill -9 does; False when it has ended."""
        if not self.is_running(process):
            return False
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            return True
        return False

    def end_server(self) -> None:
        """Tell the server to end, as a person would."""
        with suppress(OSError, ValueError):
            os.kill(int((self.state / "server.pid").read_text()), signal.SIGTERM)

    def left_over(self) -> list[Found]:
        """What still runs after everybody had time to end."""
        deadline = time.monotonic() + END_TIMEOUT_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return left


@contextmanager
def make_world(*, keep: bool) -> Generator[World]:
    """Make the folder, the disk and the project, and take them and everything that runs there away at the end."""
    world = World(Path(tempfile.mkdtemp(prefix="gw-chaos-", dir="/tmp")))
    try:
        for folder in (world.disk, world.journals, world.root / "tmp"):
            folder.mkdir()
        world.is_mounted = _mount(world.disk)
        _make_project(world)
        yield world
    finally:
        for process in world.processes():
            world.kill(process)
        world.left_over()
        if not keep:
            if world.is_mounted:
                subprocess.run(["umount", "--lazy", world.disk], check=False)
            shutil.rmtree(world.root, ignore_errors=True)


def _mount(disk: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make_project(world: World) -> None:
    world.project.mkdir()
    (world.project / "gatewright.yaml").write_text(PIPELINE)
    (world.project / SHARED).write_text("Everybody writes here.\n")
    world.git("init", "--quiet", "--initial-branch", "main")
    world.git("add", "--all")
    world.git("commit", "--quiet", "-m", "Begin")
    world.run(*GATEWRIGHT, "init")
    if world.git("status", "--porcelain"):
        world.git("add", "--all")
        world.git("commit", "--quiet", "-m", "Set up gatewright")


def _pids() -> list[int]:
    own = os.getpid()
    return [int(place.name) for place in Path("/proc").glob("[0-9]*") if int(place.name) != own]


def _look_at(pid: int, mark: bytes) -> Found | None:
    place = Path("/proc", str(pid))
    try:
        if mark not in (place / "environ").read_bytes().split(b"\0"):
            return None
        state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return None
    return None if state == "Z" else Found(pid, int(parent), _role_of(command), command)


def _role_of(command: str) -> Role:
    for word, role in (
        ("server-process", Role.SERVER),
        ("runner_nursery", Role.NURSERY),
        ("tests.chaos.worker", Role.AGENT),
        ("gatewright mcp", Role.BRIDGE),
    ):
        if word in command:
            return role
    return Role.OTHER
