"""The bridge: a client's standard input and output, joined to the repository's server for as long as the client lives.

A server may die or be replaced at any moment and the client does not notice: `exchange` remembers what the next server
has to hear. Standard library only, and one thread that waits for descriptors: this process starts with every agent.
"""

import _signal  # type: ignore[import-not-found]  # `signal` turns its constants into enums: 4 ms of each start
import _thread
import os
import select
import time
from collections.abc import Callable, Sequence

from .. import __version__
from .exchange import Exchange
from .lines import LINE_BYTES_MAX, LineSplitter
from .reach import SERVER_COMMAND, Greeting, reach_server
from .rendezvous import NoServer, Socket, find_common_dir
from .seats import Seat, take_seat

CLOSING_GRACE_S = 0.8
ENDING_GRACE_S = 0.3
BUFFERED_BYTES_MAX = 2 * LINE_BYTES_MAX
READ_BYTES = 65_536
# What a pipe takes without blocking once poll calls it writable.
WRITE_BYTES = min(select.PIPE_BUF, 4_096)


def main(repository: str | None = None, *, command: Sequence[str] = SERVER_COMMAND, version: str = __version__) -> int:
    """Bridge standard input and output to the server of the repository at `repository`, or of the working folder.

    Returns when the client closes its end, or on SIGTERM, SIGINT or SIGHUP. A thread may still wait for a server to
    start: it ends with the process, and the start goes on.
    """
    if not (_is_open(0) and _is_open(1)):
        return 0
    fresh = os.urandom(12).hex()
    seat: Seat | None = None

    def reach() -> Socket:
        nonlocal seat
        common_dir = find_common_dir(repository or _working_folder())
        seat = seat or take_seat(common_dir, fresh)
        return reach_server(Greeting(common_dir, connection=seat.name, version=version), command)

    # Calls are counted anew in each bridge, so their stamps are never a predecessor's.
    bridge = Bridge(reach, Exchange(fresh))
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda *_: bridge.end())
    bridge.run()
    if seat is not None:
        seat.leave()
    return 0


class Bridge:
    """One client's descriptors. `reach` returns a greeted connection or raises `NoServer`; it runs in a thread."""

    def __init__(self, reach: Callable[[], Socket], exchange: Exchange, *, stdin: int = 0, stdout: int = 1) -> None:
        self._reach_server = reach
        self._exchange = exchange
        self._stdin, self._stdout = stdin, stdout
        self._from_client, self._from_server = LineSplitter(), LineSplitter()
        self._server: Socket | None = None
        self._reached: Socket | NoServer | None = None
        self._is_reaching = False
        self._is_ending = False
        self._deadline_s: float | None = None
        self._wake, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Serve the client until it closes its end or `end` is called; replies that are already here are flushed."""
        self._reach()
        while not self._is_over():
            if self._exchange.needs_server():
                self._reach()
            for descriptor, events in self._poll().poll(self._wait_ms()):
                self._on_event(descriptor, events)

    def end(self) -> None:
        """End soon; safe to call from a signal handler."""
        self._is_ending = True
        try:
            os.write(self._wake_write, b"!")
        except OSError:
            pass  # full of reasons to wake already

    def _is_over(self) -> bool:
        if self._is_ending and self._deadline_s is None:
            self._deadline_s = time.monotonic() + ENDING_GRACE_S
        if self._deadline_s is None:
            return False
        is_waiting = bool(self._exchange.to_client) or (self._exchange.is_waiting() and not self._is_ending)
        return not is_waiting or time.monotonic() >= self._deadline_s

    def _poll(self) -> select.poll:
        """What to wait for now. While one side reads slowly the other is not read: its sender waits, memory stays."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._deadline_s is None and len(self._exchange.to_server) < BUFFERED_BYTES_MAX:
            poll.register(self._stdin, select.POLLIN)
        # Asked for nothing, poll still tells when the reader is gone.
        poll.register(self._stdout, select.POLLOUT if self._exchange.to_client else 0)
        if self._server is not None:
            reading = select.POLLIN if len(self._exchange.to_client) < BUFFERED_BYTES_MAX else 0
            poll.register(self._server.fileno(), reading | (select.POLLOUT if self._exchange.to_server else 0))
        return poll

    def _wait_ms(self) -> int | None:
        return None if self._deadline_s is None else max(0, int((self._deadline_s - time.monotonic()) * 1000)) + 1

    def _on_event(self, descriptor: int, events: int) -> None:
        if descriptor == self._wake:
            self._on_wake()
        elif descriptor == self._stdin:
            self._read_client()
        elif descriptor == self._stdout:
            self._write_client(events)
        elif self._server is not None and descriptor == self._server.fileno():
            self._serve_server(events)

    def _read_client(self) -> None:
        data = _read(self._stdin)
        for line in self._from_client.feed(data):
            self._exchange.take_client_line(line)
        if data:
            return
        if rest := self._from_client.rest().strip():
            self._exchange.take_client_line(rest)
        # Quick replies still reach a client that writes its requests and closes; slow work does not need us.
        self._deadline_s = time.monotonic() + CLOSING_GRACE_S

    def _write_client(self, events: int) -> None:
        outgoing = self._exchange.to_client
        try:
            if events & select.POLLOUT:
                del outgoing[: os.write(self._stdout, outgoing[:WRITE_BYTES])]
                return
        except OSError:
            pass  # nobody reads any more, as poll says without being asked to write
        outgoing.clear()
        self._is_ending = True

    def _serve_server(self, events: int) -> None:
        assert self._server is not None
        try:
            if events & ~select.POLLOUT:
                data = self._server.recv(READ_BYTES)
                if not data:
                    self._lose_server()
                    return
                for line in self._from_server.feed(data):
                    self._exchange.take_server_line(line)
            if events & select.POLLOUT:
                del self._exchange.to_server[: self._server.send(self._exchange.to_server)]
        except BlockingIOError:
            pass  # it was ready a moment ago; poll will say when it is again
        except OSError:
            self._lose_server()

    def _lose_server(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
        self._from_server = LineSplitter()
        self._exchange.lose()

    def _reach(self) -> None:
        if self._is_reaching or self._deadline_s is not None:
            return
        self._is_reaching = True
        _thread.start_new_thread(self._reach_in_background, ())

    def _reach_in_background(self) -> None:
        """Runs in its own thread; hands its result to the waiting one through `_reached` and a byte in the pipe."""
        reached: Socket | NoServer = NoServer("The server of this repository cannot be reached.")
        try:
            reached = self._reach_server()
        except NoServer as exc:
            reached = exc
        finally:
            self._reached = reached
            os.write(self._wake_write, b"+")

    def _on_wake(self) -> None:
        _read(self._wake)
        reached, self._reached = self._reached, None
        if reached is None:
            return
        self._is_reaching = False
        if isinstance(reached, NoServer):
            self._exchange.give_up(str(reached), is_final=reached.is_final)
            return
        reached.setblocking(False)
        self._server = reached
        self._exchange.connect()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:
        return b""


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError as exc:
        sentence = "The working folder does not exist any more: start gatewright with `--repo PATH`."
        raise NoServer(sentence, is_final=True) from exc
