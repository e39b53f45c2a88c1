"""Runner processes: one for each evaluation, forked by a nursery that has its imports behind it.

Importing the gates costs more than most gates take; see `gates/runner_nursery.py`.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from ...gates.contract import Done, Job, Message, format_job, parse_message

# See reach.SERVER_COMMAND for the flags.
NURSERY_COMMAND = (sys.executable, "-E", "-P", "-m", "gatewright.gates.runner_nursery")
MESSAGE_BYTES_MAX = 64 * 2**20
PID_BYTES_MAX = 20
END_TIMEOUT_S = 40.0
NURSERY_END_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class RunnerLost(Exception):
    """The runner ended without saying that it was done."""


class Runners:
    """Has runners forked, and ends them.

    `tasks` is where a runner that has answered comes to its end, so that its verdict does not wait for that.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._nursery: _Nursery | None = None

    async def warm_up(self) -> None:
        """Have the nursery started."""
        if self._nursery is None:
            self._nursery = _Nursery()

    async def judge(self, job: Job, on_message: Callable[[Message], None]) -> None:
        """Have one job judged; every message is passed on. Raises `RunnerLost`; cancelled, it ends the runner."""
        runner = _Runner(await UNIXSocketStream.from_socket(self._fork()))
        try:
            await runner.converse(job, on_message)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await runner.end()
            raise
        self._tasks.start_soon(_end_shielded, runner)

    async def aclose(self) -> None:
        """End the nursery, and with it whatever runner is left."""
        nursery, self._nursery = self._nursery, None
        if nursery is not None:
            await to_thread.run_sync(nursery.end)

    def _fork(self) -> socket.socket:
        """Our end of the conversation with a new runner; a nursery that was killed is replaced."""
        ours, theirs = socket.socketpair()
        with theirs:
            if self._nursery is None or not self._nursery.fork(theirs):
                self._nursery = _Nursery()
                if not self._nursery.fork(theirs):
                    raise RunnerLost("the program that forks runners ends at once")
        return ours


class _Nursery:
    """The process that forks; what it is asked before it is ready waits in its socket."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            # Diagnostics go to the server's own log. Started by the main thread, whose end is the server's: the nursery
            # is told to end when the thread that started it does.
            self._process = subprocess.Popen(NURSERY_COMMAND, stdin=theirs.fileno())

    def fork(self, conversation: socket.socket) -> bool:
        """Ask for a runner with this conversation; False when the nursery is gone."""
        try:
            socket.send_fds(self._orders, [b"!"], [conversation.fileno()])
        except OSError:
            self.end()
            return False
        return True

    def end(self) -> None:
        """Close the socket, and wait until it has ended; blocking."""
        self._orders.close()
        try:
            self._process.wait(NURSERY_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Runner:
    """One runner, known by its conversation."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self._stream = stream
        self._lines = BufferedByteReceiveStream(stream)
        self._pid: int | None = None

    async def converse(self, job: Job, on_message: Callable[[Message], None]) -> None:
        """Give it the job and pass on what it says until it is done."""
        try:
            await self._stream.send(format_job(job).encode() + b"\n")
            self._pid = int(await self._lines.receive_until(b"\n", PID_BYTES_MAX))
            while True:
                message = parse_message(await self._lines.receive_until(b"\n", MESSAGE_BYTES_MAX))
                if isinstance(message, Done):
                    return
                on_message(message)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise RunnerLost(f"the runner of {job.evaluation} ended before it was done") from exc

    async def end(self) -> None:
        """Close its input, which ends it with all that it started; one that does not obey is killed."""
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._stream.send_eof()
        if not await self._has_ended() and self._pid is not None:
            log.warning("runner %s did not end in %s s and is killed", self._pid, END_TIMEOUT_S)
            # It holds its conversation open, so the number still is its own.
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        await self._stream.aclose()

    async def _has_ended(self) -> bool:
        with anyio.move_on_after(END_TIMEOUT_S):
            try:
                while True:
                    await self._lines.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return True
        return False


async def _end_shielded(runner: _Runner) -> None:
    with anyio.CancelScope(shield=True):
        await runner.end()
