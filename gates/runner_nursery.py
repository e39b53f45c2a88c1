"""The program that forks runners: `python -m gatewright.gates.runner_nursery`, one for each server.

Importing what a runner needs costs as much as many a gate. So it is done once, here, and each job gets a fork, which
shares the memory. Standard input is a socket on which the server sends a byte and one descriptor a runner: the runner's
conversation, a socket that becomes its standard input and its channel. Its first line there is its process id; from
then on it is `runner_child`.

One runner is forked ahead, when nothing has been asked for a moment: forking takes milliseconds, and each page that is
first written to in a fork takes longer there. It is a runner like any other, except that it gets its conversation
later. Without one, or when somebody has killed it, a runner is forked at once.

The nursery has no thread and never runs an event loop after its imports, so that forking it is safe. It ends with the
socket; its runners end with it, and each with its own conversation.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

from .runner_child import die_with_parent, import_everything, log_to_stderr, rehearse, serve

DESCRIPTORS = 1
# Forked at once, it would take the processor from the runner that has just been given a job.
RESERVE_AFTER_MS = 300


def main() -> int:
    """Fork until the server closes the socket; exit status 0."""
    die_with_parent()
    orders = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    log_to_stderr()
    import_everything()
    # Nobody waits for the runners: the end of its conversation tells the end of each.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _Nursery(orders).serve()
    return 0


class _Nursery:
    """Forks runners as they are ordered; `_reserve` leads to the one that was forked ahead."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._pid = os.getpid()
        self._reserve: socket.socket | None = None

    def serve(self) -> None:
        poller = select.poll()
        poller.register(self._orders, select.POLLIN)
        while True:
            if not poller.poll(RESERVE_AFTER_MS if self._reserve is None else None):
                self._fork_reserve()
                continue
            order, descriptors, _flags, _address = socket.recv_fds(self._orders, 1, DESCRIPTORS)
            if not order:
                return
            for descriptor in descriptors:
                if not self._hand_over(descriptor):
                    self._fork(partial(_converse, descriptor, self._pid))
                os.close(descriptor)

    def _hand_over(self, conversation: int) -> bool:
        """Give the conversation to the runner in reserve; False when there is none any more."""
        if self._reserve is None:
            return False
        reserve, self._reserve = self._reserve, None
        with reserve:
            try:
                socket.send_fds(reserve, [b"!"], [conversation])
            except OSError:
                return False
        return True

    def _fork_reserve(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            if self._fork(partial(_await_conversation, theirs, self._pid), ours):
                self._reserve = ours
            else:
                ours.close()

    def _fork(self, run: Callable[[], int], *not_its: socket.socket) -> bool:
        try:
            pid = os.fork()
        except OSError:
            # Too many processes: the conversation ends without a word, and the server tries again.
            return False
        if pid == 0:
            status = 1
            try:
                for held in (self._orders, self._reserve, *not_its):
                    if held is not None:
                        held.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                status = run()
            finally:
                # Not sys.exit: what the nursery would do at its end is not the runner's.
                _leave(status)
        return True


def _await_conversation(post: socket.socket, nursery: int) -> int:
    die_with_parent()
    rehearse()
    with post:
        order, descriptors, _flags, _address = socket.recv_fds(post, 1, DESCRIPTORS)
    return _converse(descriptors[0], nursery) if order and descriptors else 0


def _converse(conversation: int, nursery: int) -> int:
    os.dup2(conversation, sys.stdin.fileno())
    channel = os.fdopen(conversation, "w", encoding="utf-8", buffering=1)
    channel.write(f"{os.getpid()}\n")
    return serve(channel, parent=nursery)


def _leave(status: int) -> None:
    from .programs.launching import LAUNCHER

    LAUNCHER.stop()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
