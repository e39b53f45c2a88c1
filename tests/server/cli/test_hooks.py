"""Claude Code's Stop hook: a turn does not end, once, with work that was claimed in it and not handed in."""

import io
import json
import os
import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.hooks import install_hook, uninstall_hook
from gatewright.server.cli.installations import installations
from gatewright.server.cli.main import main
from gatewright.server.cli.opening import open_git, store_of
from gatewright.server.cli.stop_hook import BLOCK, LEASE_BYTES_MAX, PIECE_BYTES
from gatewright.server.cli.terminal import Terminal

from .conftest import Desk, Ran

Call = Callable[..., Ran]
Ask = Callable[..., int]


class Person(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def ask(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """What the hook answers when a turn ends; by default in the repository, with nothing in the transcript."""

    def ask_it(transcript: str | bytes = "", *, cwd: Path | None = None, **told: object) -> int:
        file = desk.top.parent / "transcript.jsonl"
        file.write_bytes(transcript.encode() if isinstance(transcript, str) else transcript)
        given = {"cwd": str(cwd or desk.top), "transcript_path": str(file), "stop_hook_active": False, **told}
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(given)))
        return main(["stop-hook"])

    return ask_it


def _lease(call: Call) -> tuple[str, Path]:
    call("start", "Answer")
    brief = call("claim", "--agent", "ada", "--json").json
    return str(brief["lease"]), Path(str(brief["workspace"]))


@pytest.mark.slow
def test_a_turn_does_not_end_once_with_a_stage_that_was_not_handed_in(
    ready: Desk, call: Call, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    lease, workspace = _lease(call)
    seen = json.dumps({"toolUseResult": {"lease": lease}})

    first = ask(seen)
    told = capsys.readouterr().err
    second = ask(seen, stop_hook_active=True)
    in_workspace = ask("", cwd=workspace)
    another_session = ask('{"type": "user"}')
    forged = ask(seen.replace(lease[-3:], "AAA"))

    assert (first, second, in_workspace) == (BLOCK, 0, BLOCK)
    assert (another_session, forged) == (0, 0), "whatever others hold is no matter of this session"
    assert f"'plan' of c1 is yours (lease {lease}), and nothing of it was handed in." in told
    assert "release_stage" in told


@pytest.mark.slow
def test_it_may_end_when_the_stage_was_handed_in_or_let_go(ready: Desk, call: Call, ask: Ask) -> None:
    lease, workspace = _lease(call)
    ready.write({"docs/changes/c1.md": "No heading.\n"}, workspace)
    call("submit", "--summary", "Plan", "--lease", lease)
    failed = ask(lease)
    ready.write({"docs/changes/c1.md": "# Goal\nAnswer.\n"}, workspace)
    call("submit", "--summary", "Plan", "--lease", lease)
    passed = ask(lease)
    code = str(call("claim", "--agent", "ada", "--json").json["lease"])
    held = ask(f"{lease} {code}")
    call("release", "done_for_now", "Later.", "--lease", code)

    assert (failed, passed, held, ask(f"{lease} {code}")) == (BLOCK, 0, BLOCK, 0)


@pytest.mark.slow
def test_a_lease_is_found_wherever_it_stands_in_a_long_transcript(ready: Desk, call: Call, ask: Ask) -> None:
    lease, _ = _lease(call)
    edge = b"x" * (PIECE_BYTES - len(lease) // 2) + lease.encode() + b"\n" * PIECE_BYTES

    assert len(lease) < LEASE_BYTES_MAX
    assert ask(edge) == BLOCK


@pytest.mark.parametrize("given", ["", "[]", "no json", '{"cwd": "/no/such/folder"}', '{"cwd": 1}', "{}"])
def test_whatever_it_is_given_where_there_is_no_gatewright_the_turn_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))

    assert main(["stop-hook"]) == 0
    assert capsys.readouterr().err == ""


def test_before_init_and_with_a_broken_store_the_turn_ends(desk: Desk, ask: Ask) -> None:
    desk.commit({"a.txt": "a"})
    before = ask("gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA")
    (desk.top / ".git/gatewright").mkdir()
    (desk.top / ".git/gatewright/state.db").write_bytes(b"not a database, but long enough to be looked at" * 50)

    assert (before, ask("gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA")) == (0, 0)
    assert not (desk.top / ".git/gatewright/artifacts.git").exists()


def test_on_a_pipe_the_hook_is_printed_as_settings_and_its_command_is_one(ready: Desk, call: Call) -> None:
    told = call("install", "claude-code", "--hooks")

    [[hook]] = [entry["hooks"] for entry in json.loads(told.out)["hooks"]["Stop"]]
    done = subprocess.run(
        ["/bin/sh", "-c", hook["command"]], input="{}", cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(shlex.split(hook["command"])[0]).is_absolute()
    assert ".claude/settings.local.json" in told.err
    assert not (ready.top / ".claude").exists()


def _at_terminal(desk: Desk, answer: str) -> str:
    """`install claude-code --hooks` by a person who answers so."""
    out = Person()
    repository = open_git(Namespace(repo=str(desk.top)))
    with store_of(repository) as store:
        install_hook(desk.top, store, Terminal(stdin=Person(f"{answer}\n"), out=out, environment=os.environ))
    return out.getvalue()


def test_at_a_terminal_it_is_written_when_the_person_agrees_and_goes_without_a_trace(ready: Desk) -> None:
    file = ready.top / ".claude" / "settings.local.json"

    _at_terminal(ready, "n")
    refused = file.exists()
    told = _at_terminal(ready, "y")
    written = file.read_text()
    again = _at_terminal(ready, "y")

    assert not refused
    assert "Restart your client" in told
    assert json.loads(written)["hooks"]["Stop"]
    assert "has the hook already" in again
    with store_of(open_git(Namespace(repo=str(ready.top)))) as store:
        [one] = installations(store)
    assert uninstall_hook(one.top, one.traces)
    assert not file.parent.exists()


def test_settings_of_the_person_stay_and_a_stop_hook_of_theirs_is_left_alone(ready: Desk) -> None:
    file = ready.top / ".claude" / "settings.local.json"
    file.parent.mkdir()
    file.write_text(other := '{\n  "hooks": {"Stop": [{"hooks": []}]}\n}\n')

    told = _at_terminal(ready, "y")
    kept = file.read_text()
    file.write_text(mine := '{\n  "permissions": {"allow": ["x"]}\n}\n')
    _at_terminal(ready, "y")
    with_ours = json.loads(file.read_text())
    with store_of(open_git(Namespace(repo=str(ready.top)))) as store:
        [one] = installations(store)
    uninstall_hook(one.top, one.traces)

    assert "add ours beside it" in told
    assert kept == other
    assert (set(with_ours), with_ours["permissions"]) == ({"permissions", "hooks"}, {"allow": ["x"]})
    assert file.read_text() == mine


def test_only_claude_code_has_such_a_hook(ready: Desk, call: Call) -> None:
    told = call("install", "codex", "--hooks")

    assert told.status == 2
    assert "--hooks is for claude-code" in told.err
