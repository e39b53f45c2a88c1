"""Run the official conformance suite against a URL, and read what each of its checks found."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from subprocess import PIPE, STDOUT

import anyio
import yaml

from .downloads import Programs

# One set of scenarios for each; the product speaks both.
GENERATIONS = ("2025-11-25", "2026-07-28")
RUN_TIMEOUT_S = 300.0
SCENARIO_TIMEOUT_MS = 120_000
TOLD_CHARS_MAX = 2_000

_FOLDER = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


class Status(StrEnum):
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    WARNING = "WARNING"
    SKIPPED = "SKIPPED"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one scenario. Ids repeat within a scenario."""

    scenario: str
    id: str
    status: Status
    message: str = ""


class SuiteFailed(Exception):
    """The suite itself did not run to its end; says what it printed."""


async def run_suite(programs: Programs, url: str, generation: str, folder: Path) -> tuple[Check, ...]:
    """Every check of every scenario that a generation of the protocol has for servers, scored by it or not.

    `folder` gets the suite's own files. Raises `SuiteFailed` when a scenario has no result.
    """
    about = ["--requirements", generation, "--output-dir", str(folder), "--timeout", str(SCENARIO_TIMEOUT_MS)]
    printed = await _run([*programs.suite, "server", "--url", url, *about], folder)
    checks = tuple(read_checks(folder))
    missing = scenarios_of(programs, generation) - {check.scenario for check in checks}
    if missing:
        raise SuiteFailed(f"no result for {', '.join(sorted(missing))}: {printed[-TOLD_CHARS_MAX:]}")
    return checks


def scenarios_of(programs: Programs, generation: str) -> frozenset[str]:
    """The names that the suite itself lists for servers of a generation."""
    listed = yaml.safe_load((programs.suite_folder / "requirements" / f"{generation}.yaml").read_text("utf-8"))
    others = (entry["scenario"] for entry in listed["not_scored"] if entry["leg"] == "server")
    return frozenset([*listed["server"], *others])


def read_checks(folder: Path) -> Iterable[Check]:
    """What the suite wrote, scenario by scenario."""
    for place in sorted(folder.glob("server-*/checks.json")):
        named = _FOLDER.fullmatch(place.parent.name)
        assert named is not None, place
        for found in json.loads(place.read_text("utf-8")):
            message = found.get("errorMessage") or found.get("description") or ""
            yield Check(named["scenario"], found["id"], Status(found["status"]), message)


async def _run(argv: Sequence[str], folder: Path) -> str:
    await anyio.Path(folder).mkdir(parents=True)
    with anyio.fail_after(RUN_TIMEOUT_S):
        # It ends with 1 whenever a scenario fails: which may fail is decided here, by the baseline.
        done = await anyio.run_process(argv, cwd=folder, stdout=PIPE, stderr=STDOUT, check=False)
    return done.stdout.decode("utf-8", "replace")
