"""A machine with one repository, its clients and its servers, all of them real processes that end with the test."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

APPLICATION = Path(__file__).with_name("application.py")
WITHIN_S = 20.0


class Client:
    """A raw client of a stdio server: lines out, lines in, nothing of the SDK between."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._received = b""

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message; fails when the server ends or is silent for WITHIN_S."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + WITHIN_S
        while b"\n" not in self._received:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, "no message came"
            data = os.read(self.process.stdout.fileno(), 65_536)
            assert data, f"the server closed its end after {self._received!r}"
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def reply_to(self, request_id: int | str | None) -> dict[str, Any]:
        """The next reply with this id; notifications and questions in between are passed over."""
        while True:
            message = self.receive()
            if "method" not in message and message.get("id") == request_id:
                return message

    def initialize(self, **capabilities: object) -> None:
        info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}
        self.send({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params})
        assert "result" in self.reply_to("hello")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, request_id: int, tool: str, **arguments: object) -> None:
        params = {"name": tool, "arguments": arguments}
        self.send({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params})

    def result_of(self, request_id: int) -> dict[str, Any]:
        content = self.reply_to(request_id)["result"]["structuredContent"]
        assert isinstance(content, dict)
        return content

    def has_open(self, name: str) -> bool:
        """Whether the process has a file of this name open; needs /proc, without which it always has."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        if not folder.exists():
            return True
        found = False
        for descriptor in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found = found or descriptor.readlink().name == name
        return found

    def close_and_wait(self) -> tuple[int, float]:
        """Close the input as a client that ends does; return exit status and seconds."""
        assert self.process.stdin is not None
        begun = time.monotonic()
        self.process.stdin.close()
        return self.process.wait(WITHIN_S), time.monotonic() - begun

    def stop_reading_and_wait(self) -> tuple[int, float]:
        assert self.process.stdout is not None
        begun = time.monotonic()
        self.process.stdout.close()
        return self.process.wait(WITHIN_S), time.monotonic() - begun

    def signal_and_wait(self, number: int) -> tuple[int, float]:
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S), time.monotonic() - begun


class Machine:
    """One repository and everybody who works on it. `meeting` is the folder that application and test share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meeting = folder / "meeting"
        self.repository = folder / "repository"
        self.meeting.mkdir()
        self.repository.mkdir()
        self.git("init", "-q")
        self.git("commit", "-q", "--allow-empty", "-m", "Begin")
        self.common_dir = (self.repository / ".git").resolve()
        self._clients: list[Client] = []

    def command(self, role: str, *options: str, version: str = "1.0.0") -> list[str]:
        return [sys.executable, str(APPLICATION), role, str(self.meeting), version, *options]

    def start(
        self, role: str = "bridge", *options: str, cwd: Path | None = None, version: str = "1.0.0", **environment: str
    ) -> Client:
        process = subprocess.Popen(
            self.command(role, *options, version=version),
            cwd=cwd or self.repository,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        client = Client(process)
        self._clients.append(client)
        return client

    def lines(self, name: str) -> list[str]:
        path = self.meeting / name
        return path.read_text().split() if path.exists() else []

    def servers(self) -> list[int]:
        """The process ids of all servers that were ever started, in order."""
        return [int(line) for line in self.lines("servers")]

    def kill_server(self) -> None:
        pid = self.servers()[-1]
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: not self.is_alive(pid))

    def make(self, name: str, content: str = "") -> None:
        (self.meeting / name).write_text(content)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.repository, check=True, stdin=subprocess.DEVNULL)

    @staticmethod
    def until(is_so: Callable[[], object]) -> None:
        """Wait for what another process does; fails after WITHIN_S."""
        deadline = time.monotonic() + WITHIN_S
        while not is_so():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.005)

    @staticmethod
    def is_alive(pid: int) -> bool:
        """Whether a process runs; one that has ended but was not reaped does not."""
        status = Path(f"/proc/{pid}/stat")
        if Path("/proc/self").exists():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False

    def clear(self) -> None:
        for client in self._clients:
            client.process.kill()
            client.process.wait()
            for stream in (client.process.stdin, client.process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
        (self.meeting / "hold").unlink(missing_ok=True)
        for pid in self.servers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.clear()
