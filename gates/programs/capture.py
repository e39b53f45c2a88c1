"""The streams of a program: what it prints is read in bounded memory, both ends kept, all of it counted and hashed."""

import os
import tempfile
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import IO

import anyio

from ..text import head_and_tail

READ_BYTES = 1 << 16
READS_PER_WAKE = 16


class Capture:
    """One stream of a program. Holds at most `bytes_max` plus one piece, however much arrives."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self.digest = sha256()
        self._head = bytearray()
        self._tail = bytearray()
        self._head_bytes_max = bytes_max // 2
        self._tail_bytes_max = bytes_max - self._head_bytes_max

    def add(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self.digest.update(piece)
        room = self._head_bytes_max - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        del self._tail[: max(0, len(self._tail) - self._tail_bytes_max)]

    def text(self) -> str:
        """Clean text of both ends, with a line between them that says how much is left out."""
        return head_and_tail(bytes(self._head), bytes(self._tail), self._left_out)

    def whole(self) -> bytes | None:
        """Every byte, or None when there were more than are kept."""
        return None if self._left_out else bytes(self._head + self._tail)

    @property
    def _left_out(self) -> int:
        return self.bytes - len(self._head) - len(self._tail)


async def collect(descriptor: int, capture: Capture) -> None:
    """Read the non-blocking descriptor until its end."""
    while True:
        await anyio.wait_readable(descriptor)
        if not collect_waiting(descriptor, capture):
            return


def collect_waiting(descriptor: int, capture: Capture) -> bool:
    """Read what is there, boundedly much of it; False at the end of the stream."""
    for _ in range(READS_PER_WAKE):
        try:
            piece = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return True
        if not piece:
            return False
        capture.add(piece)
    return True


def open_pipe(opened: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """A pipe to read a stream from, without blocking, and its other end; `opened` closes both."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    return opened.enter_context(os.fdopen(reader, "rb", 0)), opened.enter_context(os.fdopen(writer, "wb", 0))


def open_stdin(content: bytes | None) -> IO[bytes]:
    """What a program reads: the content, or nothing."""
    if content is None:
        return Path(os.devnull).open("rb")
    # A file and not a pipe: nobody needs to feed it, and a program that never reads cannot block us.
    with ExitStack() as opened:
        file = opened.enter_context(tempfile.TemporaryFile())
        file.write(content)
        file.seek(0)
        opened.pop_all()
        return file
