"""What a gate's program costs above the raw command: medians and ratios of one run.

    python benchmarks/bench_gate_overhead.py [ROUNDS]

The commands take turns, so that a busy machine slows all of them alike. "bubblewrap alone" is started with the very
arguments that a gate's program gets, and nothing of ours around it: less than that no gate at that level can take.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import anyio

from gatewright.gates.isolation.installations import default_reads, hidden_places
from gatewright.gates.isolation.reach import Reach, Sandbox
from gatewright.gates.process import ProcessLimits, allowed_environment, run_process
from gatewright.gates.sandbox import find_best

ROUNDS = 200
COMMAND = ("/bin/true",)
LIMITS = ProcessLimits(timeout_s=60, output_bytes_max=200_000, processes_max=512, memory_bytes_max=4_000_000_000)


async def measure(rounds: int, folder: Path) -> dict[str, list[float]]:
    environment = allowed_environment(path="/usr/bin:/bin", home=folder, tmp=folder, extra={})
    times: dict[str, list[float]] = {"subprocess.run": [], "anyio.run_process": [], "run_process": []}
    sandboxes = await find_sandboxes(folder)
    first = time.perf_counter()
    await run_process(COMMAND, cwd=folder, environment=environment, limits=LIMITS)
    print(f"first command of a runner, launcher included: {(time.perf_counter() - first) * 1e3:.1f} ms")
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run(COMMAND, cwd=folder, env=environment, capture_output=True, check=True)  # noqa: ASYNC221 - measured
        times["subprocess.run"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await anyio.run_process(COMMAND, cwd=folder, env=environment)
        times["anyio.run_process"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await run_process(COMMAND, cwd=folder, environment=environment, limits=LIMITS)
        times["run_process"].append(time.perf_counter() - begun)
        for level, sandbox in sandboxes.items():
            begun = time.perf_counter()
            await run_process(COMMAND, cwd=folder, environment=environment, limits=LIMITS, sandbox=sandbox)
            times.setdefault(f"at level {level}", []).append(time.perf_counter() - begun)
        if "full" in sandboxes:
            times.setdefault("bubblewrap alone", []).append(alone(sandboxes["full"], folder, environment))
    return times


def alone(sandbox: Sandbox, folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds for the program that isolates, run by hand; what it tells about its end is thrown away."""
    confined = sandbox.confine(COMMAND, cwd=folder)
    with Path(os.devnull).open("wb") as nowhere:
        argv = [*confined.argv]
        argv[argv.index("--json-status-fd") + 1] = str(nowhere.fileno())
        begun = time.perf_counter()
        subprocess.run(
            argv, cwd=confined.cwd, env=environment, capture_output=True, check=True, pass_fds=(nowhere.fileno(),)
        )
        return time.perf_counter() - begun


async def find_sandboxes(folder: Path) -> dict[str, Sandbox]:
    """Each level of isolation that works here, with what a gate may read by default."""
    (folder / "temporary").mkdir()
    python, path = Path(sys.executable), os.environ["PATH"]
    hidden = hidden_places(Path.home(), shared=folder / "repository" / ".git", own=[folder / "cache"])
    reads = default_reads(path, python, server=os.environ, variables={}, hidden=hidden)
    reach = Reach(reads, (folder,), hidden, folder / "temporary")
    choices = [await find_best({**os.environ, "GATEWRIGHT_ISOLATION": level}) for level in ("full", "files")]
    return {choice.level: choice.enclose(reach) for choice in choices if choice.level not in ("process", "none")}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        times = anyio.run(measure, rounds, Path(folder))
    raw = statistics.median(times["subprocess.run"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:20} {median * 1e3:6.2f} ms  {median / raw:5.2f}x  {(median - raw) * 1e3:+6.2f} ms")


if __name__ == "__main__":
    main()
