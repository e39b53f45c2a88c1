"""Run a program under limits, and leave nothing of it behind.

Gates, set-up and installation run every program of a project through `run_process`: bounded time, output, memory and
processes; an environment built from an allow-list; every descendant dead before the call returns, be it by the end of
the program, a time-out or cancellation. How that is done stands in `launcher.py` and `supervisor.py`. This holds on
Linux; elsewhere only the process group is killed, and `Finished.isolation` says "none". What a program may touch is its
sandbox's to say (`sandbox.py`); without one it may touch whatever the server may.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import anyio

from .isolation.reach import Confined, Sandbox
from .programs.capture import Capture, collect, collect_waiting, open_pipe, open_stdin
from .programs.descendants import can_adopt, tasks_of_user
from .programs.endings import explain_disk, explain_end, explain_start, has_started, signal_name
from .programs.launching import LAUNCHER, Conversation
from .programs.request import NO_LIMIT, Ending, Request

# RLIMIT_NPROC counts every thread of the user, so it is only the outer wall; the supervisor counts processes exactly.
TASKS_PER_PROCESS = 16
# Counting takes as long as starting a program.
TASKS_COUNTED_EVERY_S = 5.0

COULD_NOT_EXECUTE: Final = 126
NOT_FOUND: Final = 127
# A shell tells by 128 + n that the program which it ran was ended by signal n.
SHELL_SIGNAL_BASE: Final = 128
FATAL_SIGNALS: Final = frozenset(
    {
        *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS),
        *(
            signal.SIGFPE,
            signal.SIGKILL,
            signal.SIGSEGV,
            signal.SIGPIPE,
            signal.SIGALRM,
            signal.SIGTERM,
            signal.SIGXCPU,
        ),
        *(signal.SIGXFSZ, signal.SIGSYS),
    }
)


@dataclass(frozen=True)
class ProcessLimits:
    """Bounds of one program with all its descendants; None means unbounded.

    Memory, processes and disk are measured five times a second: a program may exceed them for that long. The disk is
    what lies below the folders that its sandbox lets it write, from the beginning or by now.
    """

    timeout_s: float
    output_bytes_max: int
    processes_max: int | None = None
    memory_bytes_max: int | None = None
    file_bytes_max: int | None = None
    disk_bytes_max: int | None = None


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    `output` is clean text of standard output and error as they were written, its middle left out above the limit;
    `output_bytes` and `output_sha256` tell about all of it. `stdout` holds the raw bytes of standard output when they
    were asked for, and None when they were not or exceeded their bound; `output` is then standard error alone.
    `problem` is one sentence when the program could not start or was ended for a reason other than time.
    """

    returncode: int | None
    signal: int | None
    timed_out: bool
    output: str
    output_bytes: int
    output_sha256: str
    duration_s: float
    started: bool
    problem: str | None
    isolation: str
    stdout: bytes | None = None


async def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    limits: ProcessLimits,
    stdin: bytes | None = None,
    stdout_bytes_max: int | None = None,
    sandbox: Sandbox | None = None,
) -> Finished:
    """Run `argv` in `cwd` with exactly `environment`, and return when it and all its descendants are dead.

    A program without a slash in its name is looked up on the environment's PATH. Nothing that the program does raises,
    a missing program included. Cancelling the caller kills the program and its descendants before it is passed on.
    With `stdout_bytes_max`, standard output is kept apart and whole up to that many bytes, for programs that report on
    it. Standard input is empty unless given. Memory stays bounded however much is printed.
    """
    # The launcher has another folder than we have.
    cwd = cwd.absolute()  # noqa: ASYNC240 - asking for our folder does not block
    isolation = sandbox.level if sandbox else weakest_level()
    program = Path(argv[0]) if "/" in argv[0] else find_tool(argv[0], environment.get("PATH", ""))
    if program is None:
        return _unstarted(f"The program '{argv[0]}' is not on the PATH.", isolation)
    command = [str(cwd / program), *argv[1:]]
    output = Capture(limits.output_bytes_max)
    stdout = None if stdout_bytes_max is None else Capture(stdout_bytes_max)

    def prepare() -> bytes:
        confined = sandbox.confine(command, cwd=cwd) if sandbox else Confined(command, cwd)
        return _request(confined, environment, limits, sandbox.reach.writable if sandbox else ())

    try:
        ending, is_unheard = await _run(prepare, limits.timeout_s, output, stdout, stdin)
        if is_unheard:
            # The program before this one had killed the launcher; when this one was sent, that did not show yet.
            ending, _ = await _run(prepare, limits.timeout_s, output, stdout, stdin)
    except (OSError, ValueError) as exc:
        return _unstarted(f"The program could not be started: {exc}.", isolation)
    if ending is not None and not has_started(ending):
        said = explain_start(ending, Path(command[0]), cwd, output=output.text(), is_confined=sandbox is not None)
        return _unstarted(said, isolation)
    code = os.waitstatus_to_exitcode(ending.number) if ending and ending.reason == "exit" else None
    places = (cwd, Path(environment.get("TMPDIR", cwd)))
    return Finished(
        returncode=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        timed_out=ending is not None and ending.reason == "timeout",
        output=output.text(),
        output_bytes=output.bytes,
        output_sha256=output.digest.hexdigest(),
        duration_s=ending.duration_us / 1e6 if ending else 0.0,
        started=True,
        problem=explain_end(
            ending,
            memory_bytes_max=limits.memory_bytes_max,
            processes_max=limits.processes_max,
            disk_bytes_max=limits.disk_bytes_max,
        )
        or (explain_disk(places) if code else None),
        isolation=isolation,
        stdout=stdout.whole() if stdout else None,
    )


