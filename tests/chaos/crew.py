"""Eight agents, each a process; whoever dies is replaced by the next life of the same agent."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .world import World

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal")
CALM_NAMES = ("ivy", "jan", "kim")
LOOK_EVERY_S = 0.2
LEAVE_WITHIN_S = 90.0


class Crew:
    """Agents that live until they are told to stop, however often they are killed."""

    def __init__(self, world: World, seed: str, names: Sequence[str], mood: str) -> None:
        self.lives = 0
        self.problems: list[str] = []
        self._world = world
        self._seed = seed
        self._mood = mood
        self._living: dict[str, subprocess.Popen[bytes]] = {}
        self._ages = dict.fromkeys(names, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name=f"{mood} crew", daemon=True)

    def start(self) -> None:
        """Let everybody begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell them to stop, and wait; who does not is killed, which is a problem."""
        (self._world.root / ("stop" if self._mood == "calm" else "stop-chaos")).touch()
        self._over.set()
        self._thread.join()
        deadline = time.monotonic() + LEAVE_WITHIN_S
        for name, process in self._living.items():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.problems.append(f"{name} did not end within {LEAVE_WITHIN_S:.0f} s of being told to")
                process.kill()
                process.wait()

    def _keep_alive(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            for name in self._ages:
                process = self._living.get(name)
                if process is None or process.poll() is not None:
                    self._note_end(name, process)
                    self._living[name] = self._begin(name)

    def _note_end(self, name: str, process: "subprocess.Popen[bytes] | None") -> None:
        if process is not None and process.returncode >= 0:
            self.problems.append(f"{name} ended by itself with {process.returncode}: see agents.log")

    def _begin(self, name: str) -> "subprocess.Popen[bytes]":
        self._ages[name] += 1
        self.lives += 1
        command = self._command(name, self._ages[name])
        with (self._world.root / "agents.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._world.environment(),
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def _command(self, name: str, age: int) -> list[str]:
        """What starts a life."""
        life = [str(self._world.root), name, str(age), self._seed, self._mood]
        return [sys.executable, "-m", "tests.chaos.worker", *life]


class Seeded(threading.Thread):
    """Somebody who does one thing after the other, at moments drawn from a generator, until told to stop."""

    def __init__(self, name: str, seed: str, pause_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self.random = random.Random(f"{seed}/{name}")
        self.over = threading.Event()
        self._pause_s = pause_s

    def run(self) -> None:
        while not self.over.wait(self.random.expovariate(1 / self._pause_s)):
            self.act()

    def act(self) -> None:
        """One thing."""
        raise NotImplementedError

    def stop(self) -> None:
        """Wait until what is being done now is done."""
        self.over.set()
        self.join()
