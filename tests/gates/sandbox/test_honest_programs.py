"""What programs that mean no harm find at every level, and what is said of those that cannot be started."""

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gatewright.gates.process import judge_exit

from .conftest import LEVELS, World, make_world


class TestHonestPrograms:
    """What is kept out must not cost what programs are used to."""

    def test_write_in_their_tree_home_and_temporary_folder(self, world: World) -> None:
        finished = world.shell(
            'mkdir sub && mv calc.py sub && echo x > "$HOME/x" && mktemp && pwd && echo y >/dev/null'
        )

        assert finished.returncode == 0, finished.output
        assert finished.output.endswith(f"{world.tree}\n")

    def test_have_locks_pools_and_shared_memory(self, world: World) -> None:
        code = """
            import multiprocessing as m
            from multiprocessing.shared_memory import SharedMemory
            if __name__ == "__main__":
                with m.get_context("fork").Pool(2) as pool:
                    print(pool.map(abs, [-1, -2]))
                memory = SharedMemory(create=True, size=100)
                memory.close(); memory.unlink()
        """

        assert world.python(code).output == "[1, 2]\n"

    def test_have_the_devices_and_descriptors_of_a_shell(self, world: World) -> None:
        finished = world.run("bash", "-c", "cat <(echo one) | tee /dev/stderr; head -c 4 /dev/urandom | wc -c; id -u")

        assert finished.output == f"one\none\n4\n{os.geteuid()}\n"

    def test_tell_their_exit_code_or_signal(self, world: World) -> None:
        assert world.shell("exit 3").returncode == 3
        assert judge_exit(world.shell("kill -TERM $$")) == "The program was ended by SIGTERM."
        assert judge_exit(world.shell("nothing-of-that-name")) is not None

    def test_that_talk_like_a_sandbox_are_still_judged(self, world: World) -> None:
        finished = world.shell("echo 'bwrap: execvp' >&2; exit 1")

        assert (finished.returncode, finished.problem) == (1, None)
        assert judge_exit(finished) is None

    @pytest.mark.parametrize("around", ["/tmp", "/var/tmp", "/dev/shm"])
    @pytest.mark.parametrize("level", LEVELS)
    def test_run_in_a_repository_below_a_folder_for_what_is_temporary(self, level: str, around: str) -> None:
        with TemporaryDirectory(dir=around) as folder:
            world = make_world(Path(folder), level)
            finished = world.shell("echo x > more.txt && cat calc.py && touch /var/tmp/one && rm /var/tmp/one || true")

            assert (world.tree / "more.txt").read_text() == "x\n", finished.output

    def test_inherit_no_descriptor(self, world: World) -> None:
        assert world.shell("ls /proc/self/fd | wc -l").output == "4\n", "three, and the listing itself"


class TestWhatCannotBeStarted:
    def test_says_that_it_is_out_of_reach(self, closed: World) -> None:
        tool = closed.root / "home" / "tools" / "bin" / "tool"
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)

        finished = closed.run(str(tool))

        assert not finished.started
        assert "outside of what gates may reach" in (judge_exit(finished) or "")

    def test_a_sandbox_that_fails_is_no_verdict(self, full: World) -> None:
        broken = replace(full.reach, writes=(*full.reach.writes, full.root / "missing"))

        finished = full.shell("exit 0", reach=broken)

        assert finished.returncode is None
        assert (judge_exit(finished) or "").startswith("The sandbox could not be set up: Can't find source path")
