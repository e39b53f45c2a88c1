"""How long an agent waits for its tools: process start to the first `tools/list` reply, and the memory of that process.

    python benchmarks/bench_start.py [rounds]

Compared in one run, in turn, so that a busy machine slows all of them alike: a client whose server runs already (warm),
the first client of a repository (cold: bridge, server and application), and a bare echo server of the SDK over stdio.
Prints medians and their ratios to the bare server. Needs Linux for the memory figures.
"""

import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROUNDS = 9
ANSWER_WITHIN_S = 60.0
KIB_PER_MIB = 1024
GATEWRIGHT = [sys.executable, "-P", "-m", "gatewright"]
BARE_SERVER = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
def echo(text: str) -> str:
    "Answer with the text."
    return text
server.run("stdio")
"""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
GENERATIONS: dict[str, list[dict[str, object]]] = {
    "2026-07-28": [{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}],
    "2025-11-25": [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HANDSHAKE},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    ],
}


class Sample:
    """One start: milliseconds to the reply, and the peak memory of the process that the client started."""

    def __init__(self, start_ms: float, peak_mib: float) -> None:
        self.start_ms = start_ms
        self.peak_mib = peak_mib


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as folder:
        repository = make_repository(Path(folder))
        os.environ["XDG_RUNTIME_DIR"] = folder
        samples: dict[str, list[Sample]] = {}
        for _ in range(rounds):
            for generation, messages in GENERATIONS.items():
                for name, measure in contestants(repository, messages).items():
                    samples.setdefault(f"{name}, {generation}", []).append(measure())
                stop_server(repository)
    report(samples)
    return 0


def contestants(repository: Path, messages: Sequence[dict[str, object]]) -> dict[str, Callable[[], Sample]]:
    """In the order of measuring: the cold start leaves the server that the warm one finds."""
    return {
        "bare SDK echo": lambda: start([sys.executable, "-c", BARE_SERVER], repository, messages),
        "gatewright, cold": lambda: start(GATEWRIGHT, repository, messages),
        "gatewright, warm": lambda: start(GATEWRIGHT, repository, messages),
    }


def start(command: Sequence[str], cwd: Path, messages: Sequence[dict[str, object]]) -> Sample:
    """Start a stdio server, ask for its tools, end it as a client does."""
    request = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request)
    process.stdin.flush()
    answer = b""
    while b'"tools"' not in answer or not answer.endswith(b"\n") or b'"id":1' not in answer:
        readable, _, _ = select.select([process.stdout], [], [], ANSWER_WITHIN_S)
        data = os.read(process.stdout.fileno(), 65_536) if readable else b""
        assert data, f"no tools from {command}: {answer!r}"
        answer += data
    start_ms = (time.perf_counter() - begun) * 1000
    peak_mib = peak_memory_mib(process.pid)
    process.stdin.close()
    process.wait(ANSWER_WITHIN_S)
    process.stdout.close()
    return Sample(start_ms, peak_mib)


def make_repository(folder: Path) -> Path:
    repository = folder / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "Begin"], cwd=repository, check=True)
    return repository


def stop_server(repository: Path) -> None:
    """End the repository's server, so that the next start is cold."""
    state = repository / ".git" / "gatewright"
    pid = int((state / "server.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while Path(f"/proc/{pid}").exists() and (state / "server.sock").is_symlink():
        assert time.monotonic() < deadline, "the server does not end"
        time.sleep(0.01)
    shutil.rmtree(state)


def peak_memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / KIB_PER_MIB


def report(samples: dict[str, list[Sample]]) -> None:
    print(f"{'start to first tools/list':34} {'ms':>7} {'of bare':>8} {'MiB':>7}")
    for name, taken in samples.items():
        bare = samples[f"bare SDK echo, {name.rsplit(', ', 1)[1]}"]
        start_ms = statistics.median(sample.start_ms for sample in taken)
        ratio = start_ms / statistics.median(sample.start_ms for sample in bare)
        print(f"{name:34} {start_ms:7.0f} {ratio:8.2f} {statistics.median(s.peak_mib for s in taken):7.1f}")


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
