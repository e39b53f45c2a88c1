"""Whether memory stays flat: under the output of one gate, and over many evaluations.

    python benchmarks/bench_memory.py [evaluations]

One program prints 200 MB; the growth of the process that reads it is set against the same with `subprocess.run`, which
keeps all of it. Then a server judges that many different commits (default 1,000); its resident memory and that of the
program that forks runners are read every tenth of the way, after a first tenth in which caches fill, and the slope of a
straight line through the points is printed.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from line_client import LineClient
from served_project import GATEWRIGHT, end_server, make_repository, use_folder

from gatewright.gates.process import ProcessLimits, allowed_environment, run_process
from gatewright.gates.programs.descendants import children_of

EVALUATIONS = 1_000
OUTPUT_BYTES = 200_000_000
PRINTS = ("/bin/sh", "-c", f"head -c {OUTPUT_BYTES} /dev/zero | tr '\\0' 'x'")
LIMITS = ProcessLimits(timeout_s=300, output_bytes_max=200_000)
KIB = 1024


def main(evaluations: int) -> None:
    report_output()
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        use_folder(Path(name))
        make_repository(Path(name) / "repository")
        points = judge_many(Path(name) / "repository", evaluations)
        end_server(Path(name) / "repository")
    report_slopes(points, evaluations)


def report_output() -> None:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        ours = growth_bytes(lambda: anyio.run(read_bounded, Path(name)))
    whole = growth_bytes(lambda: subprocess.run(PRINTS, capture_output=True, check=True))
    print(
        f"{OUTPUT_BYTES // 10**6} MB of output       ours {ours / 1e6:7.1f} MB   subprocess.run {whole / 1e6:7.1f} MB"
    )


async def read_bounded(folder: Path) -> None:
    environment = allowed_environment(path=os.environ["PATH"], home=folder, tmp=folder, extra={})
    finished = await run_process(PRINTS, cwd=folder, environment=environment, limits=LIMITS)
    assert finished.output_bytes == OUTPUT_BYTES, finished


def growth_bytes(work: Callable[[], object]) -> int:
    """How much a fork of this process grows at its peak while it does the work."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        os.write(writer, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as said:
        return int(said.read()) * KIB


def judge_many(repository: Path, evaluations: int) -> dict[str, list[tuple[int, int]]]:
    """Points (evaluations, resident bytes) of each process; every evaluation judges another commit."""
    points: dict[str, list[tuple[int, int]]] = {}
    with LineClient(GATEWRIGHT, repository) as client:

        def call(tool: str, **arguments: object) -> dict[str, object]:
            result = client.call(tool, **arguments)
            assert not result.get("isError"), result
            reply: dict[str, object] = result["structuredContent"]
            return reply

        change = (call("start_change", title="Grow", intent="See whether memory grows."))["change"]
        brief = call("claim_stage", agent="ada", change=change)
        workspace = Path(str(brief["workspace"]))
        server = int((repository / ".git" / "gatewright" / "server.pid").read_text())
        for number in range(1, evaluations + 1):
            (workspace / "plan.md").write_text(f"# Goal\nSay it for the {number}th time at {time.time_ns()}.\n")
            verdict = call("check_gates", lease=brief["lease"])
            assert verdict["state"] == "settled", verdict
            if number % (evaluations // 10) == 0:
                points.setdefault("server", []).append((number, resident_bytes(server)))
                nurseries = [pid for pid in children_of(server) if "runner_nursery" in command_line(pid)]
                points.setdefault("nursery", []).append((number, sum(map(resident_bytes, nurseries))))
    return points


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def report_slopes(points: dict[str, list[tuple[int, int]]], evaluations: int) -> None:
    for name, all_points in points.items():
        settled = all_points[1:]
        slope, _ = statistics.linear_regression([x for x, _ in settled], [y for _, y in settled])
        last = settled[-1][1]
        grown = slope * evaluations / last
        print(
            f"{evaluations} evaluations  {name:8} {last / 1e6:7.1f} MB at the end, "
            f"{slope / KIB:+.2f} KiB an evaluation, {grown:+.1%} over all"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EVALUATIONS)
