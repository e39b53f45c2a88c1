"""The program that forks runners: `python -m gatewright.gates.runner_nursery`, one for each server.

Importing what a runner needs costs as much as many a gate. So it is done once, here, and each job gets a fork, which
costs milliseconds and shares the memory. Standard input is a socket on which the server sends a byte and one descriptor
a runner: the runner's conversation, a socket that becomes its standard input and its channel. Its first line there is
its process id; from then on it is `runner_child`.

The nursery has no thread and never runs an event loop after its imports, so that forking it is safe. It ends with the
socket; its runners end with it, and each with its own conversation.
"""

import os
import signal
import socket
import sys

from .runner_child import die_with_parent, import_everything, log_to_stderr, serve

DESCRIPTORS = 1


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
    while True:
        order, descriptors, _flags, _address = socket.recv_fds(orders, 1, DESCRIPTORS)
        if not order:
            return 0
        for descriptor in descriptors:
            _fork(orders, descriptor)
            os.close(descriptor)


def _fork(orders: socket.socket, conversation: int) -> None:
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        # Too many processes: the conversation ends without a word, and the server tries again.
        return
    if pid == 0:
        status = 1
        try:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(conversation, sys.stdin.fileno())
            channel = os.fdopen(conversation, "w", encoding="utf-8", buffering=1)
            channel.write(f"{os.getpid()}\n")
            status = serve(channel, parent=nursery)
        finally:
            # Not sys.exit: what the nursery would do at its end is not the runner's.
            _leave(status)


def _leave(status: int) -> None:
    from .programs.launching import LAUNCHER

    LAUNCHER.stop()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
