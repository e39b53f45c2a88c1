"""Judge honest changes to published projects: none may be failed, and nobody asked without need.

See README.md. Exits with 1 when more than one in forty is failed or errored wrongly, when needless questions are more
than a bound, or when a question that rule 8 wants was not asked.
"""

import argparse
import gc
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import anyio
from edits import DoesNotFit
from judging import Bench, Verdict
from places import alone, scratch_of
from processes import CommandFailed, processes_in
from project import Honest, Project
from projects import PROJECTS
from repository import Base, Change, consult_doctor, make_base, make_changes
from sources import NotRun

from gatewright.schemas.records import Outcome
from gatewright.server.engine.runners import RunnerLost, Runners

JOBS = 2
WRONGLY_BLOCKED_MAX = 1 / 40
NEEDLESSLY_ASKED_MAX = 1 / 20
COLUMNS = "{:<16} {:<68} {:<26} {:<26} {:>7}"


class Kind(StrEnum):
    """How a verdict compares with what was expected."""

    RIGHT = "as expected"
    FAILED = "wrongly failed"
    ERRORED = "wrongly errored"
    ASKED = "needlessly asked"
    NOT_ASKED = "not asked"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Row:
    """One line of the table; `detail` says more than fits there, `tolerated` counts what the base has already."""

    project: str
    honest: Honest
    kind: Kind
    got: str
    seconds: float
    detail: str = ""
    tolerated: int = 0

    @property
    def expected(self) -> str:
        return "passes" if self.honest.asks is None else f"asks: {self.honest.asks}"


class Table:
    """The rows, each printed as it comes."""

    def __init__(self, *, is_verbose: bool) -> None:
        self.rows: list[Row] = []
        self._is_verbose = is_verbose
        print(COLUMNS.format("project", "change", "expected", "got", "seconds"))

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(COLUMNS.format(row.project, row.honest.title, row.expected, row.got, f"{row.seconds:.1f}"), flush=True)
        if row.kind is not Kind.RIGHT or self._is_verbose:
            print("    " + f"{row.kind}: {row.detail}".strip().replace("\n", "\n    "), flush=True)


@dataclass(frozen=True)
class Suite:
    """One run: what was asked for, where verdicts go, and what else went wrong."""

    options: argparse.Namespace
    table: Table
    limiter: anyio.CapacityLimiter
    problems: list[str] = field(default_factory=list)


def main() -> int:
    options = _options()
    started = time.monotonic()
    suite = Suite(options, Table(is_verbose=options.verbose), anyio.CapacityLimiter(options.jobs))
    with alone():
        anyio.run(_judge_all, suite)
        # Readers of git objects end with what they belong to.
        gc.collect()
        suite.problems.extend(_left_behind())
    for problem in suite.problems:
        print(f"PROBLEM {problem}")
    print(f"\n{time.monotonic() - started:.0f} s")
    return _conclude(suite.table.rows, suite.problems)


async def _judge_all(suite: Suite) -> None:
    async with anyio.create_task_group() as tasks:
        runners = Runners(tasks)
        async with anyio.create_task_group() as projects:
            for project in PROJECTS:
                chosen = _chosen(project, suite.options)
                if chosen:
                    projects.start_soon(_judge_project, suite, runners, project, chosen)
        await runners.aclose()


def _chosen(project: Project, options: argparse.Namespace) -> list[Honest]:
    if options.only not in {None, project.name}:
        return []
    wanted = (honest for honest in project.changes if honest.is_sampled or not options.sample)
    return [honest for honest in wanted if options.change.casefold() in honest.title.casefold()]


async def _judge_project(suite: Suite, runners: Runners, project: Project, chosen: Sequence[Honest]) -> None:
    try:
        async with suite.limiter:
            base, changes = await anyio.to_thread.run_sync(_prepare, project, chosen, suite.options)
    except (NotRun, CommandFailed, DoesNotFit) as problem:
        suite.problems.append(f"{project.name}: {problem}")
        return
    bench = Bench(base, runners, suite.limiter)
    async with anyio.create_task_group() as tasks:
        for number, change in enumerate(changes, 1):
            tasks.start_soon(_judge_one, suite.table, bench, number, change)


