"""Commands that look: check-pipeline, verify, guard, completion, and how a terminal shows things."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import COMMANDS
from gatewright.server.cli.surroundings import file_system_of
from gatewright.server.cli.terminal import Terminal

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]


def test_a_good_pipeline_is_told_with_its_stages_gates_and_digest(ready: Desk, call: Call) -> None:
    told = call("check-pipeline")

    assert told.status == 0
    assert "stage plan: scope, document" in told.out
    assert "stage code after plan: scope, answer (command)" in told.out
    assert "land after code: answer (command)" in told.out
    assert told.out.rstrip().splitlines()[-1].startswith("digest: ")


def test_a_schema_that_is_not_committed_is_told_though_the_pipeline_is_good(ready: Desk, call: Call) -> None:
    gate = '{schema: {path: "a.json", schema: schemas/a.json}}'
    ready.commit({"gatewright.yaml": PIPELINE.replace("gates:\n", f"gates:\n      - {gate}\n", 1)})

    without = call("check-pipeline")
    ready.commit({"schemas/a.json": "{}"})
    told = call("check-pipeline")

    assert without.status == told.status == Exit.OK
    assert "plan/schema needs schemas/a.json, which is not committed" in without.out
    assert "not committed" not in told.out


def test_every_problem_of_a_pipeline_is_told_at_once_with_its_line(desk: Desk, call: Call) -> None:
    wrong = PIPELINE.replace("document:", "documnet:").replace("needs: [plan]", "needs: [plna]")
    desk.write({"gatewright.yaml": wrong})

    told = call("check-pipeline")
    data = call("check-pipeline", "--json")

    assert told.status == data.status == Exit.REFUSED
    assert "gatewright.yaml:8: " in told.out
    assert "document" in told.out
    assert "gatewright.yaml:10: " in told.out
    problems = data.json["problems"]
    assert isinstance(problems, list)
    assert [problem["line"] for problem in problems] == [8, 10]


def test_the_file_of_another_commit_is_checked_by_its_name(ready: Desk, call: Call) -> None:
    good = ready.git("rev-parse", "HEAD")
    ready.commit({"gatewright.yaml": "version: 2\n"})

    assert call("check-pipeline").status == Exit.REFUSED
    assert call("check-pipeline", "--ref", good).status == Exit.OK
    assert call("check-pipeline", "--ref", "nowhere").status == Exit.REFUSED


def test_a_pipeline_for_another_branch_than_the_recorded_one_is_refused(ready: Desk, call: Call) -> None:
    ready.write({"gatewright.yaml": PIPELINE.replace("target: main", "target: side")})

    told = call("check-pipeline")

    assert told.status == Exit.REFUSED
    assert "set up for 'main'" in told.out


def test_content_that_nobody_handed_in_is_not_verified(ready: Desk, call: Call) -> None:
    head = ready.git("rev-parse", "HEAD")

    told = call("verify", "HEAD")
    data = call("verify", "main", "--json")
    unknown = call("verify", "--", "--output=x")

    assert (told.status, data.status) == (Exit.FAILED, Exit.FAILED)
    assert "it was never handed in" in told.out
    assert (data.json["passed"], data.json["commit"]) == (False, head)
    assert unknown.status == Exit.REFUSED


def test_the_guard_is_installed_looked_at_and_removed_by_a_person(ready: Desk, call: Call) -> None:
    assert call("guard").status == Exit.FAILED
    assert call("guard", "install").status == Exit.OK
    assert call("guard", "status").status == Exit.OK
    assert call("guard", "remove").status == Exit.REFUSED

    removed = ready.at_terminal("guard", "remove", answers=["y"])

    assert removed.status == Exit.OK
    assert call("guard").status == Exit.FAILED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_parses(call: Call, shell: str) -> None:
    script = call("completion", shell).out

    assert [name for name in COMMANDS if name not in script] == []
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_bash_completes_commands_and_clients() -> None:
    from gatewright.server.cli.completion import BASH

    script = BASH.format(commands="init install", clients="claude-code codex")
    ask = 'COMP_WORDS=(gatewright {words}); COMP_CWORD={at}; _gatewright; echo "${{COMPREPLY[*]}}"'

    def complete(words: str, at: int) -> str:
        program = script + ask.format(words=words, at=at)
        return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.strip()

    assert complete("in", 1) == "init install"
    assert complete("install co", 2) == "codex"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colour", "is_coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], colour: bool, is_coloured: bool) -> None:
    out = Tty()
    terminal = Terminal(colour=colour, environment=environment, out=out, err=Tty(), stdin=Tty())

    terminal.say("good", "green")

    assert ("\x1b[" in out.getvalue()) is is_coloured


def test_a_table_keeps_its_columns_whatever_is_in_the_cells() -> None:
    out = io.StringIO()
    terminal = Terminal(environment={}, out=out, err=io.StringIO(), stdin=io.StringIO())

    terminal.table(("NAME", "STATE"), [("ä\x1b[31m", "one\ntwo"), ("日本", "three\x07")])

    assert out.getvalue() == "NAME  STATE\nä     one two\n日本  three\n"


def test_progress_is_shown_on_terminals_only_and_leaves_nothing_behind() -> None:
    shown, silent = Tty(), io.StringIO()
    for err in (shown, silent):
        terminal = Terminal(environment={}, out=io.StringIO(), err=err, stdin=io.StringIO())
        terminal.progress("test: 3 of 9 \x1b[2J")
        terminal.say("done")

    assert silent.getvalue() == ""
    assert shown.getvalue() == "\r\x1b[Ktest: 3 of 9 \r\x1b[K"


def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\nserver:/x /home nfs4 rw 0 0\n/dev/b /home/my\\040disk btrfs rw 0 0\n")

    assert file_system_of(Path("/home/ada/p"), mounts) == "nfs4"
    assert file_system_of(Path("/home/my disk/p"), mounts) == "btrfs"
    assert file_system_of(Path("/srv"), mounts) == "ext4"
    assert file_system_of(Path("/srv"), tmp_path / "none") is None
