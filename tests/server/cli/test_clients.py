"""Plugging gatewright into clients: their own configuration, everything else in it untouched, and out again."""

import base64
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gatewright.server.cli.clients import CLIENTS, server_command
from gatewright.server.cli.clients.json_client import JsonClient
from gatewright.server.cli.clients.json_text import read
from gatewright.server.cli.command import CannotGoOn, Exit

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
    """A PATH without any client's program, but with git; not the one with which our git is first imported, and kept."""
    import gatewright.gates.git  # noqa: F401 - to be loaded

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


@pytest.mark.slow
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


# Clients that are told by a JSON file alone.
BY_FILE = {name: client for name, client in CLIENTS.items() if isinstance(client, JsonClient)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, and a home of its own for what is not the project's."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "my projekt ü").mkdir()
    return tmp_path / "my projekt ü"


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every file's bytes and every folder below."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", BY_FILE)
def test_a_client_without_settings_gets_a_file_which_goes_again_with_its_folders(place: Path, name: str) -> None:
    client = BY_FILE[name]
    before = everything(place.parent)

    done = client.install(place)
    once = everything(place.parent)
    again = client.install(place)

    assert json.loads(client.place(place).read_text()) == json.loads(client.text(place))
    assert done.settings, "each setting is said why"
    assert everything(place.parent) == once
    assert "already" in again.what
    assert client.uninstall(place, done.traces.with_more(again.traces))
    assert everything(place.parent) == before
    assert not client.uninstall(place, done.traces)


@pytest.mark.parametrize("name", [name for name, client in BY_FILE.items() if client.takes_comments])
def test_settings_with_comments_keep_every_byte_and_have_them_back(place: Path, name: str) -> None:
    client = BY_FILE[name]
    text = f'{{\r\n\t// mine\r\n\t"{client.holder}": {{"o": {{}}, /* off */}},\r\n\t"more": "ü", // last\r\n}}\r\n'
    file = client.place(place)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())
    file.chmod(0o640)

    done = client.install(place)

    inside = file.read_bytes().decode()
    settings = read(inside).data
    assert isinstance(settings, dict)
    assert settings["more"] == "ü"
    assert set(settings[client.holder]) == {"o", "gatewright"}
    assert all(comment in inside for comment in ("// mine", "/* off */", "// last"))
    assert file.stat().st_mode & 0o777 == 0o640
    client.uninstall(place, done.traces)
    assert file.read_bytes().decode() == text


