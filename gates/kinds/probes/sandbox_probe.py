"""Try to get out of a sandbox, and to do what it must allow.

Arguments: a hidden, a readable and a writable folder, each with a file called `file`, and a port on which somebody
listens outside. Prints two JSON lists: what it achieved and should not, and what it could not do and should.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path


def main(hidden: Path, readable: Path, writable: Path, port: int) -> None:
    """Everything is tried; nothing that fails ends the program."""
    forbidden: dict[str, Callable[[], object]] = {
        "read hidden files": (hidden / "file").read_text,
        "read hidden files through /proc": lambda: Path(f"/proc/self/root{hidden}/file").read_text(),
        "write outside": lambda: (hidden / "file").write_text(""),
        "make files outside": (hidden / "new").mkdir,
        "truncate files outside": lambda: os.truncate(hidden / "file", 0),
        "change what it may only read": lambda: (readable / "file").write_text(""),
        "read the environment of others": read_environments,
        "connect to other programs": lambda: socket.create_connection(("127.0.0.1", port), timeout=2).close(),
    }
    allowed: dict[str, Callable[[], object]] = {
        "read what it may read": (readable / "file").read_text,
        "write where it may write": lambda: rename_between_folders(writable),
        "listen on its own loopback": listen,
    }
    achieved = [name for name, attempt in forbidden.items() if works(attempt)]
    missed = [name for name, attempt in allowed.items() if not works(attempt)]
    print(json.dumps([achieved, missed]))


def works(attempt: Callable[[], object]) -> bool:
    """Tell whether the attempt went through."""
    try:
        attempt()
    except OSError:
        return False
    return True


def read_environments() -> None:
    """Read the environment of a process that has more than what was made for us."""
    own = {*Path("/proc/self/environ").read_bytes().split(b"\0")}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                variables = (process / "environ").read_bytes()
            except OSError:
                continue
            if not own.issuperset(variables.split(b"\0")):
                return
    raise FileNotFoundError("nobody else's environment can be read")


def rename_between_folders(writable: Path) -> None:
    """Make, fill and move a file, as every package manager does."""
    (writable / "sub").mkdir()
    (writable / "new").write_text("content")
    (writable / "new").rename(writable / "sub" / "new")


def listen() -> None:
    """Be a server and its client at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=2).close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
