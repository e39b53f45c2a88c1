"""Hold gatewright against the protocol's official programs: `python -m tests.conformance [--verbose]`.

The conformance suite runs against the real product and against the fixture, in both generations of the protocol, and
the inspector against the real command. Ends with 1 unless everything that is not listed passes and nothing that is
listed does. `make conformance` calls this; npm fetches what it needs once.
"""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio

from gatewright.server.app import GatewrightApplication

from ..acceptance.house import Repository, serving
from .baseline import Judgement, judge, read_baseline, unknown_entries
from .downloads import NotFetched, Programs, fetch
from .fixture import FixtureSurface
from .front import serving_http
from .inspector import CALLS, ERAS, inspect
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
        problems = anyio.run(_run_all, programs, Path(folder), "--verbose" in given)
    for problem in problems:
        sys.stdout.write(f"!! {problem}\n")
    sys.stdout.write(f"{len(problems)} problems\n")
    return 1 if problems else 0


async def _run_all(programs: Programs, folder: Path, is_verbose: bool) -> list[str]:
    problems: list[str] = []
    async with serving(Repository(folder / "served")) as desk:
        # So that the lists have something in them, and the product's store is open.
        async with desk.agent() as ada:
            await ada.start()
        for name in ("product", "fixture"):
            problems += await _run_suite(programs, desk.application, name, folder / name, is_verbose)
    begun = time.monotonic()
    inspected = await inspect(programs, folder)
    _tell("inspector", f"{len(CALLS) * len(ERAS)} calls of the installed command, {len(inspected)} wrong", begun)
    return [*problems, *inspected]


async def _run_suite(
    programs: Programs, application: GatewrightApplication, name: str, folder: Path, is_verbose: bool
) -> list[str]:
    """Both generations against the product, or against the fixture in front of it."""
    baseline = read_baseline(HERE / f"{name}.yaml")
    known = {scenario for generation in GENERATIONS for scenario in scenarios_of(programs, generation)}
    problems = [
        f"{name}.yaml lists {entry}, which the suite does not have" for entry in unknown_entries(baseline, known)
    ]
    surface = application.surface(PRINCIPAL)
    served = surface if name == "product" else FixtureSurface(surface, application.notices.bus)
    async with serving_http(application.server_of(served)) as url:
        for generation in GENERATIONS:
            begun = time.monotonic()
            checks = await run_suite(programs, url, generation, folder / generation)
            judgement = judge(checks, baseline)
            _tell(f"{name}, {generation}", _summary(judgement), begun)
            if is_verbose:
                for check in checks:
                    sys.stdout.write(f"   {check.status:8} {check.scenario}:{check.id}\n")
            problems += [f"{name}, {generation}, {problem}" for problem in judgement.problems]
    return problems


def _summary(judgement: Judgement) -> str:
    return (
        f"{judgement.scenarios} scenarios, {judgement.passed} checks passed, {judgement.expected} failed as listed, "
        f"{len(judgement.problems)} wrong"
    )


def _tell(what: str, found: str, begun: float) -> None:
    sys.stdout.write(f"{what:20} {time.monotonic() - begun:5.1f} s  {found}\n")
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
