"""What programs may touch, tried by programs that mean harm, at every level that promises to keep them out.

A level that does not work on this machine is skipped, and the reason is why.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import anyio
import pytest

from gatewright.gates.installations import default_reads
from gatewright.gates.process import Finished, ProcessLimits, allowed_environment, judge_exit, run_process
from gatewright.gates.reach import Reach
from gatewright.gates.sandbox import Choice, choose, find_best
from gatewright.schemas.records import Evidence, Outcome

from .kinds.workbench import SAMPLE, Project

PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
LIMITS = ProcessLimits(timeout_s=30, output_bytes_max=20_000)
SECRET = "the secret of this machine"

LEVELS = ("full", "files", "process")
CLOSED = ("full", "files")


@cache
def choice_of(level: str) -> Choice:
    return anyio.run(find_best, {**os.environ, "GATEWRIGHT_ISOLATION": level})


@dataclass(frozen=True)
class World:
    """A machine in a folder, and a program's place in it."""

    root: Path
    level: str
    reach: Reach

    @property
    def tree(self) -> Path:
        return self.root / "cache" / "scratch" / "tree"

    def run(self, *argv: str, limits: ProcessLimits = LIMITS, reach: Reach | None = None) -> Finished:
        environment = allowed_environment(
            path=PATH, home=self.root / "cache" / "run" / "home", tmp=self.root / "cache" / "run" / "tmp", extra={}
        )

        async def call() -> Finished:
            enclose = choice_of(self.level).enclose
            return await run_process(
                argv, cwd=self.tree, environment=environment, limits=limits, sandbox=enclose(reach or self.reach)
            )

        return anyio.run(call)

    def shell(self, script: str, limits: ProcessLimits = LIMITS, reach: Reach | None = None) -> Finished:
        return self.run("sh", "-c", script, limits=limits, reach=reach)

    def python(self, code: str, *arguments: str, reach: Reach | None = None) -> Finished:
        return self.run(sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments, reach=reach)


