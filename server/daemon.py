"""The per-repository server: MCP for every connection on a unix socket, until it has been idle for long enough.

What it serves is an `Application`; this file knows connections, greetings and leaving. A connection is one client for
its whole life, across reconnections of its bridge: the principal is made from the connection id of the greeting.
"""

import hashlib
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup
from mcp.server.lowlevel import Server

from .lines import LineSplitter, Oversized, message_line, parse_message
from .reach import GREETING_VERSION
from .rendezvous import SOCKET_LINK, peer_uid, socket_paths, state_folder
from .transport import READ_BYTES, serve_connection

GREETING_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 256
DRAIN_TIMEOUT_S = 5.0
IDLE_CHECKS_PER_S = 4.0
ACCEPT_PAUSE_S = 0.2

logger = logging.getLogger(__name__)


class Application(Protocol):
    """What a daemon serves; `gatewright.server.app` makes the real one."""

    # Any: the lifespan's type is the application's own business.
    def mcp_server(self, principal: str) -> Server[Any]:
        """A server whose handlers act for `principal`; made once per connection."""
        ...

    async def run(self) -> None:
        """Work in the background (evaluations) until cancelled; started before the first connection is served."""
        ...

    def is_busy(self) -> bool:
        """Whether work is going on that must not be left alone because nobody is connected."""
        ...

    async def drain(self) -> None:
        """Take on no new work from now on; running work goes on."""
        ...


