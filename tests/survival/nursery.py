"""Fork a watched server for each order of a `starter`. Ends with its input, which is the test run's.

python -m tests.survival.nursery SOCKET
"""

import json
import os
import socket
import sys
import threading

from gatewright.gates import artifacts, repository, workspaces
from gatewright.server import app, process
from gatewright.server.engine import embedded
from gatewright.server.operations import clearing
from gatewright.server.store import sqlite, tx

from .starter import MESSAGE_BYTES_MAX
from .watched import serve

# Imported before the fork, so that no server pays for them.
IMPORTED = (app, artifacts, clearing, embedded, process, repository, sqlite, tx, workspaces)


def main(path: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Thread(target=_end_with_input, daemon=True).start()
        while True:
            connection, _ = listener.accept()
            with connection:
                _fork(listener, connection)


def _fork(listener: socket.socket, connection: socket.socket) -> None:
    """Fork what detaches itself, and wait for the child that it leaves."""
    order, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES_MAX, 3)
    child = os.fork()
    if child == 0:
        listener.close()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        connection.send(b"!")
        told = json.loads(order)
        os.environ.clear()
        os.environ.update(told["environment"])
        os._exit(serve(*told["arguments"]))
    for descriptor in descriptors:
        os.close(descriptor)
    os.waitpid(child, 0)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
