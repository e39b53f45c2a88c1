"""Promises of gates/process.py, on real processes."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from gatewright.gates.isolation.reach import Confined, Reach
from gatewright.gates.process import (
    Finished,
    ProcessLimits,
    allowed_environment,
    find_tool,
    judge_exit,
    run_process,
)
from gatewright.gates.programs import launching

PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
LIMITS = ProcessLimits(timeout_s=30, output_bytes_max=10_000)
# Starts a daemon in a session of its own that holds the output open, and writes the daemon's pid to the file "daemon".
DAEMON = "setsid sh -c 'echo $$ > daemon.new; mv daemon.new daemon; exec sleep 300' & until [ -e daemon ]; do :; done; "

needs_adoption = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return allowed_environment(path=PATH, home=folder, tmp=folder, extra=extra or {})


def run(argv: Sequence[str], cwd: Path, limits: ProcessLimits = LIMITS, **options: object) -> Finished:
    call = partial(run_process, argv, cwd=cwd, environment=environment(cwd), limits=limits, **options)  # type: ignore[arg-type]  # any
    return anyio.run(call)


def shell(script: str, cwd: Path, limits: ProcessLimits = LIMITS, **options: object) -> Finished:
    return run(["sh", "-c", script], cwd, limits, **options)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def daemon_of(folder: Path) -> int:
    return int((folder / "daemon").read_text())


def test_the_exit_code_and_both_streams_in_order_are_told(tmp_path: Path) -> None:
    finished = shell("echo one; echo two >&2; echo three; exit 3", tmp_path)

    assert (finished.returncode, finished.signal, finished.timed_out) == (3, None, False)
    assert finished.output == "one\ntwo\nthree\n"
    assert finished.output_bytes == 14
    assert finished.output_sha256 == hashlib.sha256(b"one\ntwo\nthree\n").hexdigest()
    assert finished.started
    assert finished.problem is None
    assert judge_exit(finished) is None


def test_standard_output_is_kept_apart_and_raw_on_request(tmp_path: Path) -> None:
    finished = shell("printf '\\033[1m{}\\000'; echo warning >&2", tmp_path, stdout_bytes_max=5)

    assert finished.stdout is None, "six bytes are more than five"

    finished = shell("printf '\\033[1m{}\\000'; echo warning >&2", tmp_path, stdout_bytes_max=7)

    assert finished.stdout == b"\033[1m{}\0"
    assert finished.output == "warning\n"


def test_standard_input_is_empty_unless_given(tmp_path: Path) -> None:
    content = b"x" * 1_000_000

    assert run(["wc", "-c"], tmp_path).output.strip() == "0"
    assert run(["wc", "-c"], tmp_path, stdin=content).output.strip() == "1000000"
    assert run(["true"], tmp_path, stdin=content).returncode == 0, "a program need not read it"


def test_long_arguments_arrive_whole(tmp_path: Path) -> None:
    """More than a socket takes at once."""
    arguments = ["x" * 50_000] * 20

    assert run(["sh", "-c", 'printf %s "$@" | wc -c', "sh", *arguments], tmp_path).output.strip() == "1000000"


def test_a_large_output_is_read_whole_but_only_its_ends_are_kept(tmp_path: Path) -> None:
    script = "echo first; head -c 150000000 /dev/zero; echo; echo last"
    run(["true"], tmp_path)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    finished = shell(script, tmp_path, ProcessLimits(timeout_s=60, output_bytes_max=1000))

    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert finished.output_bytes == 150_000_012
    assert finished.output.startswith("first\n")
    assert finished.output.endswith("\nlast\n")
    assert "\n... 149999012 bytes left out ...\n" in finished.output
    assert grown_kb < 16_000


def test_output_without_control_sequences_is_what_people_and_agents_see(tmp_path: Path) -> None:
    finished = shell("printf '\\033[31mred\\033[0m\\r\\nback\\342\\200\\256wards\\a'", tmp_path)

    assert finished.output == "red\nbackwards"


def test_the_program_sees_exactly_the_environment_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_TOKEN", "secret")

    finished = run(["env"], tmp_path)

    assert dict(line.split("=", 1) for line in finished.output.splitlines()) == environment(tmp_path)


@needs_adoption
def test_neither_parent_shows_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean environment is worth little when /proc/PID/environ of the parent holds the secret."""
    monkeypatch.setenv("SERVER_TOKEN", "secret")
    launching.LAUNCHER.stop()  # started anew, now that there is something to leak

    finished = shell('cat /proc/$PPID/environ "/proc/$(cut -d" " -f4 /proc/$PPID/stat)/environ"; echo end', tmp_path)

    assert finished.output == "end\n"


