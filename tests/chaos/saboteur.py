"""Kills processes as kill -9 does, fills the disk, and takes away the right to write to it."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from .crew import Seeded
from .world import Role, World

PAUSE_S = 1.5
FAULT_S = (0.5, 3.0)
REMOUNT_TRIES_MAX = 20
REMOUNT_PAUSE_S = 0.02
FILL_BYTES = 1_000_000
WEIGHTS: Mapping[str, int] = {
    Role.AGENT: 20,
    Role.BRIDGE: 16,
    Role.SERVER: 16,
    Role.RUNNER: 26,
    Role.NURSERY: 6,
    "disk full": 8,
    "disk read-only": 8,
}


class Saboteur(Seeded):
    """`done` counts what was done to whom."""

    def __init__(self, world: World, seed: str) -> None:
        super().__init__("saboteur", seed, PAUSE_S)
        self.done: Counter[str] = Counter()
        self._world = world

    def act(self) -> None:
        order = sorted(WEIGHTS, key=lambda deed: self.random.random() ** (1 / WEIGHTS[deed]), reverse=True)
        duration_s = self.random.uniform(*FAULT_S)
        choice = self.random.random()
        for deed in order:
            # Whoever is not there cannot be killed: then the next.
            if self._do(deed, duration_s, choice):
                return

    def stop(self) -> None:
        super().stop()
        if self._world.is_mounted:
            self._filler.unlink(missing_ok=True)
            self._remount("rw")

    def _do(self, deed: str, duration_s: float, choice: float) -> bool:
        if deed in DISK_FAULTS:
            return self._world.is_mounted and DISK_FAULTS[deed](self, duration_s)
        return self._kill(Role(deed), choice)

    @property
    def _filler(self) -> Path:
        return self._world.disk / "filler"

    def _kill(self, role: Role, choice: float) -> bool:
        found = [process for process in self._world.processes() if process.role is role]
        is_done = bool(found) and self._world.kill(found[int(choice * len(found))])
        self.done[f"{role} killed"] += is_done
        return is_done

    def _fill(self, duration_s: float) -> bool:
        """Until there is no room for a byte."""
        block = b"x" * FILL_BYTES
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(block)
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x")
        self.done["disk full"] += 1
        self.over.wait(duration_s)
        self._filler.unlink(missing_ok=True)
        return True

    def _forbid_writing(self, duration_s: float) -> bool:
        """The system refuses while anybody has a file open for writing: so whoever has is killed first."""
        for _ in range(REMOUNT_TRIES_MAX):
            for process in self._world.processes():
                if self._world.holds_the_disk(process):
                    self._world.kill(process)
            if self._remount("ro"):
                self.done["disk read-only"] += 1
                self.over.wait(duration_s)
                return self._remount("rw")
            time.sleep(REMOUNT_PAUSE_S)
        return False

    def _remount(self, options: str) -> bool:
        command = ["mount", "-o", f"remount,{options}", str(self._world.disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


DISK_FAULTS: Mapping[str, Callable[[Saboteur, float], bool]] = {
    "disk full": Saboteur._fill,
    "disk read-only": Saboteur._forbid_writing,
}
