"""Hold gatewright against the protocol's official programs: `python -m tests.conformance [--verbose]`.

The conformance suite runs against the application, behind the door of `gatewright serve` and without, against the
fixture in front of it, and against the installed command, in both generations of the protocol; the inspector against
the installed command. Ends with 1 unless all that is not listed passes and nothing that is listed does. `make
conformance` calls this; npm fetches what it needs once.
"""

import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from starlette.types import ASGIApp

from ..acceptance.house import Repository, serving
from .baseline import Judgement, join, judge, read_baseline, unknown_entries
from .door import HOST, door
from .downloads import NotFetched, Programs, fetch
from .fixture import FixtureSurface
from .front import over_http, serving_http
from .inspector import CALLS, ERAS, inspect
from .installed import installed
from .relay import relaying
from .suite import GENERATIONS, run_suite, scenarios_of

HERE = Path(__file__).resolve().parent
PRINCIPAL = "http:conformance"


def main(given: Sequence[str]) -> int:
    """Print a line a run and a line a problem."""
    # The suite provokes what the SDK warns of.
    logging.basicConfig(level=logging.ERROR)
    try:
        programs = fetch()
    except NotFetched as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="gw-conformance-") as folder, _own_home(Path(folder)):
        problems = anyio.run(_run_all, Run(programs, Path(folder), "--verbose" in given))
    for problem in problems:
        sys.stdout.write(f"!! {problem}\n")
    sys.stdout.write(f"{len(problems)} problems\n")
    return 1 if problems else 0


@dataclass(frozen=True, slots=True)
class Run:
    """What every part of the run needs."""

    programs: Programs
    folder: Path
    is_verbose: bool

    async def hold(
        self, name: str, application: ASGIApp, *baselines: str, listener: socket.socket | None = None
    ) -> list[str]:
        """Run the suite in both generations against an HTTP application, and hold the results against baselines."""
        known = {scenario for generation in GENERATIONS for scenario in scenarios_of(self.programs, generation)}
        baseline = join(read_baseline(HERE / f"{file}.yaml") for file in baselines)
        problems = [
            f"{name} lists {entry}, which the suite does not have" for entry in unknown_entries(baseline, known)
        ]
        async with serving_http(application, listener) as url:
            for generation in GENERATIONS:
                begun = time.monotonic()
                checks = await run_suite(self.programs, url, generation, self.folder / name / generation)
                judgement = judge(checks, baseline)
                _tell(f"{name}, {generation}", _summary(judgement), begun)
                if self.is_verbose:
                    for check in checks:
                        sys.stdout.write(f"   {check.status:8} {check.scenario}:{check.id}\n")
                problems += [f"{name}, {generation}, {problem}" for problem in judgement.problems]
        return problems


async def _run_all(run: Run) -> list[str]:
    """Both side by side: much of the time one waits for a program to start."""
    problems: list[str] = []

    async def collect(hold: Callable[[Run], Awaitable[list[str]]]) -> None:
        problems.extend(await hold(run))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, _hold_application)
        tasks.start_soon(collect, _hold_command)
    return sorted(problems)


async def _hold_application(run: Run) -> list[str]:
    """The application as it is, and with the suite's names in front of it."""
    async with serving(Repository(run.folder / "served")) as desk:
        # So that the lists have something in them.
        async with desk.agent() as ada:
            await ada.start()
        application = desk.application
        surface = application.surface(PRINCIPAL)
        fixture = FixtureSurface(surface, application.notices.bus)
        listener = socket.create_server((HOST, 0))
        async with door(application, listener.getsockname()[1]) as served:
            problems = await run.hold("serve", served, "product", "serve", listener=listener)
        return [
            *problems,
            *await run.hold("application", over_http(application.server_of(surface)), "product"),
            *await run.hold("fixture", over_http(application.server_of(fixture)), "fixture"),
        ]


async def _hold_command(run: Run) -> list[str]:
    """What is installed, with everything between a client and the application."""
    with installed(run.folder / "repository") as command:
        async with relaying(command) as application:
            problems = await run.hold("command", application, "product", "command")
        begun = time.monotonic()
        inspected = await inspect(run.programs, command)
        _tell("command, inspector", f"{len(CALLS) * len(ERAS)} calls, {len(inspected)} wrong", begun)
    return [*problems, *inspected]


def _summary(judgement: Judgement) -> str:
    return (
        f"{judgement.scenarios} scenarios, {judgement.passed} checks passed, {judgement.expected} failed as listed, "
        f"{len(judgement.problems)} wrong"
    )


def _tell(what: str, found: str, begun: float) -> None:
    sys.stdout.write(f"{what:23} {time.monotonic() - begun:5.1f} s  {found}\n")
    sys.stdout.flush()


@contextmanager
def _own_home(folder: Path) -> Generator[None]:
    """A home, a runtime folder and a git identity of its own."""
    home, runtime = folder / "home", folder / "run"
    home.mkdir()
    runtime.mkdir(mode=0o700)
    (folder / "gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n")
    before = dict(os.environ)
    os.environ.update(
        HOME=str(home),
        XDG_RUNTIME_DIR=str(runtime),
        GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
    )
    yield
    os.environ.clear()
    os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