def make_world(root: Path, level: str) -> World:
    if choice_of(level).level != level:
        pytest.skip(choice_of(level).unreached[level])
    for file in (
        *("home/.ssh/id", "home/tools/bin/tool", "repository/.git/config", "state/store.db"),
        *("cache/checkouts/0/tree/calc.py", "cache/environments/e/lib/module.py", "cache/scratch/other/tree/calc.py"),
        *("cache/scratch/tree/calc.py", "cache/scratch/layer/bin/tool", "store/objects/aa"),
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(SECRET)
    writes = [root / "cache" / "run" / name for name in ("home", "tmp", "shared")]
    for folder in writes:
        folder.mkdir(parents=True)
    python = Path(sys.executable)
    hidden = tuple(root / name for name in ("home", "repository", "state", "cache", "store"))
    reads = default_reads(PATH, python, server=os.environ, variables={}, hidden=hidden)
    granted = [root / READABLE_FOLDERS[name] for name in READABLE_FOLDERS]
    tree = root / "cache" / "scratch" / "tree"
    return World(root, level, Reach((*reads, *granted), (*writes[:2], tree), hidden, writes[2]))


READABLE_FOLDERS = {
    "the checkout pool": "cache/checkouts/0/tree",
    "the environment": "cache/environments/e",
    "the layer": "cache/scratch/layer",
    "the objects of the store": "store/objects",
}
HIDDEN_FILES = {
    "the home": "home/.ssh/id",
    "the shared repository": "repository/.git/config",
    "the database": "state/store.db",
    "another gate's tree": "cache/scratch/other/tree/calc.py",
}


@pytest.fixture(params=LEVELS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """At every level."""
    return make_world(tmp_path, request.param)


@pytest.fixture(params=CLOSED)
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """At the levels that keep files out."""
    return make_world(tmp_path, request.param)


@pytest.fixture
def full(tmp_path: Path) -> World:
    """At the strongest level."""
    return make_world(tmp_path, "full")


class TestHiddenFiles:
    @pytest.mark.parametrize("file", HIDDEN_FILES.values(), ids=HIDDEN_FILES)
    def test_cannot_be_read_by_any_way_around(self, closed: World, file: str) -> None:
        target = shlex.quote(str(closed.root / file))
        script = f"""
            cat {target}; cat /proc/self/root{target}; cat /proc/$PPID/root{target}; cat /proc/1/root{target}
            ln -s {target} link; cat link; ln {target} hard && cat hard; cp -l {target} copy && cat copy
            cat ../../../{shlex.quote(file)}; (exec 9< {target}; cat <&9)
            ls -R /proc/[0-9]*/cwd/ | head -100; find {shlex.quote(str(closed.root))} -name id -exec cat {{}} + ; true
        """

        finished = closed.shell(script)

        assert finished.returncode == 0
        assert SECRET not in finished.output

    @pytest.mark.parametrize("file", HIDDEN_FILES.values(), ids=HIDDEN_FILES)
    def test_cannot_be_written_moved_or_removed(self, closed: World, file: str) -> None:
        target = closed.root / file

        closed.shell(
            f"echo evil > {target}; echo evil >> {target}; rm -f {target}; mv {target} away; mv calc.py {target}; "
            f"truncate -s 0 {target}; cd {target.parent} && mkdir new; ln -s x {target.parent}/link; "
            f"ln -s {target} link; echo evil > link"
        )

        assert target.read_text() == SECRET
        assert [path.name for path in target.parent.iterdir()] == [target.name]

    def test_a_committed_link_to_a_folder_opens_nothing(self, closed: World) -> None:
        (closed.tree / "fixtures").symlink_to(closed.root / "home" / ".ssh")

        finished = closed.shell("cat fixtures/id; echo evil > fixtures/new; cd fixtures && cat id; true")

        assert SECRET not in finished.output
        assert not (closed.root / "home" / ".ssh" / "new").exists()

    def test_stay_hidden_below_a_folder_that_is_granted_and_what_is_granted_below_them_is_seen(
        self, closed: World
    ) -> None:
        home = closed.root / "home"
        reads = (*closed.reach.reads, closed.root, home / "tools")
        reach = replace(closed.reach, reads=reads, hidden=(*closed.reach.hidden, closed.root / "state" / "store.db"))

        assert (
            closed.shell(f"cat {home}/.ssh/id {closed.root}/state/store.db; true", reach=reach).output.count(SECRET)
            == 0
        )
        assert closed.shell(f"cat {home}/tools/bin/tool", reach=reach).output == SECRET


class TestReadableFolders:
    @pytest.mark.parametrize("folder", READABLE_FOLDERS.values(), ids=READABLE_FOLDERS)
    def test_can_be_read_and_not_changed(self, closed: World, folder: str) -> None:
        place = closed.root / folder
        (file,) = (path for path in place.rglob("*") if path.is_file())

        finished = closed.shell(
            f"cat {file}; echo evil > {file}; rm -f {file}; touch {place}/new; mv {place} {place}.away; "
            f"ln {file} {place}/hard; mkfifo {place}/fifo; truncate -s 0 {file}; true"
        )

        assert finished.output.startswith(SECRET)
        assert file.read_text() == SECRET
        assert [path for path in place.rglob("*") if path.is_file()] == [file]

    def test_keep_their_modes_and_times(self, full: World) -> None:
        """Only mounts can do that; landlock knows neither."""
        file = full.root / READABLE_FOLDERS["the layer"] / "bin" / "tool"
        before = file.stat()

        full.shell(f"chmod 777 {file}; touch -d 2001-01-01 {file}; chmod 777 {file.parent}; true")

        assert (file.stat().st_mode, file.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


class TestOtherProcesses:
    def test_do_not_show_their_environment(self, closed: World, monkeypatch: pytest.MonkeyPatch) -> None:
        program = ["sh", "-c", "echo; exec sleep 60"]
        other = subprocess.Popen(program, env={"TOKEN": SECRET, "PATH": PATH}, stdout=subprocess.PIPE)
        with other:
            assert other.stdout is not None
            other.stdout.readline()
            finished = closed.shell("cat /proc/[0-9]*/environ | tr '\\0' '\\n'; true")
            other.kill()

        assert finished.output.count("TMPDIR=") >= 1, "it did see environments"
        assert SECRET not in finished.output

    def test_cannot_be_signalled_or_traced(self, closed: World) -> None:
        attack = """
            import ctypes, os, signal, sys
            runner = int(sys.argv[1])
            ATTACH = 16
            traced = ctypes.CDLL(None).ptrace(ATTACH, runner, 0, 0)
            try:
                os.kill(runner, signal.SIGUSR1)
                signalled = True
            except OSError:
                signalled = False
            try:
                with open(f"/proc/{runner}/mem", "rb"):
                    opened = True
            except OSError:
                opened = False
            print(traced, signalled, opened)
        """
        with subprocess.Popen(["sleep", "60"]) as other:
            finished = closed.python(attack, str(other.pid))
            ended = other.poll()
            other.kill()

        assert finished.output == "-1 False False\n"
        assert ended is None

    def test_are_not_even_listed(self, full: World) -> None:
        assert len(full.shell("ls -d /proc/[0-9]*").output.splitlines()) <= 4

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has any to lose")
    def test_lend_no_capabilities(self, closed: World) -> None:
        finished = closed.shell("grep -E 'Cap(Eff|Prm|Amb|Inh)' /proc/self/status; mknod device b 8 0 || echo refused")

        assert finished.output.count("0000000000000000") == 4
        assert finished.output.endswith("refused\n")


class TestNetwork:
    CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=2); print('in')"

    def test_is_out_of_reach_unless_granted(self, full: World) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            without = full.python(self.CONNECT, port)
            granted = full.python(self.CONNECT, port, reach=replace(full.reach, network=True))

        assert "ConnectionRefusedError" in without.output
        assert granted.output == "in\n"

    def test_sockets_with_abstract_names_are_out_of_reach(self, closed: World) -> None:
        code = "import socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])"
        name = f"gatewright-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"\0{name}")
            server.listen()
            finished = closed.python(code, name)

        assert "Error" in finished.output

    def test_the_own_loopback_works(self, world: World) -> None:
        code = """
            import socket
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_UNIX, "sock")):
                with socket.socket(family) as server:
                    server.bind((host, 0) if family == socket.AF_INET else host)
                    server.listen()
                    with socket.socket(family) as client:
                        client.connect(server.getsockname())
            print(socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0])
        """

        assert world.python(code).output == "127.0.0.1\n"


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
            from gatewright.gates.reach import Reach
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


class TestChoosing:
    def test_a_weaker_level_can_be_asked_for(self) -> None:
        choice = choice_of("process")

        assert choice.level == "process"
        assert choice.unreached["full"] == "GATEWRIGHT_ISOLATION asks for 'process'."

    def test_what_is_missing_is_told(self, tmp_path: Path) -> None:
        python = Path(sys.executable)
        (tmp_path / "python3").symlink_to(python)

        choice = anyio.run(find_best, {"PATH": str(tmp_path), "HOME": str(tmp_path)})

        assert choice.unreached["full"] == "bubblewrap is not installed."
        assert choice.level in ("files", "process")

    def test_a_sandbox_that_keeps_nothing_out_is_found_out(self, tmp_path: Path) -> None:
        fake = tmp_path / "bwrap"
        fake.write_text(
            '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; echo \'{"exit-code": 0}\' >&3; exec "$@"\n'
        )
        fake.chmod(0o755)

        choice = anyio.run(find_best, {"PATH": f"{tmp_path}:{PATH}", "HOME": str(tmp_path)})

        assert choice.level != "full"
        assert choice.unreached["full"].startswith("A trial program could ")

    def test_a_shortfall_says_what_is_reached_what_is_required_and_what_to_do(self) -> None:
        choice = Choice("files", choice_of("process").enclose, {"full": "bubblewrap is not installed."})

        assert choice.explain_shortfall(None) is None
        assert choice.explain_shortfall("files") is None
        assert choice.explain_shortfall("process") is None
        assert choice.explain_shortfall("full") == (
            "The policy requires isolation 'full', and this machine reaches 'files': bubblewrap is not installed. "
            "To mend it, install bubblewrap, and allow it to make user namespaces; `gatewright doctor` tells more."
        )

    def test_is_done_once_for_a_process(self) -> None:
        async def twice() -> bool:
            return await choose() is await choose()

        assert anyio.run(twice)


class TestInTheVerdict:
    def judge(self, tmp_path: Path, **pipeline: object) -> Evidence:
        project = Project(tmp_path, [{"command": {"name": "check", "run": "test -f calc.py"}}], SAMPLE, **pipeline)
        return project.judge(project.commit({"more.py": "x = 1\n"}))["check"]

    @pytest.mark.parametrize("level", LEVELS)
    def test_stands_the_level_that_was_reached(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
    ) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", level)
        reached = choice_of(level).level

        evidence = self.judge(tmp_path, require_isolation=reached)

        assert (evidence.outcome, evidence.isolation) == (Outcome.PASSED, reached)

    def test_a_gate_errs_where_the_policy_requires_more(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")

        evidence = self.judge(tmp_path, require_isolation="files")

        assert evidence.outcome is Outcome.ERRORED
        assert "The policy requires isolation 'files', and this machine reaches 'process'" in evidence.summary

    def test_neither_set_up_nor_installation_runs_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        witness = tmp_path / "witness"
        ran = {"run": f"touch {witness}"}

        evidence = self.judge(
            tmp_path, require_isolation="full", setup={**ran, "key": ["calc.py"], "network": False}, install=ran
        )

        assert evidence.outcome is Outcome.ERRORED
        assert not witness.exists()

    def test_what_the_base_did_at_another_level_counts_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What fails in the sandbox only would otherwise be the artifact's fault."""
        outside = tmp_path / "outside.txt"
        outside.write_text("")
        lint = (
            "if test -e bad.txt; then echo bad.txt:1: error: it is bad; exit 1; fi; "
            f"if ! cat {outside}; then echo calc.py:1: error: it is not there; exit 1; fi"
        )
        project = Project(tmp_path / "p", [{"command": {"name": "check", "run": lint, "report": "lines"}}], SAMPLE)
        if choice_of("files").level != "files":
            pytest.skip(choice_of("files").unreached["files"])
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        failed = project.judge(project.commit({"bad.txt": "x\n"}, on=project.base))["check"]
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "files")
        passed = project.judge(project.commit({"more.py": "x = 1\n"}, on=project.base))["check"]

        assert (failed.outcome, passed.outcome) == (Outcome.FAILED, Outcome.PASSED)
        assert len(project.baselines) == 2

    def test_a_gate_reaches_neither_the_repository_nor_the_checkouts_of_others(self, tmp_path: Path) -> None:
        level = choice_of("full").level
        if level == "process":
            pytest.skip("nothing keeps files out here")
        attack = (
            f"cat {tmp_path}/repository/.git/config; ls {tmp_path}/cache/checkouts {tmp_path}/cache; git log -1; true"
        )
        project = Project(tmp_path, [{"command": {"name": "check", "run": f"{attack}; exit 1"}}])

        said = project.judge(project.commit({"more.py": "x = 1\n"}))["check"].output

        assert "[core]" not in said
        assert "def add" not in said
        assert "Work" in said, "git answers in the private tree"


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