@needs_adoption
def test_a_program_inherits_no_descriptor_no_core_dumps_and_a_plain_mask(tmp_path: Path) -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))"
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        descriptors = run([sys.executable, "-c", code], tmp_path)

    assert descriptors.output == "['0', '1', '2'] 4\n", "the fourth is the listing itself"
    assert shell("ulimit -c; umask", tmp_path).output == "0\n0022\n"
    assert shell("yes | head -1; ulimit -c", tmp_path).output == "y\n0\n", "SIGPIPE has its default action"


@needs_adoption
def test_a_daemon_that_holds_the_output_open_is_dead_when_the_program_has_ended(tmp_path: Path) -> None:
    finished = shell(DAEMON + "echo done", tmp_path)

    assert finished.output == "done\n"
    assert finished.duration_s < 20
    assert not is_alive(daemon_of(tmp_path))


@pytest.mark.slow
@needs_adoption
def test_a_time_out_kills_every_descendant(tmp_path: Path) -> None:
    finished = shell(DAEMON + "echo begun; sleep 300", tmp_path, ProcessLimits(timeout_s=1, output_bytes_max=1000))

    assert finished.timed_out
    assert finished.returncode is None
    assert finished.output == "begun\n", "what was printed until then is kept"
    assert 1 <= finished.duration_s < 10
    assert judge_exit(finished) == "The program did not end within 1 s."
    assert not is_alive(daemon_of(tmp_path))


@needs_adoption
def test_cancelling_the_caller_kills_every_descendant_before_it_is_passed_on(tmp_path: Path) -> None:
    async def cancel_when_the_daemon_runs() -> bool:
        async with anyio.create_task_group() as tasks:
            command = ["sh", "-c", DAEMON + "sleep 300"]
            tasks.start_soon(
                partial(run_process, command, cwd=tmp_path, environment=environment(tmp_path), limits=LIMITS)
            )
            with anyio.fail_after(10):
                while not (tmp_path / "daemon").exists():  # noqa: ASYNC110 (another process's file has no event)
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        return is_alive(daemon_of(tmp_path))

    assert not anyio.run(cancel_when_the_daemon_runs)


@needs_adoption
def test_the_end_of_one_program_leaves_the_processes_of_another_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()

    async def run_both() -> tuple[bool, bool]:
        alive = False, False
        async with anyio.create_task_group() as tasks:
            command = ["sh", "-c", DAEMON + "sleep 300"]
            tasks.start_soon(partial(run_process, command, cwd=one, environment=environment(one), limits=LIMITS))
            with anyio.fail_after(10):
                while not (one / "daemon").exists():  # noqa: ASYNC110 - of another process
                    await anyio.sleep(0.01)
            await run_process(["sh", "-c", DAEMON], cwd=other, environment=environment(other), limits=LIMITS)
            alive = is_alive(daemon_of(one)), is_alive(daemon_of(other))
            tasks.cancel_scope.cancel()
        return alive

    assert anyio.run(run_both) == (True, False)


@needs_adoption
def test_a_program_that_kills_its_supervisor_could_not_be_judged_and_leaves_nothing(tmp_path: Path) -> None:
    finished = shell(DAEMON + "kill -9 $PPID; sleep 300", tmp_path)

    assert finished.returncode is None
    assert judge_exit(finished) == "What watched over the program was killed or did not answer."
    assert not is_alive(daemon_of(tmp_path))


