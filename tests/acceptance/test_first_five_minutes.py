"""The first five minutes: what a person and an agent type, with everything that is printed, and how long it takes.

`first_five_minutes.txt` is the record: `$ ` is typed into one shell, everything else is what it prints. What differs
from run to run stands there by a name: the folder SHOP, ids of commits, leases, seconds. With PYTEST_RECORD=1 what is
printed now is written there, for a person to read in the diff.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..shells import Typed, make_project, stop_server, type_into_one_shell

pytestmark = pytest.mark.slow

RECORD = Path(__file__).with_name("first_five_minutes.txt")
SHELL_TIMEOUT_S = 240
BARE_STARTS = 20
# How many bare starts of Python the seven commands up to the first refusal may cost, the server's start among them.
FIRST_REFUSAL_STARTS_MAX = 600

PROJECT = {"prices.py": "def total(cents: list[int]) -> int:\n    return sum(cents)\n", "README.md": "# A shop\n"}
VARIABLE = (
    (re.compile(r"\b[0-9a-f]{40}\b|(?<=as )[0-9a-f]{10}\b"), "ID"),
    (re.compile(r"gw1\.[\w.-]+"), "LEASE"),
    (re.compile(r"(?<=for )\d+(?= s )|(?<=expires_in_s: )\d+|(?<=duration_s: )[\d.]+"), "N"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new user's project: Python, no tests, a commit, a blank and an umlaut in its path."""
    folder = tmp_path_factory.mktemp("five") / "my shop ü"
    make_project(folder, PROJECT)
    yield folder
    stop_server(folder)


@pytest.fixture(scope="module")
def session(shop: Path) -> list[Typed]:
    """The record's commands, typed one after the other into one shell."""
    commands = [line[2:] for line in RECORD.read_text("utf-8").splitlines() if line.startswith("$ ")]
    # No client of the person at the machine is found, nor told anything.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return type_into_one_shell(commands, shop, environment=environment, timeout_s=SHELL_TIMEOUT_S)


def test_the_happy_path_prints_exactly_what_is_recorded(session: list[Typed], shop: Path) -> None:
    told = "".join(f"$ {typed.command}\n{_settled(typed.printed, shop)}" for typed in session)

    if os.environ.get("PYTEST_RECORD"):
        RECORD.write_text(told, "utf-8")
    assert told == RECORD.read_text("utf-8")


def test_one_refusal_names_the_line_and_everything_else_goes_well(session: list[Typed]) -> None:
    failed = [typed for typed in session if typed.status]

    assert [typed.status for typed in failed] == [1]
    assert "where: prices.py:2; rule: F821; message: Undefined name `percnt`" in failed[0].printed


def test_the_first_useful_refusal_comes_soon(session: list[Typed], capsys: pytest.CaptureFixture[str]) -> None:
    refused_s = next(typed.ended_s for typed in session if typed.status)
    bare_s = statistics.median(_bare_start_s() for _ in range(BARE_STARTS))
    starts = refused_s / bare_s

    with capsys.disabled():
        bare = f"bare starts of Python ({bare_s * 1000:.0f} ms)"
        sys.stdout.write(f"\nfirst useful refusal after {refused_s:.1f} s, {starts:.0f} {bare}\n")
    assert starts < FIRST_REFUSAL_STARTS_MAX


def _settled(text: str, shop: Path) -> str:
    text = text.replace(str(shop), "SHOP")
    for form, name in VARIABLE:
        text = form.sub(name, text)
    return text


def _bare_start_s() -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began_s
