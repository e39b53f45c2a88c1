"""The supervisor of one program: starts it, watches its limits, and ends only when no descendant is left.

It adopts the program's orphans, so that several programs run side by side and ending one never touches another's
processes; daemons in sessions of their own are found too. It kills when the program ended, when time, memory, disk or
processes are used up, and when the control socket closes: a runner that is killed closes it as well.

The runner sends a `Request` over the control socket; the supervisor answers with its pid and one `Ending`, a line each.
Standard library only: it runs in a fork of the launcher, made ahead of the program.
"""

import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from .descendants import adopt_orphans, descendants_of, drain, kill_descendants, memory_exceeds, reap
from .disk import DiskUse
from .fence import shut_in
from .request import NO_LIMIT, Ending, Request, receive

# Control, standard input, output and error.
DESCRIPTORS = 4
MEASURE_EVERY_S = 0.2
# A sandbox and the first process in it.
SANDBOX_PROCESSES = 2
STATUS_BYTES_MAX = 4096


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


def _supervise(control: socket.socket, streams: list[int], wakeups: int) -> None:
    """Receive one request, run it on the three `streams`, and send its ending when everything it started is dead."""
    control.sendall(b"%d\n" % os.getpid())
    request = receive(control)
    if request is None:
        return
    begun_at = time.monotonic()
    told, telling = os.pipe()
    os.set_blocking(told, False)
    try:
        pid = _start(request, [*streams, telling] if request.tells_status else streams)
    except _NotStarted as exc:
        control.sendall(Ending(exc.step, exc.number, 0, 0).encode())
        return
    for descriptor in (*streams, telling):
        os.close(descriptor)
    reason, status = _watch(pid, request, control, wakeups, deadline=begun_at + request.timeout_s)
    duration_us = int((time.monotonic() - begun_at) * 1e6)
    statuses, survivors = kill_descendants(pid, wakeups)
    number = statuses.get(pid, int(signal.SIGKILL)) if status is None else status
    if request.tells_status and reason == "exit" and os.WIFEXITED(number) and not _has_run(told):
        reason = "sandbox"
    # The runner may be gone: then nobody asks, and what matters has been done.
    with suppress(OSError):
        control.sendall(Ending(reason, number, duration_us, survivors).encode())


def _has_run(told: int) -> bool:
    """Tell whether the program in the sandbox was started: only then is its exit code its own."""
    try:
        return b'"exit-code"' in os.read(told, STATUS_BYTES_MAX)
    except BlockingIOError:
        return False


def _start(request: Request, streams: list[int]) -> int:
    """Start the program and return its pid. The limits hold for this process too; it has no need of more.

    Spawning and not forking: a copy of this process would cost as much again as all the rest.
    """
    os.umask(0o022)
    with _step("limits"):
        _set_limits(request)
    with _step("folder"):
        os.chdir(request.cwd)
    if not request.fence:
        with _step("program"):
            return _spawn(request, streams)
    started: list[int | _NotStarted] = []
    thread = threading.Thread(target=_spawn_shut_in, args=(request, streams, started))
    thread.start()
    thread.join()
    if isinstance(started[0], _NotStarted):
        raise started[0]
    return started[0]


def _spawn_shut_in(request: Request, streams: list[int], started: list[int | _NotStarted]) -> None:
    """Start the program from a thread that is shut in for good; this process as a whole is not."""
    try:
        with _step("fence"):
            shut_in((entry[1:], entry.startswith(b"w")) for entry in request.fence)
        with _step("program"):
            started.append(_spawn(request, streams))
    except _NotStarted as exc:
        started.append(exc)


def _spawn(request: Request, streams: list[int]) -> int:
    environment = dict(pair.split(b"=", 1) for pair in request.environment)
    moves = [(os.POSIX_SPAWN_DUP2, descriptor, target) for target, descriptor in enumerate(streams)]
    # Python ignores these two, and what is ignored stays so across exec.
    defaults = (signal.SIGPIPE, signal.SIGXFSZ)
    # A session of its own keeps the program from the terminal and from our group.
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
    meter = _Meter(request)
    while True:
        # Looked at before the descriptors: the program may have ended before the first poll.
        if (status := reap()[0].get(pid)) is not None:
            return "exit", status
        if time.monotonic() >= deadline:
            return "timeout", None
        if excess := meter.measure():
            return excess, None
        wait_s = min(deadline, meter.next_at) - time.monotonic()
        ready = dict(poller.poll(max(1, int(wait_s * 1000))))
        if control.fileno() in ready:
            return "cancelled", None
        drain(wakeups)


class _Meter:
    """Measures, when it is time, what the program and its descendants use; `next_at` is when that is."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._disk = DiskUse(request.places, request.disk_bytes_max) if request.disk_bytes_max != NO_LIMIT else None
        limits = (request.processes_max, request.memory_bytes_max, request.disk_bytes_max)
        is_measured = any(limit != NO_LIMIT for limit in limits)
        first_at = time.monotonic() + MEASURE_EVERY_S
        self._usage_at = first_at if is_measured else float("inf")
        self._disk_at = first_at if self._disk is not None else float("inf")

    @property
    def next_at(self) -> float:
        return min(self._usage_at, self._disk_at)

    def measure(self) -> str | None:
        """The limit that is exceeded now, if one is known to be."""
        if (now := time.monotonic()) < self.next_at:
            return None
        pids = descendants_of(os.getpid())
        if self._disk is not None and now >= self._disk_at:
            excess, pause_s = self._disk.measure(pids)
            if excess:
                return excess
            self._disk_at = time.monotonic() + (MEASURE_EVERY_S if self._disk.is_through else 0.0) + pause_s
        if now >= self._usage_at:
            self._usage_at = now + MEASURE_EVERY_S
            return self._used_up(pids)
        return None

    def _used_up(self, pids: list[int]) -> str | None:
        own = SANDBOX_PROCESSES if self._request.tells_status else 0
        if NO_LIMIT < self._request.processes_max < len(pids) - own:
            return "processes"
        if self._request.memory_bytes_max > NO_LIMIT and memory_exceeds(pids, self._request.memory_bytes_max):
            return "memory"
        return None