@pytest.mark.slow
@needs_adoption
def test_a_program_that_stops_its_supervisor_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "KILL_TIME_S", 0.2)
    monkeypatch.setattr(launching, "GRACE_S", 0.2)

    finished = shell(
        DAEMON + "kill -STOP $PPID; sleep 300", tmp_path, ProcessLimits(timeout_s=0.5, output_bytes_max=100)
    )

    assert judge_exit(finished) == "What watched over the program was killed or did not answer."
    assert not is_alive(daemon_of(tmp_path))


@needs_adoption
def test_after_a_program_has_killed_the_launcher_the_next_one_runs(tmp_path: Path) -> None:
    killer = shell('kill -9 "$(cut -d" " -f4 /proc/$PPID/stat)"; echo still here', tmp_path)

    assert killer.output == "still here\n"
    assert shell("echo next", tmp_path).output == "next\n"


@needs_adoption
def test_after_a_program_has_killed_the_supervisor_in_reserve_the_next_one_runs(tmp_path: Path) -> None:
    script = (
        'launcher=$(cut -d" " -f4 /proc/$PPID/stat); '
        "until [ -e reserve ]; do for pid in $(cat /proc/$launcher/task/$launcher/children); do "
        "[ $pid = $PPID ] || { kill -9 $pid; echo $pid > reserve; }; done; done; "
        "while kill -0 $(cat reserve) 2> /dev/null; do :; done; echo still here"
    )

    assert shell(script, tmp_path).output == "still here\n"
    assert shell("echo next", tmp_path).output == "next\n"


@needs_adoption
def test_a_killed_runner_takes_its_programs_and_their_daemons_along(tmp_path: Path) -> None:
    """The daemons hold a pipe open for writing: its end tells that they are dead."""
    os.mkfifo(tmp_path / "life")
    script = "setsid sh -c 'exec sleep 300 > life' & sleep 300 > life"
    program = (
        "import anyio; from pathlib import Path; from gatewright.gates.process import *\n"
        f"run = lambda: run_process(['sh', '-c', {script!r}], cwd=Path('.'), environment={{'PATH': {PATH!r}}},"
        " limits=ProcessLimits(300, 100))\n"
        "anyio.run(run)"
    )
    runner = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    with (tmp_path / "life").open("rb") as life:  # returns when a writer is there
        runner.kill()
        runner.wait()

        assert life.read() == b""


@needs_adoption
def test_more_processes_than_allowed_end_the_program(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 300 & done; wait"

    finished = shell(script, tmp_path, ProcessLimits(timeout_s=30, output_bytes_max=100, processes_max=5))

    assert judge_exit(finished) == "The program ran more than 5 processes at once."
    assert finished.duration_s < 20


@needs_adoption
def test_more_memory_than_allowed_ends_the_program(tmp_path: Path) -> None:
    code = "import time; kept = bytearray(b'x') * 200_000_000; time.sleep(300)"

    finished = run([sys.executable, "-c", code], tmp_path, ProcessLimits(30, 100, memory_bytes_max=100_000_000))

    assert judge_exit(finished) == "The program used more than 100 MB of memory."


@pytest.mark.slow
@needs_adoption
def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    code = (
        "import os, time; kept = bytearray(b'x') * 60_000_000\n"
        "for _ in range(5):\n    if not os.fork(): time.sleep(1); os._exit(0)\n"
        "for _ in range(5): os.wait()"
    )

    finished = run([sys.executable, "-c", code], tmp_path, ProcessLimits(30, 1000, memory_bytes_max=150_000_000))

    assert (finished.returncode, finished.problem, finished.output) == (0, None, "")


def test_a_file_larger_than_allowed_cannot_be_written(tmp_path: Path) -> None:
    finished = shell("head -c 100000 /dev/zero > big", tmp_path, ProcessLimits(30, 1000, file_bytes_max=50_000))

    assert finished.returncode != 0
    assert (tmp_path / "big").stat().st_size == 50_000


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["no-such-tool"], "The program 'no-such-tool' is not on the PATH."),
        (["./missing"], "The program '{folder}/missing' does not exist."),
        (["./data"], "The program '{folder}/data' is not executable."),
        (["./script"], "The interpreter that '{folder}/script' names in its first line is missing."),
        (["./binary"], "The program '{folder}/binary' could not be executed: Exec format error."),
        (["true", "a\0b"], "The program could not be started: an argument or a variable holds a NUL character."),
    ],
)
def test_a_program_that_cannot_start_is_told_in_one_sentence(tmp_path: Path, argv: list[str], sentence: str) -> None:
    (tmp_path / "data").write_text("")
    for name, content in {"script": "#!/no/such/interpreter\n", "binary": "\x7fELF"}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)

    finished = run(argv, tmp_path)

    assert not finished.started
    assert finished.returncode is None
    assert judge_exit(finished) == sentence.format(folder=tmp_path)


