"""What a program leaves, running or on the disk, is ended, counted and taken away."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from gatewright.gates.process import judge_exit

from .conftest import LIMITS, PATH, World


class TestNothingIsLeft:
    DAEMON = "import os\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  os.execvp('sleep', ['sleep', '{}'])\n"

    def test_of_daemons_and_their_children(self, world: World) -> None:
        mounts = Path("/proc/self/mountinfo").read_text()
        seconds = f"300.{os.getpid()}1"

        finished = world.python(self.DAEMON.format(seconds))

        assert finished.returncode == 0
        assert not any(seconds in command for command in commands_running())
        assert Path("/proc/self/mountinfo").read_text() == mounts

    def test_when_the_runner_is_killed_in_the_middle(self, world: World) -> None:
        seconds = f"300.{os.getpid()}2"
        reach = world.reach
        program = f"""
            import anyio
            from pathlib import Path, PosixPath
            from gatewright.gates.process import ProcessLimits, run_process
            from gatewright.gates.isolation.reach import Reach
            from gatewright.gates.sandbox import choose
            async def main():
                sandbox = (await choose()).enclose({reach!r})
                await run_process(["sh", "-c", "setsid sleep {seconds} & touch up; sleep {seconds}"],
                    cwd=Path({str(world.tree)!r}), environment={{"PATH": {PATH!r}}},
                    limits=ProcessLimits(timeout_s=60, output_bytes_max=100), sandbox=sandbox)
            anyio.run(main)
        """
        environment = {**os.environ, "GATEWRIGHT_ISOLATION": world.level}
        runner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=environment)
        with runner:
            wait_until((world.tree / "up").exists)
            assert any(seconds in command for command in commands_running())

            runner.send_signal(signal.SIGKILL)

        wait_until(lambda: not any(seconds in command for command in commands_running()))


class TestDisk:
    LIMITS = replace(LIMITS, disk_bytes_max=20_000_000)

    @pytest.mark.parametrize("place", ["$TMPDIR", "$HOME", "$PWD"])
    def test_beyond_the_limit_ends_the_program(self, world: World, place: str) -> None:
        finished = world.shell(f'head -c 60000000 /dev/zero > "{place}/big"; sleep 30', self.LIMITS)

        assert judge_exit(finished) == "The program used more than 20 MB of disk."

    @pytest.mark.slow
    def test_below_it_does_not(self, world: World) -> None:
        finished = world.shell("head -c 10000000 /dev/zero > big; truncate -s 1G sparse; sleep 1", self.LIMITS)

        assert finished.returncode == 0
        assert judge_exit(finished) is None

    @pytest.mark.parametrize(
        "script",
        [
            "exec 9> big; rm big; head -c 60000000 /dev/zero >&9; sleep 30",
            "for i in $(seq 40); do mkdir d$i; head -c 2000000 /dev/zero > d$i/f; done; sleep 30",
        ],
        ids=["a file without a name", "many small ones"],
    )
    def test_is_found_where_it_hides(self, world: World, script: str) -> None:
        assert judge_exit(world.shell(script, self.LIMITS)) == "The program used more than 20 MB of disk."

    @pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm"])
    def test_of_the_usual_places_is_the_runs_own_and_counts(self, full: World, place: str) -> None:
        name = f"gatewright-{os.getpid()}"

        finished = full.shell(f"head -c 60000000 /dev/zero > {place}/{name}; sleep 30", self.LIMITS)

        assert judge_exit(finished) == "The program used more than 20 MB of disk."
        assert not Path(place, name).exists()

    def test_is_nowhere_else_to_be_had(self, full: World) -> None:
        """A mount that lives in memory would be bounded by nothing."""
        mounts = full.shell("cat /proc/self/mountinfo").output.splitlines()
        found = full.shell(
            "touch /x /dev/x /run/x /var/x; find / -maxdepth 3 -type d -writable ! -path '/proc/*' 2>/dev/null"
        ).output

        assert any("tmpfs" in mount for mount in mounts), "there are such mounts"
        own = ("/tmp", "/dev/shm", "/dev/pts", str(full.root))
        assert [line for line in found.splitlines() if line.startswith("/") and not line.startswith(own)] == []


def commands_running() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes().decode("utf-8", "replace")


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async def wait() -> None:
        with anyio.fail_after(timeout_s):
            while not condition():  # noqa: ASYNC110 - another process's doing has no event
                await anyio.sleep(0.02)

    anyio.run(wait)
