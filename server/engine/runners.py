"""Runner processes.

One per evaluation, with one kept warm, because importing the gates costs more than most gates take.
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from ...gates.contract import Done, Job, Message, format_job, parse_message

# See reach.SERVER_COMMAND for the flags.
RUNNER_COMMAND = (sys.executable, "-E", "-P", "-m", "gatewright.gates.runner_child")
MESSAGE_BYTES_MAX = 64 * 2**20
END_TIMEOUT_S = 40.0

log = logging.getLogger(__name__)


class RunnerLost(Exception):
    """The runner ended without saying that it was done."""


class Runners:
    """Starts runners and keeps a spare one that has its imports behind it.

    `tasks` is where a runner that has answered comes to its end, so that its verdict does not wait for that.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._spare: Process | None = None
        self._lock = anyio.Lock()

    async def warm_up(self) -> None:
        """Have a spare runner."""
        async with self._lock:
            if self._spare is None or self._spare.returncode is not None:
                self._spare = await _spawn()

    async def judge(self, job: Job, on_message: Callable[[Message], None]) -> None:
        """Have one job judged; every message is passed on. Raises `RunnerLost`; cancelled, it ends the runner."""
        process = await self._take()
        try:
            await _converse(process, job, on_message)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _end(process)
            raise
        self._tasks.start_soon(_end_shielded, process)

    async def aclose(self) -> None:
        """End the spare runner."""
        async with self._lock:
            if self._spare is not None:
                await _end(self._spare)
                self._spare = None

    async def _take(self) -> Process:
        async with self._lock:
            process, self._spare = self._spare, None
        if process is not None and process.returncode is None:
            return process
        return await _spawn()


async def _end_shielded(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        await _end(process)


async def _spawn() -> Process:
    # Diagnostics go to the server's own log.
    return await anyio.open_process(RUNNER_COMMAND, stderr=None)


async def _converse(process: Process, job: Job, on_message: Callable[[Message], None]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    lines = BufferedByteReceiveStream(process.stdout)
    try:
        await process.stdin.send(format_job(job).encode() + b"\n")
        while True:
            message = parse_message(await lines.receive_until(b"\n", MESSAGE_BYTES_MAX))
            if isinstance(message, Done):
                return
            on_message(message)
    except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
        raise RunnerLost(f"the runner of {job.evaluation} ended before it was done") from exc


async def _end(process: Process) -> None:
    """Closing its input ends a runner with all that it started; one that does not obey is killed."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        if process.stdin is not None:
            await process.stdin.aclose()
    with anyio.move_on_after(END_TIMEOUT_S) as scope:
        await process.wait()
    if scope.cancelled_caught:
        log.warning("runner %s did not end in %s s and is killed", process.pid, END_TIMEOUT_S)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await process.aclose()