def judge_exit(finished: Finished) -> str | None:
    """Return why the program could not judge, in one sentence; None when its exit code is an answer."""
    if finished.problem is not None:
        return finished.problem
    if finished.timed_out:
        return f"The program did not end within {finished.duration_s:.0f} s."
    ended_by = finished.signal
    code = finished.returncode
    if code is not None and code - SHELL_SIGNAL_BASE in FATAL_SIGNALS:
        ended_by = code - SHELL_SIGNAL_BASE
    if ended_by is not None:
        return f"The program was ended by {signal_name(ended_by)}."
    if code == COULD_NOT_EXECUTE:
        return "The program could not be executed (exit code 126)."
    if code == NOT_FOUND:
        return "The command names a program that was not found (exit code 127)."
    return None


def weakest_level() -> str:
    """How far a program is isolated without any sandbox: whether whatever it leaves behind can be found and ended."""
    return "process" if can_adopt() else "none"


def find_tool(name: str, path: str, *, outside: Sequence[Path] = ()) -> Path | None:
    """Return the absolute path of the first executable `name` on `path`, or None.

    Relative entries of `path` are skipped: they would be looked up in the artifact. So is whatever lies in a folder
    of `outside`, links resolved. The result is not resolved: a venv's `python` knows its venv by the path it has.
    """
    for folder in map(Path, path.split(os.pathsep) if "/" not in name else ()):
        candidate = folder / name
        if folder.is_absolute() and _is_executable(candidate) and not _is_inside(candidate, outside):
            return candidate
    return None


def by_shell(command: str) -> list[str]:
    """The arguments that run a command line of the policy."""
    return ["/bin/sh", "-c", command]


def allowed_environment(*, path: str, home: Path, tmp: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Build a program's whole environment from nothing: no secret of the server can be in it. `extra` wins."""
    return {
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "TZ": "UTC",
        # Two runs of one commit see the same order of sets, and leave no bytecode for the next.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **extra,
    }


def _request(
    confined: Confined, environment: Mapping[str, str], limits: ProcessLimits, places: Sequence[Path]
) -> bytes:
    request = Request(
        timeout_s=limits.timeout_s,
        processes_max=_or_no_limit(limits.processes_max),
        tasks_of_user_max=_tasks_of_user_max(limits.processes_max),
        memory_bytes_max=_or_no_limit(limits.memory_bytes_max),
        file_bytes_max=_or_no_limit(limits.file_bytes_max),
        disk_bytes_max=_or_no_limit(limits.disk_bytes_max),
        tells_status=confined.tells_status,
        program=os.fsencode(confined.argv[0]),
        cwd=os.fsencode(confined.cwd),
        arguments=[os.fsencode(argument) for argument in confined.argv],
        environment=[os.fsencode(f"{name}={value}") for name, value in environment.items()],
        fence=[(b"w" if may_write else b"r") + os.fsencode(path) for path, may_write in confined.fence or ()],
        places=[os.fsencode(place) for place in places],
    )
    texts = (*request.arguments, *request.environment, *request.fence, *request.places, request.cwd)
    if any(b"\0" in text for text in texts):
        raise ValueError("an argument or a variable holds a NUL character")
    return request.encode()


def _or_no_limit(value: int | None) -> int:
    return NO_LIMIT if value is None else value


def _tasks_of_user_max(processes_max: int | None) -> int:
    # The system does not hold root to this limit.
    if processes_max is None or os.geteuid() == 0:
        return NO_LIMIT
    return _tasks_lately(int(time.monotonic() / TASKS_COUNTED_EVERY_S)) + processes_max * TASKS_PER_PROCESS


@lru_cache(maxsize=1)
def _tasks_lately(_: int) -> int:
    return tasks_of_user(os.geteuid())


async def _run(
    prepare: Callable[[], bytes], timeout_s: float, output: Capture, stdout: Capture | None, stdin: bytes | None
) -> tuple[Ending | None, bool]:
    """Run one request; its ending, or None when its supervisor was lost, and whether none was ever told of it.

    Raises OSError when out of descriptors. The request is prepared while the supervisor wakes up.
    """
    with ExitStack() as opened:
        control, theirs = map(opened.enter_context, socket.socketpair())
        control.setblocking(False)
        captures = (stdout, output) if stdout else (output,)
        pipes = [(*open_pipe(opened), capture) for capture in captures]
        with theirs, opened.enter_context(open_stdin(stdin)) as source:
            writers = [writer.fileno() for _, writer, _ in pipes]
            LAUNCHER.launch([theirs.fileno(), source.fileno(), writers[0], writers[-1]])
        request = prepare()
        # Kept open here, they would hide the end of the output.
        for _, writer, _ in pipes:
            writer.close()
        conversation, ending = Conversation(control), None
        async with anyio.create_task_group() as tasks:
            for reader, _, capture in pipes:
                tasks.start_soon(collect, reader.fileno(), capture)
            ending = await conversation.run(request, timeout_s)
            tasks.cancel_scope.cancel()
        for reader, _, capture in pipes:
            collect_waiting(reader.fileno(), capture)
        return ending, conversation.is_unheard


def _unstarted(problem: str, isolation: str) -> Finished:
    return Finished(
        returncode=None,
        signal=None,
        timed_out=False,
        output="",
        output_bytes=0,
        output_sha256=sha256().hexdigest(),
        duration_s=0.0,
        started=False,
        problem=problem,
        isolation=isolation,
    )


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _is_inside(path: Path, folders: Sequence[Path]) -> bool:
    places = (path.absolute(), path.resolve())
    return any(place.is_relative_to(folder.resolve()) for place in places for folder in folders)