@pytest.mark.parametrize("name", BY_FILE)
@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (b'{\n  "a": 1\n  "b": 2\n}', ":3: `,` is missing"),
        (b'{"HOLDER": []}', "is not an object"),
        (b"[]", "is not an object"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
    ],
    ids=["comma", "list of servers", "list", "bytes"],
)
def test_a_wrongly_formed_file_is_told_and_stays(place: Path, name: str, broken: bytes, sentence: str) -> None:
    client = BY_FILE[name]
    file = client.place(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(broken := broken.replace(b"HOLDER", client.holder.encode()))

    with pytest.raises(CannotGoOn) as told:
        client.install(place)

    assert sentence in told.value.message
    assert str(file) in told.value.message
    assert "as it was" in told.value.message
    assert file.read_bytes() == broken


def test_a_client_that_cannot_read_comments_is_not_given_a_file_with_them(place: Path) -> None:
    client = BY_FILE["claude-desktop"]
    file = client.place(place)
    file.parent.mkdir(parents=True)
    file.write_text("{} // mine")

    with pytest.raises(CannotGoOn, match="this client rejects"):
        client.install(place)

    assert file.read_text() == "{} // mine"


def test_what_a_person_set_in_our_entry_stays_and_only_the_way_to_us_is_renewed(place: Path) -> None:
    client = BY_FILE["gemini"]
    file = client.place(place)
    file.parent.mkdir()
    own = {"command": "/old/gatewright", "args": ["x"], "trust": False, "env": {"A": "1"}}
    file.write_text(json.dumps({"mcpServers": {"gatewright": own}}))

    client.install(place)

    entry = json.loads(file.read_text())["mcpServers"]["gatewright"]
    assert entry == {**own, "command": server_command()[0], "args": server_command()[1:]}


def test_settings_behind_a_link_are_changed_where_they_are(place: Path) -> None:
    client = BY_FILE["cursor"]
    dotfiles = place.parent / "dotfiles.json"
    dotfiles.write_text("{}")
    client.place(place).parent.mkdir()
    client.place(place).symlink_to(dotfiles)

    done = client.install(place)

    assert client.place(place).is_symlink()
    assert "gatewright" in dotfiles.read_text()
    client.uninstall(place, done.traces)
    assert dotfiles.read_text() == "{}"


def test_repositories_share_claude_desktop_s_one_file_and_leave_it_one_by_one(place: Path) -> None:
    client = BY_FILE["claude-desktop"]
    others = [place.parent / "a" / "shop", place.parent / "b" / "shop", place.parent / "b" / "ü"]

    done = [client.install(top) for top in (place, *others)]
    client.install(others[1])

    def servers() -> dict[str, str]:
        entries = json.loads(client.place(place).read_text())["mcpServers"]
        return {name: entry["args"][-1] for name, entry in entries.items()}

    assert sorted(servers().values()) == sorted(map(str, (place, *others)))
    assert {"gatewright", "gatewright-shop"} <= set(servers())
    assert client.uninstall(others[0], done[1].traces)
    assert sorted(servers().values()) == sorted(map(str, (place, *others[1:])))


def test_links_carry_the_entry_that_the_file_has(place: Path) -> None:
    [cursor] = BY_FILE["cursor"].install(place).links
    [vscode] = BY_FILE["vscode"].install(place).links

    asked = parse_qs(urlsplit(cursor).query)
    assert cursor.startswith("cursor://anysphere.cursor-deeplink/mcp/install?")
    entry = json.loads((place / ".cursor" / "mcp.json").read_text())["mcpServers"]["gatewright"]
    assert (asked["name"], json.loads(base64.b64decode(asked["config"][0]))) == (["gatewright"], entry)
    scheme, _, config = vscode.partition("?")
    assert scheme == "vscode:mcp/install"
    entry = json.loads((place / ".vscode" / "mcp.json").read_text())["servers"]["gatewright"]
    assert json.loads(unquote(config)) == {"name": "gatewright", **entry}


def test_opencode_is_told_in_the_file_that_the_project_has(place: Path) -> None:
    (place / "opencode.jsonc").write_text("{\n  // ours\n}\n")

    BY_FILE["opencode"].install(place)

    assert not (place / "opencode.json").exists()
    assert "gatewright" in (place / "opencode.jsonc").read_text()


def test_what_a_person_set_in_codex_s_table_stays_and_so_do_line_ends(codex: Path, place: Path) -> None:
    codex.parent.mkdir()
    own = '[mcp_servers.gatewright]\ncommand = "/old"\nargs = []\ntool_timeout_sec = 60\nenabled = false\n'
    env = '\n[mcp_servers.gatewright.env]\nA = "1"\n'
    codex.write_bytes((own + env).replace("\n", "\r\n").encode())

    CLIENTS["codex"].install(place)

    data = codex.read_bytes()
    table = tomllib.loads(data.decode())["mcp_servers"]["gatewright"]
    assert (table["tool_timeout_sec"], table["enabled"], table["env"], table["required"]) == (
        60,
        False,
        {"A": "1"},
        True,
    )
    assert table["command"] == server_command()[0]
    assert data.count(b"\r\n") == data.count(b"\n")


def test_every_client_is_plugged_in_by_the_command_and_restarted(ready: Desk, call: Call) -> None:
    told = call("install", "vscode")

    assert told.status == 0, told.err
    assert "--repo: VS Code does not say" in told.out
    assert "vscode:mcp/install?" in told.out
    assert "Restart your client" in told.out
    assert json.loads((ready.top / ".vscode/mcp.json").read_text())["servers"]["gatewright"]["type"] == "stdio"


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