class Daemon:
    """One server's connections and its end. `serve` is its whole life."""

    def __init__(
        self, application: Application, *, common_dir: Path, version: str, is_current: Callable[[], bool]
    ) -> None:
        """`is_current` tells whether the code on the disk is still what runs here."""
        self._application = application
        self._common_dir = common_dir
        self._is_current = is_current
        self._link = Path(state_folder(str(common_dir))) / SOCKET_LINK
        self._version = version
        self._connections = 0
        self._conversations: set[anyio.CancelScope] = set()
        self._is_draining = False
        self._socket_path = Path()
        self._inode: int | None = None
        self._left = anyio.Event()

    async def serve(self, *, idle_s: float, on_ready: Callable[[], None]) -> None:
        """Listen until SIGTERM or SIGINT, or until there was neither a connection nor work for `idle_s` seconds.

        `on_ready` is called once connections are accepted. The socket and the link to it are gone when this returns.
        Raises `NoServer` or `OSError` when there is no place for a socket.
        """
        listener = await self._listen()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._application.run)
                tasks.start_soon(self._leave_on_signal)
                tasks.start_soon(self._leave_when_idle, idle_s)
                tasks.start_soon(self._accept, listener, tasks)
                self._publish()
                on_ready()
                await self._left.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._withdraw()
            with anyio.CancelScope(shield=True):
                await listener.aclose()

    async def _listen(self) -> SocketListener:
        """At the first place that takes a socket: a runtime folder may be full, read-only or closed to us."""
        problem: OSError | None = None
        for path in socket_paths(str(self._common_dir)):
            self._socket_path = Path(path)
            try:
                return await anyio.create_unix_listener(path, mode=0o600)
            except OSError as exc:
                logger.warning("no socket at %s: %s", path, exc.strerror)
                problem = problem or exc
        assert problem is not None
        raise problem

    async def _accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError:
                # No descriptors left, or a client gone before it was accepted: a reason to wait, not to end.
                logger.warning("a connection could not be accepted", exc_info=True)
                await anyio.sleep(ACCEPT_PAUSE_S)
                continue
            tasks.start_soon(self._serve_connection, stream)

    async def _serve_connection(self, stream: SocketStream) -> None:
        """Serve one client. Whatever goes wrong with it stays here: the others must not notice."""
        self._connections += 1
        try:
            async with stream:
                uid = peer_uid(stream.extra(SocketAttribute.raw_socket))
                if uid is None or uid != os.geteuid():
                    logger.warning("refused a connection of user %s", uid)
                    return
                splitter = LineSplitter()
                with anyio.fail_after(GREETING_TIMEOUT_S):
                    greeting, early = await _receive_greeting(stream, splitter)
                is_accepted, answer = await self._answer(greeting)
                await stream.send(message_line(answer))
                if not is_accepted:
                    return
                principal = _principal(greeting, uid)
                with anyio.CancelScope() as conversation:
                    self._conversations.add(conversation)
                    try:
                        await serve_connection(self._application.mcp_server(principal), stream, splitter, early)
                    finally:
                        self._conversations.discard(conversation)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, TimeoutError):
            logger.debug("a connection ended before it was greeted or in the middle of a message")
        except Exception:
            logger.exception("a connection failed")
        finally:
            self._connections -= 1

    async def _answer(self, greeting: dict[str, object]) -> tuple[bool, dict[str, object]]:
        mine: dict[str, object] = {"version": self._version, "pid": os.getpid()}
        if greeting.get("gatewright") != GREETING_VERSION or not greeting.get("connection"):
            return False, {
                **mine,
                "ok": False,
                "problem": "This server does not understand the greeting of this client.",
            }
        # A copied repository carries the link to the original's socket with it.
        if greeting.get("common_dir") != str(self._common_dir):
            return False, {**mine, "ok": False, "elsewhere": True}
        if not self._is_current():
            await self._drain("its code was replaced")
        if self._is_draining:
            return False, {**mine, "ok": False, "leaving": True}
        if self._connections > CONNECTIONS_MAX:
            return False, {**mine, "ok": False, "problem": f"{CONNECTIONS_MAX} clients are connected already."}
        return True, {**mine, "ok": True}

    async def _drain(self, reason: str) -> None:
        """Make room: unreachable for newcomers, no new work, and whoever is here is sent on to the next server."""
        if self._is_draining:
            return
        self._is_draining = True
        logger.info("making room, because %s", reason)
        self._withdraw()
        await self._application.drain()
        # What a call has begun to write it still writes: its repetition finds that, by its stamp.
        for conversation in self._conversations:
            conversation.cancel()

    async def _leave_when_idle(self, idle_s: float) -> None:
        idle_since = anyio.current_time()
        while True:
            await anyio.sleep(min(1 / IDLE_CHECKS_PER_S, idle_s))
            if not self._is_draining and not self._is_published():
                await self._drain("nobody can find it any more")
            if self._connections or self._application.is_busy():
                idle_since = anyio.current_time()
            elif self._is_draining or anyio.current_time() - idle_since >= idle_s:
                self._left.set()
                return

    async def _leave_on_signal(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                with anyio.move_on_after(DRAIN_TIMEOUT_S):
                    await self._drain("it was told to end")
                self._left.set()

    def _publish(self) -> None:
        """Point the repository's link at the socket, atomically."""
        fresh = self._link.with_name(f"{self._link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._socket_path)
        fresh.replace(self._link)
        self._inode = self._socket_path.stat().st_ino

    def _is_published(self) -> bool:
        """Whether the repository's link leads here."""
        try:
            return self._link.readlink() == self._socket_path and self._socket_path.stat().st_ino == self._inode
        except OSError:
            return False

    def _withdraw(self) -> None:
        """Take link and socket away, once and only ours: both names may belong to a newer server by now.

        Before the listener is closed, never after: as long as it listens nobody else starts and takes the names.
        """
        inode, self._inode = self._inode, None
        with suppress(OSError):
            if inode is not None and self._socket_path.stat().st_ino == inode:
                self._link.unlink(missing_ok=True)
                self._socket_path.unlink()


async def _receive_greeting(
    stream: SocketStream, splitter: LineSplitter
) -> tuple[dict[str, object], list[bytes | Oversized]]:
    while True:
        lines = list(splitter.feed(await stream.receive(READ_BYTES)))
        if lines:
            first = lines[0]
            greeting = {} if isinstance(first, Oversized) else _parse_or_nothing(first)
            return greeting, lines[1:]


def _parse_or_nothing(line: bytes) -> dict[str, object]:
    try:
        return parse_message(line)
    except ValueError:
        return {}


def _principal(greeting: dict[str, object], uid: int) -> str:
    """Who acts on this connection. The command line is its user, as the kernel says, whatever it calls itself.

    A connection's id stays with its bridge: principals are shown to other agents, who could otherwise greet with it.
    """
    if greeting.get("kind") == "cli":
        return f"cli:{uid}"
    return f"stdio:{hashlib.sha256(str(greeting['connection']).encode()).hexdigest()[:16]}"
