"""Start a watched server in milliseconds: have a process fork it that has the imports behind it.

    python -I -S starter.py NURSERY MEETING VERSION --common-dir PATH

What a bridge gives a server (lock, readiness pipe, log, environment) goes to the process that listens at NURSERY.
"""

import json
import os
import socket
import sys

MESSAGE_BYTES_MAX = 65_536


def main(nursery: str, *arguments: str) -> int:
    order = json.dumps({"arguments": arguments, "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(nursery)
        socket.send_fds(connection, [order], [0, 1, 2])
        # Answered once the fork has its own descriptors.
        return 0 if connection.recv(1) else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
