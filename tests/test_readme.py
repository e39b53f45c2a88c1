"""The README shows what happens: its session is run and compared, its commands are run, its names exist."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewright.__main__ import bridge_options
from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.server.cli.clients import CLIENTS
from gatewright.server.cli.main import parse

from .shells import make_project, stop_server, type_into_one_shell

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(gatewright [^`\n]+)`")
COMMAND_TIMEOUT_S = 120

PROJECT = {
    "prices.py": "def total(cents: list[int]) -> int:\n    return sum(cents)\n",
    "tests/test_prices.py": "from prices import total\n\n\ndef test_total():\n    assert total([100, 250]) == 350\n",
}

# What differs from run to run: ids of commits and findings, seconds, times of day.
VARIABLE = (
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "TIME"),
    (re.compile(r"for \d+ s "), "for N s "),
)


@dataclass(frozen=True)
class Command:
    """A command as it is typed, and the lines that it prints."""

    text: str
    lines: tuple[str, ...]


def blocks(language: str) -> list[str]:
    return [text for name, text in FENCED.findall(README) if name == language]


def session() -> list[Command]:
    """The console block: `$ ` opens a command, `>` goes on with it, everything else is what it prints."""
    (text,) = blocks("console")
    commands: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(([line[2:]], []))
        elif line.startswith(">") and not commands[-1][1]:
            commands[-1][0].append(line[2:])
        else:
            commands[-1][1].append(line)
    return [Command("\n".join(typed), tuple(printed)) for typed, printed in commands]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository of the README, with its server ended afterwards."""
    folder = tmp_path_factory.mktemp("readme") / "shop"
    pipeline, _ = blocks("yaml")
    make_project(folder, {**PROJECT, "gatewright.yaml": pipeline})
    yield folder
    stop_server(folder)


@pytest.fixture(scope="module")
def prepared(shop: Path) -> Path:
    """The same, after what the README says to do in a repository."""
    (block,) = [text for text in blocks("sh") if "gatewright init" in text]
    for line in block.splitlines():
        run(line, shop)
    return shop


@pytest.mark.slow
def test_the_session_is_what_happens(prepared: Path) -> None:
    commands = session()

    typed = type_into_one_shell(
        [command.text for command in commands], prepared, environment=environment(), timeout_s=COMMAND_TIMEOUT_S
    )

    for command, done in zip(commands, typed, strict=True):
        wanted, found = settled(command.lines), settled(done.printed.splitlines())
        assert is_shown_by(wanted, found), f"$ {command.text}\n{done.printed}"


@pytest.mark.slow
def test_a_client_is_plugged_in_with_each_command(prepared: Path) -> None:
    lines = [line for text in blocks("sh") if "gatewright install" in text for line in text.splitlines()]

    printed = {line: run(line, prepared) for line in lines}

    assert {line.split()[2] for line in lines} == set(CLIENTS)
    assert all("gatewright" in text and "estart" in text for text in printed.values())
    assert (prepared / ".mcp.json").is_file()


def test_the_entry_for_other_clients_starts_the_stdio_server() -> None:
    (block,) = blocks("json")

    (entry,) = json.loads(block)["mcpServers"].values()

    assert entry["command"] == "gatewright"
    assert bridge_options(entry["args"], is_terminal=False) == (entry["args"][1], False)


def test_the_two_commands_are_there() -> None:
    first, *_ = blocks("sh")

    for line in first.splitlines():
        subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, check=True, capture_output=True)

    assert first.splitlines() == ["make demo", "make test"]


def test_the_reviews_and_approvals_of_a_stage_load() -> None:
    _, gates = blocks("yaml")
    head = "version: 1\ntarget: main\nland: {needs: [code]}\nstages:\n  code:\n    writes: ['**']\n"

    pipeline = parse_pipeline(head + textwrap.indent(gates, "    "))

    assert [gate.kind for gate in pipeline.stages["code"].gates] == ["test", "review", "approval"]


def test_every_block_of_commands_is_run_by_a_test() -> None:
    assert [name for name, _ in FENCED.findall(README)] == ["yaml", "console", "sh", "sh", "yaml", "sh", "json"]


def test_commands_within_sentences_are_commands() -> None:
    named = INLINE.findall(README)

    assert named
    for text in named:
        name, *_ = shlex.split(text)[1:]
        with pytest.raises(SystemExit) as ended:
            parse([name, "--help"])
        assert ended.value.code == 0, text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        (["a", "..."], ["a"], True),
        (["a", "...", "c"], ["a", "b", "b", "c"], True),
        (["a", "c"], ["a", "b", "c"], False),
        (["a", "...", "c"], ["a", "b"], False),
        (["a"], ["a", "b"], False),
    ],
)
def test_three_dots_stand_for_any_lines_and_for_nothing_else(shown: list[str], printed: list[str], fits: bool) -> None:
    assert is_shown_by(shown, printed) is fits


def is_shown_by(shown: Sequence[str], printed: Sequence[str]) -> bool:
    pattern = "".join("(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def settled(lines: Sequence[str]) -> list[str]:
    """The lines without what differs from run to run, and without blanks at their ends."""
    return [_settled(line.rstrip()) for line in lines]


def _settled(line: str) -> str:
    for pattern, word in VARIABLE:
        line = pattern.sub(word, line)
    return line


def run(line: str, folder: Path) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"$ {line}\n{done.stdout}"
    return done.stdout


def environment() -> dict[str, str]:
    """Only this installation and the system's programs: no client of the person at the machine is told anything."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    home = os.environ["HOME"]
    return {**os.environ, "PATH": path, "CODEX_HOME": f"{home}/codex"}
