"""How long an agent waits for its tools: process start to the first `tools/list` reply, and the memory of that process.

    python benchmarks/bench_start.py [rounds]

Compared in one run, in turn, so that a busy machine slows all of them alike: a client whose server runs already (warm),
the first client of a repository (cold: bridge, server and application), a bare echo server of the SDK over stdio, and
fleetwright, the fastest server of this kind that others publish (see `downloads.py`; told where it cannot be had).
Prints medians and their ratios to the bare server and to fleetwright. Needs Linux for the memory figures.
"""

import json
import os
import re
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

from downloads import Unavailable
from peers import Fleetwright
from served_project import BARE, GATEWRIGHT

ROUNDS = 9
BARE_NAME, OTHER_NAME = "bare SDK echo", "fleetwright"
ANSWER_WITHIN_S = 60.0
KIB_PER_MIB = 1024
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
        other = fleetwright(Path(folder) / "other")
        os.environ["XDG_RUNTIME_DIR"] = folder
        samples: dict[str, list[Sample]] = {}
        for _ in range(rounds):
            for generation, messages in GENERATIONS.items():
                for name, measure in contestants(repository, other, messages).items():
                    samples.setdefault(f"{name}, {generation}", []).append(measure())
                stop_server(repository)
    report(samples)
    return 0


def contestants(
    repository: Path, other: Fleetwright | None, messages: Sequence[dict[str, object]]
) -> dict[str, Callable[[], Sample]]:
    """In the order of measuring: the cold start leaves the server that the warm one finds."""
    ours: dict[str, Callable[[], Sample]] = {
        BARE_NAME: lambda: start(BARE, repository, messages),
        "gatewright, cold": lambda: start(GATEWRIGHT, repository, messages),
        "gatewright, warm": lambda: start(GATEWRIGHT, repository, messages),
    }
    if other is None or messages[0]["method"] != "initialize":
        return ours
    return {**ours, OTHER_NAME: lambda: start(other.command(), other.folder, messages)}


def fleetwright(folder: Path) -> Fleetwright | None:
    """The other one, its store made; None when it cannot be had."""
    assert Fleetwright.package is not None
    try:
        programs = Fleetwright.package.fetch()
    except Unavailable as exc:
        print(f"fleetwright is not measured: {exc}")
        return None
    folder.mkdir()
    other = Fleetwright(folder, programs)
    with other.connect("agent"):
        return other


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
    while not answer.endswith(b"\n") or not re.search(rb'"id": ?1\b', answer):
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
    print(f"{'start to first tools/list':34} {'ms':>7} {'of bare':>8} {'of fleetwright':>15} {'MiB':>7}")
    medians = {name: statistics.median(sample.start_ms for sample in taken) for name, taken in samples.items()}
    for name, taken in samples.items():
        generation = name.rpartition(", ")[2]
        of_bare = medians[name] / medians[f"{BARE_NAME}, {generation}"]
        other = medians.get(f"{OTHER_NAME}, {generation}")
        of_other = f"{medians[name] / other:15.2f}" if other is not None else f"{'':15}"
        mib = statistics.median(sample.peak_mib for sample in taken)
        print(f"{name:34} {medians[name]:7.0f} {of_bare:8.2f} {of_other} {mib:7.1f}")


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
