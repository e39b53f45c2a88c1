"""The supervisor of one program: starts it, watches its limits, and ends only when no descendant is left.

It adopts the program's orphans, so that several programs run side by side and ending one never touches another's
processes; daemons in sessions of their own are found too. It kills when the program ended, when time, memory or
processes are used up, and when the control socket closes: a runner that is killed closes it as well.

The runner sends a `Request` over the control socket; the supervisor answers with its pid and one `Ending`, a line each.
Standard library only: it runs in a fork of the launcher, made ahead of the program.
"""

import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from .descendants import adopt_orphans, descendants_of, kill_descendants, memory_exceeds, reap

# Control, standard input, output and error.
DESCRIPTORS = 4
MEASURE_EVERY_S = 0.2
NO_LIMIT = -1

_LENGTH = struct.Struct("!I")


class Request(NamedTuple):
    """What to run under which limits (or `NO_LIMIT`). Travels as NUL-separated fields in this order."""

    timeout_s: float
    processes_max: int
    tasks_of_user_max: int
    memory_bytes_max: int
    file_bytes_max: int
    program: bytes
    cwd: bytes
    arguments: list[bytes]
    environment: list[bytes]

    def encode(self) -> bytes:
        limits = [str(value).encode() for value in self[:5]]
        fields = [
            *limits,
            self.program,
            self.cwd,
            str(len(self.arguments)).encode(),
            *self.arguments,
            *self.environment,
        ]
        body = b"\0".join(fields)
        return _LENGTH.pack(len(body)) + body

    @classmethod
    def decode(cls, body: bytes) -> "Request":
        timeout_s, processes, tasks, memory, file, program, cwd, count, *rest = body.split(b"\0")
        arguments, environment = rest[: int(count)], rest[int(count) :]
        limits = (float(timeout_s), int(processes), int(tasks), int(memory), int(file))
        return cls(*limits, program, cwd, arguments, environment)


class Ending(NamedTuple):
    """How it ended. `reason` is exit, timeout, memory, processes or cancelled, or the step that failed before exec."""

    reason: str
    number: int  # the wait status, or the errno of the step
    duration_us: int
    survivors: int  # processes that could not be killed, such as those of another user

    def encode(self) -> bytes:
        return " ".join(map(str, self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Ending":
        reason, *numbers = line.split()
        number, duration_us, survivors = map(int, numbers)
        return cls(reason.decode(), number, duration_us, survivors)


class _NotStarted(Exception):
    def __init__(self, step: str, number: int) -> None:
        super().__init__(step)
        self.step = step
        self.number = number


def await_program(post: socket.socket) -> None:
    """Get ready, and supervise the program whose descriptors arrive; return at once when the launcher has gone."""
    adopt_orphans()
    wakeups = listen_for_children()
    message, descriptors, _flags, _address = socket.recv_fds(post, 1, DESCRIPTORS)
    if not message:
        return
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    _supervise(socket.socket(fileno=descriptors[0]), descriptors[1:], wakeups)


def listen_for_children() -> int:
    """Return a descriptor that becomes readable when a child ends."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable


def drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        while os.read(descriptor, 1 << 12):
            pass


def _supervise(control: socket.socket, streams: list[int], wakeups: int) -> None:
    """Receive one request, run it on the three `streams`, and send its ending when everything it started is dead."""
    control.sendall(b"%d\n" % os.getpid())
    request = _receive(control)
    if request is None:
        return
    begun_at = time.monotonic()
    try:
        pid = _start(request, streams)
    except _NotStarted as exc:
        control.sendall(Ending(exc.step, exc.number, 0, 0).encode())
        return
    for descriptor in streams:
        os.close(descriptor)
    reason, status = _watch(pid, request, control, wakeups, deadline=begun_at + request.timeout_s)
    duration_us = int((time.monotonic() - begun_at) * 1e6)
    statuses, survivors = kill_descendants(group=pid)
    number = statuses.get(pid, int(signal.SIGKILL)) if status is None else status
    # The runner may be gone: then nobody asks, and what matters has been done.
    with suppress(OSError):
        control.sendall(Ending(reason, number, duration_us, survivors).encode())


def _receive(control: socket.socket) -> Request | None:
    data = bytearray()
    wanted = _LENGTH.size
    while len(data) < wanted:
        piece = control.recv(wanted - len(data))
        if not piece:
            return None
        data += piece
        if len(data) == _LENGTH.size:
            wanted += _LENGTH.unpack(data)[0]
    return Request.decode(bytes(data[_LENGTH.size :]))


def _start(request: Request, streams: list[int]) -> int:
    """Start the program and return its pid. The limits hold for this process too; it has no need of more.

    Spawning and not forking: a copy of this process would cost as much again as all the rest.
    """
    os.umask(0o022)
    with _step("limits"):
        _set_limits(request)
    with _step("folder"):
        os.chdir(request.cwd)
    environment = dict(pair.split(b"=", 1) for pair in request.environment)
    moves = [(os.POSIX_SPAWN_DUP2, descriptor, target) for target, descriptor in enumerate(streams)]
    # Python ignores these two, and what is ignored stays so across exec.
    defaults = (signal.SIGPIPE, signal.SIGXFSZ)
    # A session of its own keeps the program from the terminal and from our group.
    with _step("program"):
        return os.posix_spawn(
            request.program, request.arguments, environment, file_actions=moves, setsigdef=defaults, setsid=True
        )


@contextmanager
def _step(name: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as exc:
        raise _NotStarted(name, exc.errno or 0) from exc


def _set_limits(request: Request) -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, request.file_bytes_max)
    _lower(resource.RLIMIT_NPROC, request.tasks_of_user_max)


def _lower(kind: int, value: int) -> None:
    if value == NO_LIMIT:
        return
    hard = resource.getrlimit(kind)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def _watch(
    pid: int, request: Request, control: socket.socket, wakeups: int, *, deadline: float
) -> tuple[str, int | None]:
    """Wait for the program's end or for a reason to end it; the reason, and the wait status when it ended by itself."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(wakeups, select.POLLIN)
    is_measured = request.processes_max != NO_LIMIT or request.memory_bytes_max != NO_LIMIT
    measure_at = time.monotonic() + MEASURE_EVERY_S if is_measured else deadline
    while True:
        # Looked at before the descriptors: the program may have ended before the first poll.
        if (status := reap()[0].get(pid)) is not None:
            return "exit", status
        now = time.monotonic()
        if now >= deadline:
            return "timeout", None
        if now >= measure_at:
            if excess := _excess(request):
                return excess, None
            measure_at = time.monotonic() + MEASURE_EVERY_S
        wait_s = min(deadline, measure_at) - time.monotonic()
        ready = dict(poller.poll(max(1, int(wait_s * 1000))))
        if control.fileno() in ready:
            return "cancelled", None
        drain(wakeups)


def _excess(request: Request) -> str | None:
    pids = descendants_of(os.getpid())
    if NO_LIMIT < request.processes_max < len(pids):
        return "processes"
    if request.memory_bytes_max > NO_LIMIT and memory_exceeds(pids, request.memory_bytes_max):
        return "memory"
    return None
