"""The states in which people first meet the program: one clear sentence, what to do, nothing lost, no traceback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import COMMANDS, main

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]

ARGUMENTS = {
    **dict.fromkeys(("why", "log", "read", "repin"), ("c1",)),
    **dict.fromkeys(("evidence", "approve", "reject"), ("c1", "code")),
    **dict.fromkeys(("people", "token"), ("list",)),
    "verify": ("HEAD",),
    "start": ("Title",),
    "submit": ("--summary", "x"),
    "release": ("cannot", "x"),
    "install": ("codex",),
    "run-aider": ("c1", "code"),
}
# A hook says nothing where there is nothing of ours: tests/server/cli/test_hooks.py.
ANYWHERE = {"completion", "demo", "requirements", "stop-hook", "migrate", "worker"}
SETUP_FREE = {"init", "doctor", "check-pipeline", *ANYWHERE}
AT_TERMINALS = {
    *("approve", "reject", "answer", "reopen", "retry-gates", "grant-attempts", "repin", "cancel", "land", "uninstall")
}


def is_one_clear_sentence(told: Ran) -> bool:
    lines = told.err.strip().splitlines()
    return told.status == Exit.REFUSED and len(lines) == 2 and lines[1].startswith("next: ") and told.out == ""


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ANYWHERE - AT_TERMINALS))
def test_outside_of_a_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    status = main([name, *ARGUMENTS.get(name, ())])

    captured = capsys.readouterr()
    assert is_one_clear_sentence(Ran(status, captured.out, captured.err)), captured
    assert "no git repository" in captured.err


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SETUP_FREE - AT_TERMINALS))
def test_before_init(desk: Desk, call: Call, name: str) -> None:
    desk.commit({"a.txt": "a"})

    told = call(name, *ARGUMENTS.get(name, ()))

    assert is_one_clear_sentence(told), told
    assert "gatewright init" in told.err or "There is no lease" in told.err
    assert not (desk.top / ".git" / "gatewright" / "state.db").exists()


@pytest.mark.parametrize("command", ["status", "init", "log"])
def test_a_repository_that_is_not_there_is_not_the_one_around_it(ready: Desk, call: Call, command: str) -> None:
    told = call(command, *ARGUMENTS.get(command, ()), "--repo", "typo")

    assert is_one_clear_sentence(told), told
    assert "There is no folder typo." in told.err


@pytest.mark.slow
def test_without_a_commit_init_writes_and_says_what_is_missing(desk: Desk, call: Call) -> None:
    told = call("init")

    assert told.status == 0
    assert "There is no commit yet" in told.out
    started = call("start", "Something", "--json")
    assert (started.status, started.json["code"]) == (Exit.REFUSED, "policy_missing")


def test_with_a_detached_head_and_no_branch_of_a_usual_name_it_asks_for_the_branch(desk: Desk, call: Call) -> None:
    desk.commit({"a.txt": "a"})
    desk.git("branch", "--move", "trunk")
    desk.git("switch", "--quiet", "--detach")

    unclear = call("init")
    named = call("init", "--target", "trunk")

    assert is_one_clear_sentence(unclear), unclear
    assert "HEAD is detached" in unclear.err
    assert "--target BRANCH" in unclear.err
    assert named.status == 0
    assert "HEAD is detached here; the trusted branch is trunk." in named.out


def test_an_unknown_target_is_refused(desk: Desk, call: Call) -> None:
    desk.commit({"a.txt": "a"})

    assert "There is no branch 'nope'" in call("init", "--target", "nope").err


def test_a_dirty_tree_stays_as_it_is(desk: Desk, call: Call) -> None:
    desk.commit({"a.txt": "a"})
    desk.write({"a.txt": "changed"})

    told = call("init")

    assert told.status == 0
    assert "uncommitted changes here; they stay as they are" in told.out
    assert (desk.top / "a.txt").read_text() == "changed"


@pytest.mark.slow
def test_a_pipeline_that_is_not_committed_holds_nothing_yet_and_every_door_says_so(desk: Desk, call: Call) -> None:
    desk.commit({"a.py": "a = 1\n"})
    desk.write({"gatewright.yaml": PIPELINE})
    call("init")

    started = call("start", "Something")
    checked = call("check-pipeline")
    doctor = call("doctor")
    verified = call("verify", "HEAD")
    status = call("status")

    assert is_one_clear_sentence(started), started
    assert "A person commits gatewright.yaml on 'main'" in status.out
    assert "start_change" not in status.out
    assert "There is one in the working tree, but it is not committed." in started.err
    assert "It is not committed on main yet" in checked.out
    assert doctor.status == Exit.FAILED
    assert "not committed" in doctor.out
    assert verified.status == Exit.REFUSED


@pytest.mark.slow
def test_a_committed_pipeline_that_does_not_load_is_told_with_its_lines(desk: Desk, call: Call) -> None:
    desk.commit({"gatewright.yaml": PIPELINE.replace("command:", "comand:")})
    call("init")

    started = call("start", "Something")

    assert started.status == Exit.REFUSED
    assert "gatewright.yaml:13: stages.code.gates[0]" in started.err
    assert "did you mean 'command'?" in started.err


def test_a_bare_repository_has_no_files_to_set_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare")], check=True)

    status = main(["init", "--repo", str(tmp_path / "bare")])

    captured = capsys.readouterr()
    assert is_one_clear_sentence(Ran(status, captured.out, captured.err)), captured
    assert "bare repository" in captured.err


def test_a_linked_worktree_finds_the_store_of_the_repository(ready: Desk, call: Call) -> None:
    ready.git("worktree", "add", "--quiet", "--detach", str(ready.top / "linked"))

    told = call("log", "c1", cwd=ready.top / "linked")

    assert "There is no change 'c1'" in told.err


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_repository_that_cannot_be_written_is_said_in_a_sentence(desk: Desk) -> None:
    desk.commit({"a.py": "a = 1\n"})
    # root without its capabilities is a user like any other.
    as_anybody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*as_anybody, sys.executable, "-m", "gatewright", "init", "--repo", str(desk.top)]
    folders = (desk.top, desk.top / ".git")
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    finally:
        for folder in folders:
            folder.chmod(0o755)

    assert is_one_clear_sentence(Ran(done.returncode, done.stdout, done.stderr)), done
    assert f"{desk.top}" in done.stderr
    assert "Permission denied" in done.stderr
    assert not (desk.top / "gatewright.yaml").exists()


def test_a_store_that_is_none_is_named(ready: Desk, call: Call) -> None:
    (ready.top / ".git/gatewright/state.db").write_bytes(b"not a database, but long enough to be looked at" * 50)

    told = call("log", "c1")

    assert told.status == Exit.REFUSED
    assert "is not a database" in told.err


def test_a_missing_tool_is_red_with_its_name(desk: Desk, call: Call) -> None:
    pipeline = PIPELINE.replace("grep -rqw 42 src", "no-such-checker src")
    desk.commit({"gatewright.yaml": pipeline, "src/a.txt": "42\n"})
    call("init")

    told = call("doctor")

    assert told.status == Exit.FAILED
    [line] = [line for line in told.out.splitlines() if "code/answer" in line]
    assert line.startswith("RED")
    assert "errored" in line
    assert "no-such-checker" in told.out


def test_an_empty_repository_is_told_what_to_do_now_and_once_there_is_code(desk: Desk, call: Call) -> None:
    told = call("init")
    desk.commit({"tool.py": "x = 1\n"})
    again = call("init", "--force")

    assert "There is no commit yet: agents can begin once main has one." in told.out
    assert "Say in it what can tell good from bad; or, once there is code: gatewright init --force" in told.out
    assert "does not load yet" in told.out
    assert "Wrote gatewright.yaml for Python." in again.out
    assert "does not load" not in again.out


def test_in_a_monorepo_the_projects_that_were_not_read_are_named(desk: Desk, call: Call) -> None:
    inner = ("services/api/pyproject.toml", "services/api/plugins/x/pyproject.toml", "web/package.json", "go/go.mod")
    desk.commit({**dict.fromkeys(inner, ""), "tests/fixtures/p/pyproject.toml": "", "tool.py": "x = 1\n"})

    told = call("init", cwd=desk.top / "services")

    assert told.status == 0
    [line] = [line for line in told.out.splitlines() if line.startswith("Not read: ")]
    assert line.startswith("Not read: projects of their own in go, services/api, web; add gates for them, such as ")
    assert (desk.top / "gatewright.yaml").is_file()


def test_on_a_branch_of_one_s_own_main_is_trusted_and_nothing_is_committed_beside_it(desk: Desk, call: Call) -> None:
    desk.commit({"tool.py": "x = 1\n"})
    desk.git("switch", "--quiet", "--create", "feature")

    told = call("init", "--commit")

    assert told.status == Exit.REFUSED
    assert "You are on feature; the trusted branch is main." in told.out
    assert "next: git switch main" in told.err
    assert desk.git("log", "--format=%s", "--all") == "Work"
    assert desk.git("status", "--porcelain") == ""


def test_a_client_is_plugged_in_before_the_pipeline_counts_and_that_is_said(desk: Desk, call: Call) -> None:
    desk.commit({"tool.py": "x = 1\n"})
    call("init")

    early = call("install", "gemini")
    call("init", "--commit")
    late = call("install", "gemini")

    assert "No agent can begin yet: gatewright.yaml is not committed on main." in early.out
    assert "No agent can begin" not in late.out


@pytest.mark.slow
def test_in_a_shallow_clone_every_door_names_the_remedy(desk: Desk, tmp_path: Path) -> None:
    """As hosted environments have them."""
    desk.commit({"gatewright.yaml": PIPELINE})
    desk.commit({"src/a.txt": "42\n"})
    desk.git("clone", "--quiet", "--depth=1", f"file://{desk.top}", str(tmp_path / "shallow"))
    shallow = Desk(tmp_path / "shallow")
    try:
        told = shallow.do("init")
        started = shallow.do("start", "Something")
        status = shallow.do("status")
        shallow.git("fetch", "--quiet", "--unshallow")
        again = shallow.do("start", "Something")
    finally:
        shallow.stop_server()

    assert "This is a shallow clone, in which nothing can be judged yet: git fetch --unshallow" in told.out
    assert is_one_clear_sentence(started), started
    assert "Nothing can start from 'main' as the repository is." in started.err
    assert "Run `git fetch --unshallow` in it. Then call again." in started.err
    assert "Run `git fetch --unshallow` in it." in status.out
    assert again.status == 0, again


def test_whom_git_does_not_know_is_told_what_to_set(desk: Desk, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.commit({"tool.py": "x = 1\n"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    desk.git("config", "user.useConfigOnly", "true")

    told = call("init", "--commit")

    assert is_one_clear_sentence(Ran(told.status, "", told.err)), told
    assert "git does not know who commits, so nothing was written." in told.err
    assert "git config user.email ADDRESS" in told.err
    assert desk.git("status", "--porcelain") == ""
