"""What many clients of one repository cost, and whether anything grows: memory, descriptors and threads.

    python benchmarks/bench_bridges.py [bridges] [calls] [connections]

That many bridges (default 200) are started side by side, each greets and lists the tools; then they take turns with
`get_status` (default 4,000 calls in all); then clients come and go (default 400), one after the other, while the others
stay. Memory is the proportional share (PSS), in which what processes share is counted once. The slope is that of a
straight line through ten looks at the server; the first tenth is left out, in which caches fill.
Needs Linux. Ends with status 1 when descriptors or threads are not flat.
"""

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from served_project import GATEWRIGHT, end_server, make_repository, use_folder

BRIDGES, CALLS, CONNECTIONS = 200, 4_000, 400
AT_ONCE = 10
LOOKS = 10
ANSWER_WITHIN_S = 120.0
READ_BYTES = 65_536
KIB_PER_MIB = 1024
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Client:
    """A bridge and who is at its other end."""

    def __init__(self, repository: Path) -> None:
        self.process = subprocess.Popen(
            [*GATEWRIGHT, "mcp", "--repo", str(repository)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._received = b""
        self._calls = 0

    def greet(self) -> None:
        """Ask for all that a client asks for at its start; `listen` hears the answers."""
        self._send({"id": "hello", "method": "initialize", "params": HANDSHAKE})
        self._send({"method": "notifications/initialized"})
        self._send({"id": "tools", "method": "tools/list"})

    def call_status(self) -> float:
        """One call; seconds until it was answered."""
        self._calls += 1
        begun = time.perf_counter()
        self._send({"id": self._calls, "method": "tools/call", "params": {"name": "get_status", "arguments": {}}})
        self.listen(self._calls)
        return time.perf_counter() - begun

    def listen(self, request: object) -> None:
        """Wait for the reply."""
        assert self.process.stdout is not None
        while True:
            while b"\n" not in self._received:
                readable, _, _ = select.select([self.process.stdout], [], [], ANSWER_WITHIN_S)
                assert readable, "no answer"
                data = os.read(self.process.stdout.fileno(), READ_BYTES)
                assert data, "the bridge ended"
                self._received += data
            line, self._received = self._received.split(b"\n", 1)
            message = json.loads(line)
            if message.get("id") == request:
                assert "result" in message, message
                return

    def close(self) -> None:
        """Leave as clients do."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(ANSWER_WITHIN_S)
        self.process.stdout.close()

    def _send(self, message: dict[str, object]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()


@dataclass(frozen=True)
class Look:
    """What a process has at one moment. `done`: how many operations there were before."""

    done: int
    kib: int
    descriptors: int
    threads: int


def main(bridges: int, calls: int, connections: int) -> int:
    with tempfile.TemporaryDirectory(prefix="gw-bench-", dir="/tmp") as name:
        use_folder(Path(name))
        repository = Path(name) / "repository"
        make_repository(repository)
        clients = [greeted(repository)]
        server = int((repository / ".git" / "gatewright" / "server.pid").read_text())
        clients[0].call_status()
        alone = look(server, 0)
        clients += start(repository, bridges - 1)
        together = look(server, 0)
        report_bridges(clients, alone, together)
        looks = call_in_turn(clients, server, calls)
        is_flat = report_looks("calls", looks)
        comings = come_and_go(repository, server, connections)
        is_flat = report_looks("connections", comings) and is_flat
        for client in clients:
            client.close()
        end_server(repository)
    return 0 if is_flat else 1


def greeted(repository: Path) -> Client:
    client = Client(repository)
    client.greet()
    client.listen("tools")
    return client


def start(repository: Path, count: int) -> list[Client]:
    """Some at once, as many as a person might have."""
    clients: list[Client] = []
    while len(clients) < count:
        fresh = [Client(repository) for _ in range(min(AT_ONCE, count - len(clients)))]
        for client in fresh:
            client.greet()
        for client in fresh:
            client.listen("tools")
        clients += fresh
    return clients


def call_in_turn(clients: Sequence[Client], server: int, calls: int) -> list[Look]:
    looks, taken = [], []
    for number in range(1, calls + 1):
        taken.append(clients[number % len(clients)].call_status())
        if number % (calls // LOOKS) == 0:
            looks.append(look(server, number))
    print(f"{calls} calls of {len(clients)} clients in turn: median {1000 * statistics.median(taken):.1f} ms")
    return looks


def come_and_go(repository: Path, server: int, connections: int) -> list[Look]:
    looks = []
    for number in range(1, connections + 1):
        client = greeted(repository)
        client.call_status()
        client.close()
        if number % (connections // LOOKS) == 0:
            looks.append(look(server, number))
    return looks


def look(process: int, done: int) -> Look:
    threads = len(list(Path(f"/proc/{process}/task").iterdir()))
    return Look(done, pss_kib(process), len(list(Path(f"/proc/{process}/fd").iterdir())), threads)


def pss_kib(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def report_bridges(clients: Sequence[Client], alone: Look, together: Look) -> None:
    looks = [look(client.process.pid, 0) for client in clients]
    shares = [found.kib / KIB_PER_MIB for found in looks]
    print(
        f"{len(clients)} bridges: {statistics.median(shares):.1f} MiB each (at most {max(shares):.1f}), "
        f"{sum(shares):.0f} MiB in all, {span(f.descriptors for f in looks)} descriptors, "
        f"{span(f.threads for f in looks)} threads each"
    )
    each = (together.kib - alone.kib) / (len(clients) - 1)
    print(
        f"their server: {together.kib / KIB_PER_MIB:.1f} MiB ({alone.kib / KIB_PER_MIB:.1f} with one client, "
        f"{each:.0f} KiB for each further one), {together.descriptors} descriptors ({alone.descriptors}), "
        f"{together.threads} threads ({alone.threads})"
    )


def report_looks(what: str, looks: Sequence[Look]) -> bool:
    """Print what changed from look to look; whether descriptors and threads stayed within a few."""
    settled = looks[1:]
    slope, _ = statistics.linear_regression([found.done for found in settled], [found.kib for found in settled])
    print(
        f"{settled[-1].done} {what}: the server grows by {1024 * slope:+.0f} bytes each, "
        f"descriptors {span(f.descriptors for f in settled)}, threads {span(f.threads for f in settled)}"
    )
    counts = [[f.descriptors for f in settled], [f.threads for f in settled]]
    return all(max(found) - min(found) <= AT_ONCE for found in counts)


def span(numbers: Iterable[int]) -> str:
    found = list(numbers)
    return str(found[0]) if min(found) == max(found) else f"{min(found)} to {max(found)}"


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    raise SystemExit(main(*given, *(BRIDGES, CALLS, CONNECTIONS)[len(given) :]))
