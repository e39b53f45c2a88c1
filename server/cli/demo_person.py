"""The demo's person: answers a question as people do, at a terminal, word by word."""

import os
import pty
import select
import subprocess
import time

from .demo_agent import GATEWRIGHT, DemoFailed
from .demo_scratch import Scratch

ANSWER_TIMEOUT_S = 30.0
READ_BYTES = 65_536


def answer(scratch: Scratch, change: str, stage: str, *, decision: str, note: str) -> str:
    """Run `gatewright answer` on a terminal, decide, and return what the person read before deciding."""
    command = [*GATEWRIGHT, "--repo", str(scratch.repository), "answer", change, stage, "--note", note]
    screen, keyboard = pty.openpty()
    environment = {**scratch.environment(), "NO_COLOR": "1"}
    process = subprocess.Popen(
        command, env=environment, stdin=keyboard, stdout=keyboard, stderr=keyboard, start_new_session=True
    )
    os.close(keyboard)
    try:
        read = _read_until(screen, "allow or refuse?")
        os.write(screen, f"{decision}\n".encode())
        _read_until(screen, f"Type {stage} to {decision} it:")
        os.write(screen, f"{stage}\n".encode())
        _read_until(screen, "Answered.")
        process.wait(ANSWER_TIMEOUT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(screen)
    return read


def _read_until(screen: int, expected: str) -> str:
    """What appears on the screen up to the expected words."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    data = b""
    while expected.encode() not in data:
        readable, _, _ = select.select([screen], [], [], max(0.0, deadline - time.monotonic()))
        try:
            piece = os.read(screen, READ_BYTES) if readable else b""
        except OSError:
            # Linux answers so when the program at the other end has ended.
            piece = b""
        if not piece:
            raise DemoFailed(f"The person's terminal never showed {expected!r}, but: {data.decode(errors='replace')}")
        data += piece
    return data.decode(errors="replace").replace("\r\n", "\n")
