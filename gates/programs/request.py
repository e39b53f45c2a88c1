"""What a runner asks of a supervisor, and what the supervisor answers. Standard library only."""

import socket
import struct
from typing import NamedTuple

NO_LIMIT = -1
# Where a sandbox that tells its status writes it.
STATUS_DESCRIPTOR = 3

_LENGTH = struct.Struct("!I")


class Request(NamedTuple):
    """What to run under which limits (or `NO_LIMIT`). Travels as NUL-separated fields in this order.

    `fence` are paths with a first byte `r` or `w`, outside of which the program reaches nothing; empty, there is no
    fence. `places` are the folders whose contents count for the disk. With `tells_status` the program is a sandbox,
    which writes to `STATUS_DESCRIPTOR` what became of the program in it.
    """

    timeout_s: float
    processes_max: int
    tasks_of_user_max: int
    memory_bytes_max: int
    file_bytes_max: int
    disk_bytes_max: int
    tells_status: bool
    program: bytes
    cwd: bytes
    arguments: list[bytes]
    environment: list[bytes]
    fence: list[bytes]
    places: list[bytes]

    def encode(self) -> bytes:
        fields = [str(float(self.timeout_s)).encode(), *(b"%d" % value for value in self[1:7]), self.program, self.cwd]
        for texts in self[9:]:
            fields += [b"%d" % len(texts), *texts]
        body = b"\0".join(fields)
        return _LENGTH.pack(len(body)) + body

    @classmethod
    def decode(cls, body: bytes) -> "Request":
        timeout_s, processes, tasks, memory, file, disk, tells_status, program, cwd, *rest = body.split(b"\0")
        limits = (float(timeout_s), int(processes), int(tasks), int(memory), int(file), int(disk))
        lists = []
        while rest:
            count = int(rest[0])
            lists.append(rest[1 : 1 + count])
            rest = rest[1 + count :]
        return cls(*limits, bool(int(tells_status)), program, cwd, *lists)


class Ending(NamedTuple):
    """How it ended. `reason` is exit, timeout, a limit or cancelled, or the step that failed before the program ran."""

    reason: str
    number: int  # the wait status, or the errno of the step
    duration_us: int
    survivors: int  # processes that could not be killed, such as those of another user

    def encode(self) -> bytes:
        return " ".join(map(str, self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Ending":
        reason, *numbers = line.split()
        number, duration_us, survivors = map(int, numbers)
        return cls(reason.decode(), number, duration_us, survivors)


def receive(control: socket.socket) -> Request | None:
    """Read one request; None when the runner has gone before it was whole."""
    data = bytearray()
    wanted = _LENGTH.size
    while len(data) < wanted:
        piece = control.recv(wanted - len(data))
        if not piece:
            return None
        data += piece
        if len(data) == _LENGTH.size:
            wanted += _LENGTH.unpack(data)[0]
    return Request.decode(bytes(data[_LENGTH.size :]))