def test_a_folder_that_does_not_exist_is_told_in_one_sentence(tmp_path: Path) -> None:
    finished = run(["true"], tmp_path / "gone")

    assert judge_exit(finished) == f"The folder '{tmp_path}/gone' cannot be entered: No such file or directory."


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 0", None),
        ("exit 1", None),
        ("exit 5", None),
        ("exit 125", None),
        ("exit 255", None),
        ("exit 126", "The program could not be executed (exit code 126)."),
        ("no-such-tool", "The command names a program that was not found (exit code 127)."),
        ("kill -9 $$", "The program was ended by SIGKILL."),
        ("sh -c 'kill -11 $$'; exit $?", "The program was ended by SIGSEGV."),
    ],
)
def test_an_exit_is_an_answer_unless_the_program_could_not_judge(
    tmp_path: Path, script: str, sentence: str | None
) -> None:
    assert judge_exit(shell(script, tmp_path)) == sentence


def test_a_failure_on_a_full_disk_is_not_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.gates.programs.endings.DISK_FREE_BYTES_MIN", 1 << 80)

    assert judge_exit(shell("exit 1", tmp_path)) == f"The disk of '{tmp_path}' is full."
    assert judge_exit(shell("exit 0", tmp_path)) is None


def test_a_sandbox_gets_the_resolved_command_and_its_level_is_told(tmp_path: Path) -> None:
    class Echo:
        level = "full"
        reach = Reach((), (), (), tmp_path)

        def confine(self, argv: Sequence[str], *, cwd: Path) -> Confined:
            return Confined(["/bin/echo", str(cwd), *argv], Path("/"))

    finished = run(["sh", "-c", "true"], tmp_path, sandbox=Echo())

    assert finished.output == f"{tmp_path} {find_tool('sh', PATH)} -c true\n"
    assert finished.isolation == "full"


def test_a_tool_is_found_by_absolute_entries_outside_the_artifact_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, tools = tmp_path / "tree", tmp_path / "tools"
    for folder in (tree, tools):
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\n")
        (folder / "tool").chmod(0o755)
    (tools / "data").write_text("")
    (tmp_path / "link").symlink_to(tree)
    monkeypatch.chdir(tree)

    assert find_tool("tool", f".::{tools}") == tools / "tool"
    assert find_tool("tool", f"{tree}:{tmp_path / 'link'}:{tools}", outside=[tree]) == tools / "tool"
    assert find_tool("tool", ".:") is None
    assert find_tool("./tool", str(tools)) is None
    assert find_tool("data", str(tools)) is None


def test_many_programs_run_side_by_side(tmp_path: Path) -> None:
    results: list[str] = []

    async def one(number: int) -> None:
        command = ["sh", "-c", f"echo {number}; sleep 300 & exit 0"]
        finished = await run_process(command, cwd=tmp_path, environment=environment(tmp_path), limits=LIMITS)
        results.append(finished.output)

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(one, number)

    descriptors = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    anyio.run(all_of_them)

    assert sorted(results) == sorted(f"{number}\n" for number in range(40))
    if sys.platform == "linux":
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors, "no descriptor is left open"


def test_a_program_ended_by_a_signal_of_its_own_tells_which(tmp_path: Path) -> None:
    finished = shell("kill -TERM $$", tmp_path)

    assert finished.signal == signal.SIGTERM
    assert finished.returncode is None
