"""Drive published Python projects through their gates: `gatewright init`, then real changes over stdio.

Four changes for each project: a feature whose first attempt is wrong, an honest refactoring, a new dependency, and a
change that breaks what a test covers and then hides the test. See README.md.
"""

import argparse
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from agent import Agent, Data, RefusedCall, connected
from edits import DoesNotFit
from mcp import MCPError
from places import SOURCES, alone, environment, scratch_of
from processes import CommandFailed, processes_in, stop_server, try_command
from project import Bad, Feature, Honest, Journey, Project
from projects import PROJECTS
from sources import NotRun, download, git, make_repository

TRAVELLERS = tuple(project for project in PROJECTS if project.journey is not None)
JOBS = 3
COMMAND_TIMEOUT_S = 60.0
PROJECT_TIMEOUT_S = 900.0


@dataclass
class Report:
    """Prints one line per checkpoint and counts them."""

    verbose: bool
    passed: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, about: str, checkpoint: str, *, holds: bool, detail: object = "") -> None:
        """Say whether the checkpoint holds; the detail is shown when it does not, or when all are asked for."""
        with self.lock:
            self.passed, self.failed = self.passed + holds, self.failed + (not holds)
            seconds = time.monotonic() - self.started
            print(f"{'ok  ' if holds else 'FAIL'} {seconds:6.1f} s  {about}: {checkpoint}", flush=True)
            if detail and (self.verbose or not holds):
                print("     " + str(detail).strip().replace("\n", "\n     "), flush=True)


@dataclass(frozen=True)
class Drive:
    """One project under test: its journey and repository, and how gatewright is called in it."""

    name: str
    journey: Journey
    repository: Path
    gatewright: Path
    environment: Mapping[str, str]
    report: Report

    def check(self, checkpoint: str, *, holds: bool, detail: object = "") -> None:
        self.report.check(self.name, checkpoint, holds=holds, detail=detail)

    def run_gatewright(self, *arguments: str) -> tuple[int | None, str]:
        argv = [str(self.gatewright), *arguments]
        return try_command(argv, cwd=self.repository, timeout_s=COMMAND_TIMEOUT_S, environment=self.environment)


def main() -> int:
    options = _options()
    report = Report(options.verbose)
    chosen = [project for project in TRAVELLERS if options.only in {None, project.name}]
    with alone(), ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda project: _drive(project, options.gatewright, report), chosen))
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


def _drive(project: Project, gatewright: Path, report: Report) -> None:
    """Set the project up, take the four changes through, and leave nothing but the cache behind."""
    assert project.journey is not None
    scratch = scratch_of(project)
    shutil.rmtree(scratch, ignore_errors=True)
    drive = Drive(project.name, project.journey, scratch / project.name, gatewright, environment(), report)
    try:
        download(project.archive, SOURCES)
        make_repository(project.archive, SOURCES, drive.repository)
        _set_up(drive)
        anyio.run(_take_through, drive)
    except* NotRun as problems:
        drive.check("not run", holds=False, detail="\n".join(map(str, _leaves(problems))))
    except* (CommandFailed, RefusedCall, DoesNotFit, TimeoutError, MCPError) as problems:
        # What is raised while the client's tasks run comes wrapped, once for each of their groups.
        drive.check("the steps around it work", holds=False, detail="\n".join(map(repr, _leaves(problems))))
    finally:
        stopped = stop_server(drive.repository)
        left = processes_in(scratch)
        drive.check("left no process behind", holds=stopped and not left, detail=left)
        shutil.rmtree(scratch, ignore_errors=True)