def _prepare(project: Project, chosen: Sequence[Honest], options: argparse.Namespace) -> tuple[Base, list[Change]]:
    base = make_base(project, scratch_of(project), options.gatewright)
    if options.doctor:
        told = consult_doctor(base, options.gatewright)
        print(f"{project.name}: the doctor says: {told.strip().splitlines()[-1]}", flush=True)
    return base, make_changes(base, chosen)


async def _judge_one(table: Table, bench: Bench, number: int, change: Change) -> None:
    try:
        verdict = await bench.judge(number, change)
    except (RunnerLost, TimeoutError) as problem:
        table.add(Row(bench.project, change.honest, Kind.NOT_JUDGED, "nothing", 0.0, repr(problem)))
        return
    asks = f"asks: {', '.join(sorted(verdict.rules))}"
    got = asks if verdict.outcome is Outcome.PENDING else verdict.outcome
    kind = _compare(change.honest, verdict)
    tolerated = sum(len(item.tolerated) for item in verdict.evidence)
    table.add(Row(bench.project, change.honest, kind, got, verdict.seconds, verdict.told(), tolerated))


def _compare(honest: Honest, verdict: Verdict) -> Kind:
    match verdict.outcome:
        case Outcome.FAILED:
            return Kind.FAILED
        case Outcome.ERRORED:
            return Kind.ERRORED
        case Outcome.PENDING:
            return Kind.RIGHT if ", ".join(sorted(verdict.rules)) == honest.asks else Kind.ASKED
        case Outcome.PASSED:
            return Kind.RIGHT if honest.asks is None else Kind.NOT_ASKED


def _conclude(rows: Sequence[Row], problems: Sequence[str]) -> int:
    """Print the rates; the exit status."""
    count = Counter(row.kind for row in rows)
    asked = sum(row.kind is Kind.RIGHT and row.honest.asks is not None for row in rows)
    total = len(rows)
    red = {row.project: max(other.tolerated for other in rows if other.project == row.project) for row in rows}
    print(f"{total} honest changes to {len(red)} projects")
    for name, findings in sorted(red.items()):
        print(f"  {name} starts with {findings} findings or failing tests")
    for kind in Kind:
        print(f"  {kind:<17} {count[kind]:>3}  {100 * count[kind] / max(total, 1):5.1f} %")
    print(f"  {'asked rightly':<17} {asked:>3}  {100 * asked / max(total, 1):5.1f} %")
    blocked = count[Kind.FAILED] + count[Kind.ERRORED] + count[Kind.NOT_JUDGED]
    holds = (
        total > 0
        and not problems
        and blocked <= total * WRONGLY_BLOCKED_MAX
        and count[Kind.ASKED] <= total * NEEDLESSLY_ASKED_MAX
        and count[Kind.NOT_ASKED] == 0
    )
    print(f"{count[Kind.RIGHT]} passed, {total - count[Kind.RIGHT] + len(problems)} failed")
    return 0 if holds else 1


def _left_behind() -> Iterator[str]:
    """What is still running in a project's folder; the folders go."""
    for project in PROJECTS:
        scratch = scratch_of(project)
        left = processes_in(scratch)
        if left:
            yield f"{project.name}: processes were left: {left}"
        shutil.rmtree(scratch, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge honest changes to published projects.")
    beside_python = Path(sys.executable).with_name("gatewright")
    parser.add_argument("--gatewright", type=Path, default=beside_python, help="the program (default: beside Python)")
    parser.add_argument("--sample", action="store_true", help="only the pinned quick sample")
    parser.add_argument("--doctor", action="store_true", help="have `gatewright doctor` look at each project first")
    parser.add_argument("--only", choices=[project.name for project in PROJECTS], help="one project only")
    parser.add_argument("--change", default="", metavar="TEXT", help="only changes with this in their title")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"judgements at a time (default: {JOBS})")
    parser.add_argument("--verbose", action="store_true", help="show the details of every verdict")
    options = parser.parse_args()
    options.gatewright = options.gatewright.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
