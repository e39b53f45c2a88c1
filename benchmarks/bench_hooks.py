"""Seven small checks of 1,000 files: as raw commands, by prek, and as the gates of one stage. Ratios of one run.

    python benchmarks/bench_hooks.py [rounds]

prek (pre-commit's faster sibling, a program of the `dev` extra) runs them as local hooks in the working tree, trusting
it. Gates judge a commit that differs from the one before in ten files: checked out, confined, and nothing left behind.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from judged_project import Project

from gatewright.server.engine.runners import Runners

ROUNDS = 10
FILES = 1_000
CHANGED_FILES = 10
LINES = 60
HOOKS = {
    "conflicts": "! grep -rnE '^(<<<<<<<|>>>>>>>) ' --include=*.py src",
    "trailing": "! grep -rnE '[[:blank:]]+$' --include=*.py src",
    "tabs": "! grep -rnP '\\t' --include=*.py src",
    "names": "! find src -name '* *' | grep .",
    "large": "! find src -name '*.py' -size +500k | grep .",
    "lint": "ruff check --no-cache --quiet src",
    "layout": "ruff format --no-cache --quiet --check src",
}


def main(rounds: int) -> None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        anyio.run(measure, Path(name), rounds)


async def measure(folder: Path, rounds: int) -> None:
    files = {f"src/m{number}.py": f"x = {number}\n" * LINES for number in range(FILES)}
    gates = [{"command": {"name": name, "run": run, "tree": "shared"}} for name, run in HOOKS.items()]
    hooks = [
        {"id": name, "name": name, "language": "system", "entry": f"sh -c {json.dumps(run)}", "pass_filenames": False}
        for name, run in HOOKS.items()
    ]
    settings = json.dumps({"repos": [{"repo": "local", "hooks": hooks}]})
    project = Project(folder, {**files, ".pre-commit-config.yaml": settings}, gates)
    seconds: dict[str, list[float]] = {"raw commands": [], "prek": [], "gates": []}
    levels: set[str] = set()
    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        for number in range(-1, rounds):
            # The line of numbers keeps its length, and every round judges another commit.
            changed = {f"src/m{file}.py": f"x = {number + 5000}\n" * LINES for file in range(CHANGED_FILES)}
            job = project.job(project.commit(changed), slots=os.cpu_count() or 1)
            taken = {
                "raw commands": timed(lambda: run_raw(project.tree)),
                "prek": timed(lambda: run_prek(project.tree, folder)),
            }
            begun = time.perf_counter()
            evidence = await project.judge(runners, job)
            taken["gates"] = time.perf_counter() - begun
            levels |= {evidence[name].isolation for name in HOOKS}
            # What only the first round pays is not of interest here.
            if number >= 0:
                for way, spent in taken.items():
                    seconds[way].append(spent)
        await runners.aclose()
    report(seconds, ", ".join(sorted(levels)))


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run_raw(tree: Path) -> None:
    for run in HOOKS.values():
        subprocess.run(["/bin/sh", "-c", run], cwd=tree, check=True, capture_output=True)


def run_prek(tree: Path, home: Path) -> None:
    prek = shutil.which("prek", path=sysconfig.get_path("scripts"))
    assert prek is not None, "prek comes with the dev extra"
    environment = {**os.environ, "PREK_HOME": str(home / "prek")}
    subprocess.run([prek, "run", "--all-files"], cwd=tree, check=True, capture_output=True, env=environment)


def report(seconds: dict[str, list[float]], levels: str) -> None:
    raw = statistics.median(seconds["raw commands"])
    print(f"{len(HOOKS)} checks of {FILES} files; gates at isolation {levels}")
    for way, spent in seconds.items():
        median = statistics.median(spent)
        print(f"  {way:14} {median * 1e3:7.1f} ms  {median / raw:5.2f}x  {(median - raw) * 1e3:+7.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
