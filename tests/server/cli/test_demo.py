"""`gatewright demo`, run as people run it: it tells the whole story, fails when a promise is broken, leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

# `make demo` tells the story in every check; how it fails takes a demo each.
pytestmark = pytest.mark.slow

WITHIN_S = 60.0
END_WITHIN_S = 5.0

# In this order, and each on a line of its own.
STORY = (
    "claim 'plan' at the same moment",
    "is told who has it:",
    'hands in: "All tests pass."',
    "failed: scope passed, compile passed, ruff passed, test failed",
    "tests/test_prices.py:11  TotalTest::test_large_orders_ship_free: AssertionError: 5490 != 5000",
    "waits until ada's time is up, and takes over 'code'",
    "is offered her unsaved work",
    "Your lease on 'code' of c1 has ended: agent 'bob' holds the stage now.",
    "asks a person: scope passed, compile passed, ruff passed, test asks a person",
    "-        self.assertEqual(total([3000, 2000]), 5000)",
    "+        self.assertEqual(total([3000, 2000]), 5490)",
    "refuses: Orders of 50.00 ship free",
    "kills the server (kill -9",
    "passed: scope passed, compile passed, ruff passed, test passed",
    "has noticed nothing",
    "c1 has landed on main as",
    "$ git log --graph --oneline",
    "Land c1: Let customers redeem a voucher",
    "passed every gate in c1",
    "taken over                 1",
    "All of it happened, on a real server,",
)

NO_GATE = "no gate runs the tests"
# One promise broken each, by a change of the demo's own parts or of its sample, and what the demo then says.
SABOTAGES = {
    NO_GATE: (
        """
use(sample.PIPELINE.replace(TEST_GATE, ""))
""",
        "'All tests pass.' is failed, not passed",
    ),
    "the silent agent never loses its stage": (
        """
use(sample.PIPELINE.replace("lease: 2s", "lease: 1h"))
demo_story.CLAIM_WAIT_S = 1
""",
        "lease_held: 'code' of c1 is held by agent 'ada'",
    ),
    "expectations may be changed by anybody": (
        """
use(sample.PIPELINE.replace(TEST_GATE, TEST_GATE.replace("}", ", changed_tests: allow}")))
""",
        "'Correct an outdated test.' is pending, not passed",
    ),
    "nobody is killed": (
        """
demo_killer.until_gone = lambda *_: True
demo_killer.signal = SimpleNamespace(SIGKILL=0)

def play(story):
    ada, bob = story._connect("ada", "bob", told="")
    story._start(ada)
    story._race(ada, bob)
    held = story._claim(bob, "code")
    demo_scratch.write(held.workspace, sample.VOUCHER_TESTS_PATH, sample.VOUCHER_TESTS)
    story._mend_while_the_server_is_killed(bob, held)

demo_story.Story.play = play
""",
        "This should be so and is not: another server judged the same attempt again",
    ),
}
SABOTAGED = """
import sys
from types import SimpleNamespace
from gatewright.server.cli import demo_killer, demo_sample as sample, demo_scratch, demo_story
from gatewright.server.cli.main import main

TEST_GATE = next(line for line in sample.PIPELINE.splitlines(keepends=True) if "- test:" in line)

def use(pipeline):
    assert pipeline != sample.PIPELINE
    demo_scratch.FILES = {**sample.FILES, "gatewright.yaml": pipeline}

exec(sys.argv.pop(1))
sys.exit(main(["demo", *sys.argv[1:]]))
"""


@dataclass(frozen=True)
class Machine:
    """What the demo could leave something in: the folder for temporary files, and a home."""

    root: Path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        environment |= {"TMPDIR": str(self.root / "tmp"), "HOME": str(self.root / "home")}
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_sabotaged(self, broken: str, *arguments: str) -> str:
        """What the demo prints with a promise broken; it must have failed, in a sentence, for that reason."""
        program, said = SABOTAGES[broken]
        with self.start("-c", SABOTAGED, program, *arguments) as process:
            output, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 1, output
        assert said in " ".join(output.split()), output
        assert "Traceback" not in output
        return output

    def left_behind(self) -> list[str]:
        """Files in the folders, and processes that name them or work in them."""
        files = [str(path) for folder in ("tmp", "home") for path in (self.root / folder).iterdir()]
        deadline = time.monotonic() + END_WITHIN_S
        # What was told to end is gone when the processor is free for it.
        while (processes := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return files + [f"process {pid}" for pid in processes]

    def processes(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                named = os.fsencode(self.root) in (entry / "cmdline").read_bytes()
                if named or (entry / "cwd").readlink().is_relative_to(self.root):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not in tmp_path, because the paths of unix sockets end at about a hundred bytes.
    machine = Machine(Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp")))
    for folder in ("tmp", "home"):
        (machine.root / folder).mkdir()
    yield machine
    for pid in machine.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(machine.root)


def test_the_demo_tells_the_whole_story_in_a_minute_and_leaves_nothing_behind(machine: Machine) -> None:
    begun = time.monotonic()

    with machine.start("-m", "gatewright", "demo") as process:
        output, _ = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, output
    assert time.monotonic() - begun < WITHIN_S
    assert _missing(output) == [], output
    assert "\x1b" not in output, "colours on a pipe"
    assert not any(word in output.lower() for word in ("fence", "epoch", "traceback"))
    assert machine.left_behind() == []


@pytest.mark.parametrize("broken", [name for name in SABOTAGES if name != NO_GATE])
def test_the_demo_fails_when_a_promise_is_broken_and_leaves_nothing_behind(machine: Machine, broken: str) -> None:
    output = machine.run_sabotaged(broken)

    assert "--keep" in output
    assert machine.left_behind() == []


def test_a_failed_demo_leaves_its_scratch_folder_on_request_and_nothing_else(machine: Machine) -> None:
    output = machine.run_sabotaged(NO_GATE, "--keep")

    (kept,) = (machine.root / "tmp").iterdir()
    assert f"It stays in {kept}/shop" in output
    assert (kept / "shop" / "gatewright.yaml").is_file()
    assert machine.left_behind() == [str(kept)]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(signal.SIGTERM, "made a small shop", id="while the server starts"),
        pytest.param(signal.SIGINT, "hands in", id="while a gate runs"),
    ],
)
def test_the_demo_can_be_stopped_and_leaves_nothing_behind(
    machine: Machine, number: signal.Signals, moment: str
) -> None:
    with machine.start("-m", "gatewright", "demo") as process:
        assert process.stdout is not None
        assert any(moment in line for line in process.stdout)

        os.killpg(process.pid, number)
        output, _ = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 130, output
    assert output.endswith("Stopped.\n")
    assert machine.left_behind() == []


def _missing(output: str) -> list[str]:
    """What of the story is not there, or not in its place."""
    lines = iter(" ".join(line.split()) for line in output.splitlines())
    return [told for told in STORY if not any(" ".join(told.split()) in line for line in lines)]
