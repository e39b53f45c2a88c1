"""Read a secret from the terminal itself, unseen: never from standard input, an argument or a variable."""

import os
import termios
from collections.abc import Generator
from contextlib import contextmanager

from ...schemas import refusals
from ...schemas.refusals import Refused
from ..people.hashing import SECRET_CHARS_MAX

TERMINAL = "/dev/tty"
LINE_BYTES_MAX = 4 * SECRET_CHARS_MAX + 1


def read_secret(prompt: str) -> str:
    """What is typed at the process's own terminal, up to the end of the line.

    Raises `Refused` (not_allowed) where the process has none. What was typed ahead of the prompt does not count.
    """
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as exc:
        raise Refused(refusals.secret_needs_terminal()) from exc
    try:
        with _unseen(terminal):
            os.write(terminal, f"{prompt} ".encode())
            return _line(terminal)
    finally:
        os.close(terminal)


@contextmanager
def _unseen(terminal: int) -> Generator[None, None, None]:
    """Without echo; as it was afterwards, also when the person interrupts."""
    before = termios.tcgetattr(terminal)
    unseen = termios.tcgetattr(terminal)
    unseen[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, unseen)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")


def _line(terminal: int) -> str:
    data = b""
    while not data.endswith(b"\n") and len(data) < LINE_BYTES_MAX:
        piece = os.read(terminal, LINE_BYTES_MAX)
        if not piece:
            break
        data += piece
    return data.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
