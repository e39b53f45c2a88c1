"""A person at a terminal: answers what waits, and now and then reopens or cancels something that nobody asked about."""

import os
import pty
import re
import select
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from .crew import Seeded
from .world import GATEWRIGHT, World

PAUSE_S = 2.5
ANSWER_TIMEOUT_S = 60.0
READ_BYTES = 65_536
CANCELLED_OF_ALL = 0.06
REOPENED_OF_ALL = 0.4
TYPE_THIS = re.compile(r"Type (\S+) to [^\n]*:\s*$")
YES_OR_NO = re.compile(r"\[y/N\]:?\s*$", re.IGNORECASE)
YOUR_ANSWER = re.compile(r"Your answer:\s*$")


class Person(Seeded):
    """`done` counts the commands that were carried out, and those that were not."""

    def __init__(self, world: World, seed: str, *, is_calm: bool) -> None:
        super().__init__("calm person" if is_calm else "person", seed, PAUSE_S / 2 if is_calm else PAUSE_S)
        self.done: Counter[str] = Counter()
        self._log = world.root / "people.log"
        self._world = world
        self._is_calm = is_calm

    def act(self) -> None:
        """Look at where everything stands, and do one thing about it."""
        stages = self._world.stages()
        passed = [place for place in stages if place[2] == "passed"]
        waiting = [place for place in stages if place[2] == "escalated"]
        choice = self.random.random()
        if not self._is_calm and choice < CANCELLED_OF_ALL and stages:
            change, _, _ = self.random.choice(stages)
            self._command("cancel", change, "--reason", "Nobody wants it any more.")
        elif not self._is_calm and choice < REOPENED_OF_ALL and passed:
            change, stage, _ = self.random.choice(passed)
            self._command("reopen", change, stage, "--reason", "I thought again.")
        elif waiting:
            change, stage, _ = self.random.choice(waiting)
            self._help(change, stage)

    def _help(self, change: str, stage: str) -> None:
        """Whatever gets an escalated stage going: one of these is what its cause asks for."""
        for command in (
            ("answer", change, stage, "--note", "Go on."),
            ("grant-attempts", change, stage),
            ("retry-gates", change, stage),
            ("reopen", change, stage, "--reason", "Begin again."),
        ):
            if self._command(*command):
                return

    def _command(self, *words: object) -> bool:
        """Run a command on a terminal and confirm all that it asks; whether it was carried out."""
        status, read = _on_a_terminal(self._world, [*self._program(), *map(str, words)], self._environment())
        self.done[f"{words[0]}" if status == 0 else f"{words[0]} refused"] += 1
        if status != 0:
            self._note(f"{' '.join(map(str, words))}: {status}: {read}")
        return status == 0

    def _program(self) -> list[str]:
        return [*GATEWRIGHT, "--repo", str(self._world.project)]

    def _environment(self) -> dict[str, str]:
        return self._world.environment()

    def _note(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")


def _on_a_terminal(world: World, command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    screen, keyboard = pty.openpty()
    process = subprocess.Popen(
        command,
        env={**environment, "NO_COLOR": "1"},
        cwd=world.root,
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
    )
    os.close(keyboard)
    try:
        read = _converse(screen)
        return process.wait(ANSWER_TIMEOUT_S), read
    except subprocess.TimeoutExpired:
        return -1, "no end"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(screen)


def _converse(screen: int) -> str:
    """Everything that was shown; each question is answered with what it wants to hear."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    read, answered = "", 0
    while time.monotonic() < deadline:
        readable, _, _ = select.select([screen], [], [], 1.0)
        if not readable:
            continue
        try:
            data = os.read(screen, READ_BYTES)
        except OSError:
            break  # Linux answers so when the program at the other end has ended
        if not data:
            break
        read += data.decode("utf-8", "replace").replace("\r\n", "\n")
        if found := TYPE_THIS.search(read, answered):
            answer = found[1]
        elif YES_OR_NO.search(read, answered):
            answer = "y"
        elif YOUR_ANSWER.search(read, answered):
            answer = "Go on."
        else:
            continue
        answered = len(read)
        os.write(screen, f"{answer}\n".encode())
    return read
