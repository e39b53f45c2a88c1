"""What judging costs beside the gates themselves. Ratios of one run.

    python benchmarks/bench_evaluation.py [rounds]

- side by side: a stage with three gates that wait, judged with a slot for each, of its slowest gate;
- the base: a suite that takes a while, judged for the first time and then as later attempts are;
- a known verdict: looking up what every gate of a stage found about a tree, in a store that keeps no more, beside a
  bare read of one row.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
from judged_project import Project

from gatewright.gates.contract import Job
from gatewright.schemas.records import Evidence, Outcome
from gatewright.server.engine import jobs
from gatewright.server.engine.runners import Runners
from gatewright.server.store import open_store
from gatewright.server.store.tx import Tx, evidence_adapter

ROUNDS = 7
WAITS_S = (0.5, 1.0, 2.0)
SUITE_S = 2.0
# As many as a store keeps.
VERDICTS = 2_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUITE = f"import time\n\ndef test_one():\n    time.sleep({SUITE_S})\n"


def main(rounds: int) -> None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for measure in (measure_side_by_side, measure_base):
        with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
            anyio.run(measure, Path(name), rounds)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        measure_known(Path(name), rounds)


async def measure_side_by_side(folder: Path, rounds: int) -> None:
    gates = [{"command": {"name": f"wait-{at}", "run": f"sleep {wait}"}} for at, wait in enumerate(WAITS_S)]
    project = Project(folder, {"a.py": "x = 0\n"}, gates)
    ratios = []
    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        for number in range(-1, rounds):
            job = project.job(project.commit({"a.py": f"x = {number + 2}\n"}), slots=len(gates))
            begun = time.perf_counter()
            await project.judge(runners, job)
            if number >= 0:
                ratios.append((time.perf_counter() - begun) / max(WAITS_S))
        await runners.aclose()
    print(f"three gates side by side    {statistics.median(ratios):5.2f} of the slowest")


async def measure_base(folder: Path, rounds: int) -> None:
    project = Project(folder, {"a.py": "x = 0\n", "tests/test_a.py": SUITE}, ["test"])
    taken = []
    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        for number in range(rounds):
            job = project.job(project.commit({"a.py": f"x = {number + 2}\n"}), slots=os.cpu_count() or 1)
            begun = time.perf_counter()
            await project.judge(runners, job)
            taken.append((time.perf_counter() - begun) / SUITE_S)
        await runners.aclose()
    later = statistics.median(taken[1:])
    print(f"first judgement of a base   {taken[0]:5.2f} of the suite, later attempts {later:.2f}")


def measure_known(folder: Path, rounds: int) -> None:
    project = Project(folder, {"a.py": "x = 0\n"}, ["compile", "ruff", "test"])
    job = project.job(project.commit({"a.py": "x = 1\n"}), slots=1)
    subject = jobs.Subject(job.commit, "tree", job.base, job.scope_base)
    (folder / "state").mkdir()
    store = open_store(folder / "state", create=True)
    store.run(lambda tx: keep_verdicts(tx, job, subject))
    rounds *= 20
    looked_up = median_ms(rounds, lambda: store.read(lambda tx: expect_all(jobs.find_known(tx, job, subject), job)))
    with sqlite3.connect(folder / "state" / "state.db") as raw:
        key = jobs.verdict_key(job, job.gates[0], subject)
        read = median_ms(rounds, lambda: raw.execute("SELECT * FROM cache WHERE key = ?", (key,)).fetchone())
    print(f"known verdict of {len(job.gates)} gates  {looked_up:6.2f} ms, a bare read of one row {read:.2f} ms")
    store.close()


def keep_verdicts(tx: Tx, job: Job, subject: jobs.Subject) -> None:
    """Those looked for last, because the oldest are forgotten when there are many."""
    keys = [f"verdict:other-{number}" for number in range(VERDICTS)]
    keys += [jobs.verdict_key(job, gate, subject) for gate in job.gates]
    evidence = Evidence("gate", "kind", Outcome.PASSED, 1, "files", "1 file.")
    for key in keys:
        tx.cache_put(key, evidence_adapter().dump_json(evidence).decode(), NOW)


def expect_all(known: dict[str, Evidence], job: Job) -> None:
    assert {*known} == {gate.name for gate in job.gates}, known


def median_ms(rounds: int, work: Callable[[], object]) -> float:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
