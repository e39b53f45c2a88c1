"""The runner's end of the launcher: start it when it is needed, hand it a program, and converse with its supervisor."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import anyio

from .descendants import KILL_TIME_S
from .request import Ending

START_TIME_S = 10.0
GRACE_S = 5.0
LINE_BYTES_MAX = 4096

# The launcher needs no package and no site: the folder is made a package by hand, which saves most of its start.
_PROGRAM = """
import sys, types
package = types.ModuleType("programs")
package.__path__ = [sys.argv[1]]
sys.modules["programs"] = package
from programs.launcher import launch_forever
launch_forever()
"""


class Launcher:
    """The launcher process of this runner; started by the first program, and again when a program has killed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def launch(self, descriptors: list[int]) -> None:
        """Have a supervisor forked that gets these four descriptors. Raises OSError when that is impossible."""
        with self._lock:
            if self._channel is None:
                self._start()
            try:
                self._send(descriptors)
            except BrokenPipeError:
                self._stop()
                self._start()
                self._send(descriptors)

    def stop(self) -> None:
        """End the launcher; supervisors go on until their programs have ended."""
        with self._lock:
            self._stop()

    def _send(self, descriptors: list[int]) -> None:
        assert self._channel is not None
        socket.send_fds(self._channel, [b"!"], descriptors)

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            # Isolated and without site, so that nothing of the environment or of a venv runs in it. A session of its
            # own, so that a Ctrl-C meant for the runner does not end it before it has cleared up.
            command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).parent)]
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), cwd="/", env={}, start_new_session=True)

    def _stop(self) -> None:
        if self._process is None or self._channel is None:
            return
        self._channel.close()
        self._channel = None
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


LAUNCHER = Launcher()
atexit.register(LAUNCHER.stop)


class Conversation:
    """What a runner and one supervisor say over the control socket, which the caller opens and closes.

    `is_unheard`: the launcher was killed before it gave the program to a supervisor, and nothing was started.
    """

    def __init__(self, control: socket.socket) -> None:
        self.is_unheard = False
        self._control = control
        self._heard = b""
        self._supervisor: int | None = None

    async def run(self, request: bytes, timeout_s: float) -> Ending | None:
        """Have the request run; its ending, or None when the supervisor was killed or does not answer.

        When this returns or is cancelled the program and its descendants are dead.
        """
        try:
            # Before the supervisor has said a word: it need not wait for us.
            with anyio.move_on_after(START_TIME_S) as starting:
                await self._send(request)
                self._supervisor = int(await self._line() or 0) or None
            if starting.cancelled_caught:
                await anyio.to_thread.run_sync(LAUNCHER.stop)
                return None
            if self._supervisor is None:
                self.is_unheard = True
                return None
            with anyio.move_on_after(timeout_s + KILL_TIME_S + GRACE_S):
                line = await self._line()
                return Ending.decode(line) if line else None
        except anyio.get_cancelled_exc_class():
            await self._put_down()
            raise
        await self._put_down()
        return None

    async def _put_down(self) -> None:
        """End the program by closing our side; a supervisor that was stopped does not hear it and is killed."""
        with anyio.CancelScope(shield=True):
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)
            if await self._line_within(KILL_TIME_S + GRACE_S) is None and self._supervisor is not None:
                # It lives, or its socket would have ended: the number still is its own.
                os.kill(self._supervisor, signal.SIGKILL)
                await self._line_within(KILL_TIME_S + GRACE_S)

    async def _line_within(self, seconds: float) -> bytes | None:
        with anyio.move_on_after(seconds):
            return await self._line()
        return None

    async def _line(self) -> bytes:
        """The next line without its newline; empty at the end of the conversation."""
        while b"\n" not in self._heard:
            await anyio.wait_readable(self._control)
            try:
                piece = self._control.recv(LINE_BYTES_MAX)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                piece = b""
            if not piece or len(self._heard) > LINE_BYTES_MAX:
                return b""
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    async def _send(self, request: bytes) -> None:
        left = memoryview(request)
        with suppress(BrokenPipeError, ConnectionResetError):
            while left:
                try:
                    left = left[self._control.send(left) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._control)