def _leaves(problems: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for problem in problems.exceptions:
        yield from _leaves(problem) if isinstance(problem, BaseExceptionGroup) else [problem]


def _set_up(drive: Drive) -> None:
    """What a person does: init, a look at the file, one commit."""
    status, output = drive.run_gatewright("init")
    text = (drive.repository / "gatewright.yaml").read_text() if status == 0 else output
    has_gates = all(f"- {gate}" in text for gate in ("compile", "ruff", "test:"))
    drive.check("init writes a pipeline with a test gate", holds=status == 0 and has_gates, detail=text)
    git(drive.repository, "add", "gatewright.yaml")
    git(drive.repository, "commit", "--quiet", "--message=Use gatewright")


async def _take_through(drive: Drive) -> None:
    with anyio.fail_after(PROJECT_TIMEOUT_S):
        async with connected(drive.gatewright, drive.repository, drive.environment) as agent:
            # All of them start on the same commit, as those of several agents do; landings have to merge.
            journey = drive.journey
            intents = (journey.feature, journey.refactoring, journey.dependency, journey.bad)
            feature, refactoring, dependency, bad = [await agent.start(intent.title) for intent in intents]
            await _feature(drive, agent, feature, journey.feature)
            await _honest(drive, agent, refactoring, journey.refactoring, "an honest refactoring")
            await _honest(drive, agent, dependency, journey.dependency, "a new dependency")
            await _bad(drive, agent, bad, journey.bad)


async def _feature(drive: Drive, agent: Agent, change: str, feature: Feature) -> None:
    """Wrong at first, with the failing test's place; then mended."""
    brief = await agent.claim(change, "code")
    first = await agent.work(brief, feature.wrong, "All tests pass.")
    _check_failed(drive, first, feature.where, "a wrong first attempt fails")
    second = await agent.work(brief, feature.right, "Mended.")
    drive.check("the second attempt passes", holds=second["outcome"] == "passed", detail=_told(second))
    if second["outcome"] == "passed":
        await _check_landing(drive, agent, change, "it")


async def _honest(drive: Drive, agent: Agent, change: str, honest: Honest, what: str) -> None:
    verdict = await agent.work(await agent.claim(change, "code"), honest.edits, honest.title)
    drive.check(f"{what} passes at once", holds=verdict["outcome"] == "passed", detail=_told(verdict))
    if verdict["outcome"] == "passed":
        await _check_landing(drive, agent, change, what)


async def _bad(drive: Drive, agent: Agent, change: str, bad: Bad) -> None:
    """Broken code is refused; the same with its tests out of the way is refused or a person's to decide."""
    tip = git(drive.repository, "rev-parse", "main")
    brief = await agent.claim(change, "code")
    broken = await agent.work(brief, bad.breaking, "All tests pass.")
    _check_failed(drive, broken, bad.where, "a bad change fails")
    hidden = await agent.work(brief, bad.hiding, "All tests pass now.")
    blocked = hidden["outcome"] in {"failed", "pending"}
    drive.check("with its test out of the way it still does not pass", holds=blocked, detail=_told(hidden))
    stays = git(drive.repository, "rev-parse", "main") == tip
    drive.check("main stays where it was", holds=stays)


def _check_failed(drive: Drive, verdict: Data, where: str, what: str) -> None:
    failed = verdict["outcome"] == "failed"
    drive.check(what, holds=failed, detail=_told(verdict))
    places = [str(finding["where"]) for finding in verdict["findings"] if finding["gate"] == "test"]
    named = any(re.fullmatch(where, place) for place in places)
    drive.check("... with the path and line of the failing test", holds=named, detail=_told(verdict))


async def _check_landing(drive: Drive, agent: Agent, change: str, what: str) -> None:
    """It moved main, to the very files that passed, and brought the person's checkout along."""
    before = git(drive.repository, "rev-parse", "main")
    status = await agent.wait_for_landing(change)
    drive.check(f"{what} lands", holds=status.get("state") == "landed", detail=status)
    if status.get("state") != "landed":
        return
    subject = git(drive.repository, "log", "-1", "--format=%s", "main")
    moved = change in subject
    drive.check("... main is the landing", holds=moved, detail=f"{before} -> {subject}")
    verified, told = drive.run_gatewright("verify", "HEAD")
    drive.check("... and its files are the judged ones: verify HEAD", holds=verified == 0, detail=told)
    left = git(drive.repository, "status", "--porcelain")
    drive.check("... and the checkout of main is up to date", holds=left == "", detail=left)


def _told(verdict: Data) -> str:
    lines = [str(verdict["summary"])]
    lines += [
        f"{gate['gate']}: {gate['outcome']}, {gate['summary']} {gate['duration_s']} s" for gate in verdict["gates"]
    ]
    lines += [f"{f['gate']} {f['where']} {f['rule']}: {f['message']}" for f in verdict["findings"]]
    return "\n".join([*lines, *map(str, verdict["questions"])])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drive published projects through their gates.")
    beside_python = Path(sys.executable).with_name("gatewright")
    parser.add_argument("--gatewright", type=Path, default=beside_python, help="the program (default: beside Python)")
    parser.add_argument("--only", choices=[project.name for project in TRAVELLERS], help="drive one project only")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"projects at a time (default: {JOBS})")
    parser.add_argument("--verbose", action="store_true", help="show the details of passed checkpoints too")
    options = parser.parse_args()
    options.gatewright = options.gatewright.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
