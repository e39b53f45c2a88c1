"""`uninstall` leaves no trace: the repository, `.git` and its history included, and the home are what they were."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.server.cli.aider import TRACES
from gatewright.server.cli.clients import CLIENTS

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]
Everything = dict[str, tuple[int, bytes | str | None]]

THEIRS = {
    ".vscode/mcp.json": '{\n  // mine\n  "servers": {"o": {}},\n}\n',
    ".gemini/settings.json": '{"theme": "dark"}',
    "AGENTS.md": "# Ours\n",
    "opencode.jsonc": "{\n  // nothing yet\n}\n",
}


def everything(folder: Path) -> Everything:
    """Every file, folder and link below: its mode, and its bytes or where it leads.

    Of git's index, which notes the times of files that were put back, `_history` has what it says of their content.
    """
    found: Everything = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.name == "index" and path.parent.name == ".git":
            continue
        held = str(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (mode, held)
    return found


def settled(desk: Desk) -> None:
    """Have git tidy up what it would one day: what nothing reaches."""
    desk.git("prune", "--expire=now")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which every client keeps its settings, and a runtime folder in which sockets are met."""
    home = tmp_path / "home"
    (home / ".cache").mkdir(parents=True)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    # Clients that are told by their own program are not told here.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return home


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_after_a_whole_journey_nothing_is_left(desk: Desk, call: Call, tmp_path: Path) -> None:
    desk.commit({"gatewright.yaml": PIPELINE, "src/answer.txt": "42\n", **THEIRS})
    settled(desk)
    before, history = everything(tmp_path), _history(desk)
    sockets = _sockets()
    assert call("init", "--agents-md", "--guard").status == 0
    for client in CLIENTS:
        assert call("install", client).status == 0
    desk.at_terminal("install", "claude-code", "--hooks", answers=["y"])
    _journey(desk, call)
    for pattern in (TRACES, "/.venv"):
        open_repository(desk.top).exclude(pattern)
    assert (desk.top / ".claude").is_dir()
    assert len(everything(tmp_path)) > len(before) + 20

    told = desk.at_terminal("uninstall", answers=["uninstall"])

    assert told.status == 0, told.out
    settled(desk)
    after = everything(tmp_path)
    different = set(after) ^ set(before)
    assert not different, sorted(different)
    changed = [name for name in before if after[name] != before[name]]
    assert not changed, [(name, before[name], after[name]) for name in changed]
    assert _history(desk) == history
    assert _sockets() == sockets


def _journey(desk: Desk, call: Call) -> None:
    """A plan that passes; code that fails, is let go of and taken over; one change done, one under way."""
    for change in ("c1", "c2"):
        call("start", "Answer")
        plan = call("claim", change, "plan", "--agent", "ada", "--json").json
        desk.write({f"docs/changes/{change}.md": "# Goal\nAnswer.\n"}, Path(str(plan["workspace"])))
        assert call("submit", "--summary", "Plan", "--lease", str(plan["lease"])).status == 0
    code = call("claim", "c1", "code", "--agent", "ada", "--json").json
    desk.write({"src/answer.txt": "no\n"}, Path(str(code["workspace"])))
    assert call("submit", "--summary", "Code", "--lease", str(code["lease"])).status == 1
    desk.write({"src/half.txt": "half a thought\n"}, Path(str(code["workspace"])))
    call("release", "done_for_now", "Later.", "--lease", str(code["lease"]))
    code = call("claim", "c1", "code", "--agent", "bob", "--json").json
    assert Path(str(code["workspace"])).is_dir()
    assert desk.git("for-each-ref", "refs/gatewright/"), "saved work has refs"


def _history(desk: Desk) -> tuple[str, ...]:
    reachable = ("rev-list", "--all", "--objects", "--reflog")
    listings = (("for-each-ref",), ("config", "--list"), ("worktree", "list"), ("ls-files", "--stage"), ("status",))
    return tuple(desk.git(*command) for command in (*listings, reachable))


def _sockets() -> list[str]:
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "gatewright")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
