"""Plugging gatewright into clients: their own configuration, everything else in it untouched, and out again."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.clients import CLIENTS, server_command
from gatewright.server.cli.command import Exit

from .conftest import Desk, Ran

Call = Callable[..., Ran]

THEIRS = """\
# my settings
model = "o9"

[mcp_servers.other]
command = "other"   # keep me

# about the next one
[profiles.fast]
effort = "low"
"""


@pytest.fixture
def codex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    return tmp_path / "codex" / "config.toml"


@pytest.fixture
def without_claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH without any client's program, but with git."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to("/usr/bin/git")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_codex_gets_its_table_and_keeps_everything_else(ready: Desk, call: Call, codex: Path) -> None:
    codex.parent.mkdir()
    codex.write_text(THEIRS)

    told = call("install", "codex")
    once = codex.read_text()
    call("install", "codex")

    assert told.status == 0
    assert "Restart your client" in told.out
    assert once == codex.read_text()
    assert once.startswith(THEIRS)
    ours = tomllib.loads(once)["mcp_servers"]["gatewright"]
    assert Path(ours["command"]).is_absolute()
    assert (ours["required"], ours["tool_timeout_sec"], ours["default_tools_approval_mode"]) == (True, 300, "approve")


def test_an_outdated_table_of_ours_is_renewed_in_place_of_a_second_one(ready: Desk, call: Call, codex: Path) -> None:
    codex.parent.mkdir()
    codex.write_text(
        f'{THEIRS}\n[mcp_servers.gatewright]\ncommand = "/old/gatewright"\nargs = []\n# the last\n[last]\n'
    )

    call("install", "codex")

    text = codex.read_text()
    assert "/old/gatewright" not in text
    assert text.count("[mcp_servers.gatewright]") == 1
    assert text.startswith(f"{THEIRS}\n# the last\n[last]\n")


def test_a_file_that_held_nothing_but_our_table_goes_with_it(ready: Desk, call: Call, codex: Path) -> None:
    call("install", "codex")
    assert codex.is_file()

    told = ready.at_terminal("uninstall", answers=["uninstall"])

    assert told.status == 0, told.out
    assert not codex.exists()


def test_keys_that_would_change_their_table_are_left_to_the_person(ready: Desk, call: Call, codex: Path) -> None:
    """Taken out from under our heading, `enabled` would belong to the table before it."""
    codex.parent.mkdir()
    text = '[other]\nx = 1\n\n[mcp_servers.gatewright]\ncommand = "/old"\n\nenabled = false\n'
    codex.write_text(text)

    told = call("install", "codex")

    assert told.status == Exit.REFUSED
    assert codex.read_text() == text


@pytest.mark.parametrize("broken", ["model = \n", '[mcp_servers."gatewright"]\ncommand = "x"\n', "mcp_servers = {}\n"])
def test_settings_that_cannot_be_changed_safely_stay_and_the_lines_are_told(
    ready: Desk, call: Call, codex: Path, broken: str
) -> None:
    codex.parent.mkdir()
    codex.write_text(broken)

    told = call("install", "codex")

    assert told.status == Exit.REFUSED
    assert codex.read_text() == broken
    assert "[mcp_servers.gatewright]" in told.err


@pytest.mark.usefixtures("without_claude")
def test_claude_code_is_told_by_the_project_s_file_where_its_program_is_missing(ready: Desk, call: Call) -> None:
    (ready.top / ".mcp.json").write_text('{"mcpServers": {"other": {"command": "o"}}, "more": 1}')

    told = call("install", "claude-code")

    assert told.status == 0, told.err
    settings = json.loads((ready.top / ".mcp.json").read_text())
    assert settings["more"] == 1
    assert set(settings["mcpServers"]) == {"other", "gatewright"}


def test_claude_code_is_told_by_its_own_program_where_there_is_one(
    ready: Desk, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the program writes down how it was called."""
    claude = tmp_path / "bin" / "claude"
    claude.parent.mkdir()
    claude.write_text(f'#!/bin/sh\necho "$PWD: $*" >> {tmp_path}/calls\n')
    claude.chmod(0o755)
    monkeypatch.setenv("PATH", f"{claude.parent}{os.pathsep}{os.environ['PATH']}")

    told = call("install", "claude-code")

    assert told.status == 0
    *_, added = (tmp_path / "calls").read_text().splitlines()
    assert added == f"{ready.top}: mcp add --scope local gatewright -- {' '.join(server_command())}"
    assert not (ready.top / ".mcp.json").exists()


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_s_configuration_can_be_printed_and_nothing_is_written(desk: Desk, call: Call, name: str) -> None:
    told = call("install", name, "--print")

    assert told.status == 0
    printed = tomllib.loads(told.out) if name == "codex" else json.loads(told.out)
    [servers] = printed.values()
    assert server_command()[0] in json.dumps(servers["gatewright"])
    assert desk.git("status", "--porcelain") == ""


def test_a_client_that_starts_servers_elsewhere_is_told_of_the_repository(desk: Desk, call: Call) -> None:
    entry = json.loads(call("install", "claude-desktop", "--print").out)["mcpServers"]["gatewright"]

    assert entry["args"][-2:] == ["--repo", str(desk.top)]


@pytest.mark.slow
def test_uninstall_takes_everything_away_and_leaves_what_is_not_ours(
    ready: Desk, call: Call, codex: Path, tmp_path: Path
) -> None:
    codex.parent.mkdir()
    codex.write_text(THEIRS)
    ready.write({"AGENTS.md": "# Ours\n"})
    before = ready.git("status", "--porcelain", "--ignored")
    call("init", "--agents-md", "--guard")
    call("install", "codex")
    call("start", "Something")
    workspace = Path(str(call("claim", "--agent", "ada", "--json").json["workspace"]))
    assert workspace.is_dir()

    refused = ready.at_terminal("uninstall", answers=["yes"])
    assert (refused.status, workspace.is_dir()) == (Exit.REFUSED, True)
    told = ready.at_terminal("uninstall", answers=["uninstall"])

    assert told.status == 0, told.out
    assert "With it go 1 change under way and 1 workspace." in told.out
    assert codex.read_text() == THEIRS
    assert (ready.top / "AGENTS.md").read_text() == "# Ours\n"
    assert ready.git("status", "--porcelain", "--ignored") == before
    assert ready.git("for-each-ref", "refs/gatewright/") == ""
    assert ready.git("worktree", "list").count("\n") == 0
    assert not (ready.top / ".git" / "gatewright").exists()
    assert not (ready.top / ".git" / "hooks" / "reference-transaction").exists()
    assert call("log", "c1", "--json").json["code"] == "not_set_up"


@pytest.mark.slow
def test_uninstall_with_the_store_kept_goes_on_where_it_was(ready: Desk, call: Call) -> None:
    call("start", "Something")
    ready.stop_server()

    told = ready.at_terminal("uninstall", "--keep-store", answers=["uninstall"])

    assert told.status == 0, told.out
    assert "c1 started" in call("log", "c1").out
