"""The program that judges one job in a process of its own: `python -I -m gatewright.gates.runner_child`.

It may be started long before there is a job: everything is imported first, then one line, the job, is awaited on
standard input. Messages go to standard output, one a line; diagnostics to standard error. Standard input stays open for
as long as the server wants the judgement: its end, the server's death and SIGTERM all end the judgement and whatever it
started.
Exit status: 0 after `Done`, 1 when there was no job to judge, 143 when it was ended.
"""

import ctypes
import gc
import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .contract import Message

ENDED = 128 + signal.SIGTERM
# How long an ended judgement may take to kill its programs and remove its files.
GRACE_S = 30
JOB_BYTES_MAX = 64 * 2**20
PR_SET_PDEATHSIG = 1
THREADS_AT_ONCE = 2


def main() -> int:
    """Read one job, judge it, and return the exit status."""
    parent = os.getppid()
    # What the imports print, and programs that inherit it, must not reach the channel of messages.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    log_to_stderr()
    import_everything()
    return serve(channel, parent=parent)


def serve(channel: TextIO, *, parent: int) -> int:
    """Read one job from standard input and judge it; the exit status. `parent` is whose death ends this process."""
    die_with_parent()
    if os.getppid() != parent:
        return ENDED
    line = sys.stdin.buffer.readline(JOB_BYTES_MAX)
    if not line.endswith(b"\n"):
        return 1

    import anyio

    from .contract import format_message

    def emit(message: "Message") -> None:
        channel.write(format_message(message) + "\n")
        channel.flush()

    return anyio.run(_judge_until_ended, line, emit)


def log_to_stderr() -> None:
    """Let diagnostics reach the server's own log."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


def import_everything() -> None:
    """Be ready for a job, without collecting garbage: imports make none, and looking for it costs a tenth of them.

    How programs can be isolated here is tried out as well, and which Python they find, which takes longer than many a
    gate.
    """
    gc.disable()
    import anyio

    from . import kinds, runner  # noqa: F401 - imported early
    from .contract import get_ready
    from .programs.launching import LAUNCHER

    for name in kinds.KINDS:
        assert kinds.KINDS[name].name == name, "a kind is registered under its name"
    get_ready()
    # The first event loop of a process imports its backend.
    anyio.run(_look_around)
    # It is this process's own, and there may be forks of it.
    LAUNCHER.stop()
    gc.freeze()
    gc.enable()


def rehearse() -> None:
    """Do once what every job begins with, before there is one: in a fork whatever is touched first is copied then."""
    import anyio

    anyio.run(_practise)


def die_with_parent() -> None:
    """Have this process told to end when its parent does, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


async def _practise() -> None:
    """An event loop that hears signals, and threads."""
    import anyio

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT):
        async with anyio.create_task_group() as tasks:
            for _ in range(THREADS_AT_ONCE):
                tasks.start_soon(anyio.to_thread.run_sync, os.getpid)


async def _look_around() -> None:
    from .preparation.layer import find_python
    from .preparation.server_settings import server_path
    from .sandbox import choose

    # The key of an environment has it; a program is run and Python's own file read to find it out.
    platform.platform()
    await choose()
    await find_python(server_path(os.environ), Path(sys.executable))


async def _judge_until_ended(line: bytes, emit: "Callable[[Message], None]") -> int:
    import anyio

    from .contract import parse_job
    from .runner import judge

    job = parse_job(line)
    threading.Thread(target=_end_with_input, daemon=True).start()
    is_ended = False
    async with anyio.create_task_group() as tasks:

        async def wait_for_end() -> None:
            nonlocal is_ended
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    is_ended = True
                    # Cleaning up is bounded too: whoever sent the signal does not wait for ever.
                    signal.signal(signal.SIGALRM, _leave)
                    signal.alarm(GRACE_S)
                    tasks.cancel_scope.cancel()
                    return

        tasks.start_soon(wait_for_end)
        await judge(job, emit)
        tasks.cancel_scope.cancel()
    return ENDED if is_ended else 0


def _end_with_input() -> None:
    # A server that was killed with words of ours unread resets the conversation instead of ending it.
    with suppress(ConnectionResetError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(_: int, __: FrameType | None) -> None:
    os._exit(ENDED)


if __name__ == "__main__":
    sys.exit(main())
