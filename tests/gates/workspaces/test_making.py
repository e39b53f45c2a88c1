"""Workspaces are made once, repaired when half there, and named after change, stage and fence."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gatewright.gates import workspaces as workspaces_module
from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces
from gatewright.gates.worktrees.problems import WorkspaceProblem


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_workspace_is_a_detached_worktree_that_nobody_sees_in_status(
    project: Path, workspace: Path, base: str
) -> None:
    assert workspace == project / ".gatewright" / "work" / "c1-code-1"
    assert git(workspace, "rev-parse", "HEAD") == base
    assert git(workspace, "symbolic-ref", "-q", "HEAD", check=False) == ""
    assert git(workspace, "status", "--porcelain") == ""
    assert git(project, "status", "--porcelain") == ""


def test_a_bare_repository_has_its_workspaces_in_its_own_folder(project: Path, tmp_path: Path, base: str) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(project), "bare.git")

    path = Workspaces(open_repository(tmp_path / "bare.git")).ensure("c1", "code", 1, base=base, lease="x")

    assert path == tmp_path / "bare.git" / "gatewright" / "work" / "c1-code-1"
    assert git(path, "status", "--porcelain") == ""


def test_from_inside_a_workspace_the_same_workspaces_are_found(workspaces: Workspaces, workspace: Path) -> None:
    assert Workspaces(open_repository(workspace / "src")).list() == workspaces.list()


def test_asking_again_keeps_the_work_and_renews_the_lease(workspaces: Workspaces, workspace: Path, base: str) -> None:
    (workspace / "a.txt").write_text("mine\n")

    again = workspaces.ensure("c1", "code", 1, base=base, lease="token-2")

    assert again == workspace
    assert (workspace / "a.txt").read_text() == "mine\n"
    assert workspaces.find_lease(workspace) == "token-2"


def test_each_fence_has_a_workspace_of_its_own(workspaces: Workspaces, workspace: Path, base: str) -> None:
    second = workspaces.ensure("c1", "code", 2, base=base, lease="x")
    (workspace / "a.txt").write_text("late\n")

    assert (second / "a.txt").read_text() == "a\n"


def test_the_lease_is_found_from_any_folder_of_the_workspace_and_readable_by_its_owner_only(
    project: Path, workspaces: Workspaces, workspace: Path
) -> None:
    file = project / ".git" / "worktrees" / "c1-code-1" / "gatewright-lease"

    assert workspaces.find_lease(workspace / "src") == "token-1"
    assert workspaces.find_lease(project) is None
    assert workspaces.find_lease(workspaces.root) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "token-1" not in git(workspace, "status", "--porcelain", "--ignored", "-uall")


def test_a_lease_file_that_the_agent_forges_is_not_believed(workspaces: Workspaces, workspace: Path) -> None:
    forged = workspace / "forged"
    forged.mkdir()
    (forged / "gatewright-lease").write_text("stolen\n")
    (workspace / ".git").write_text(f"gitdir: {forged}\n")

    assert workspaces.find_lease(workspace) == "token-1"


def test_no_hook_runs_when_a_workspace_is_made(project: Path, workspaces: Workspaces, base: str) -> None:
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{project.parent / 'ran'}'\n")
    hook.chmod(0o755)

    workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert not (project.parent / "ran").exists()


def test_a_base_that_is_not_there_is_one_clear_sentence(workspaces: Workspaces) -> None:
    with pytest.raises(WorkspaceProblem, match="git cannot make the workspace"):
        workspaces.ensure("c1", "code", 1, base="1" * 40, lease="x")

    assert workspaces.list() == ()


@pytest.mark.parametrize("name", [("c1", "../x", 1), ("..", "code", 1), ("c1", "code", 0), ("c1", "co de", 1)])
def test_a_name_that_could_leave_the_folder_is_our_own_mistake(
    workspaces: Workspaces, name: tuple[str, str, int]
) -> None:
    with pytest.raises(AssertionError):
        workspaces.path_of(*name)


def test_a_link_in_place_of_the_folder_is_refused(project: Path, workspaces: Workspaces, base: str) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    (project / ".gatewright").symlink_to(outside)

    with pytest.raises(WorkspaceProblem, match="leads through a symbolic link"):
        workspaces.ensure("c1", "code", 1, base=base, lease="x")
    assert list(outside.iterdir()) == []


def test_threads_that_ask_at_once_get_one_finished_workspace(workspaces: Workspaces, base: str) -> None:
    together = threading.Barrier(4)
    seen: list[bool] = []

    def ask() -> None:
        together.wait(10)
        path = workspaces.ensure("c1", "code", 1, base=base, lease="x")
        seen.append((path / "src" / "x.py").exists() and git(path, "status", "--porcelain") == "")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert seen == [True] * 4


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(project: Path, workspaces: Workspaces, base: str) -> None:
    (project / ".gatewright").write_text("a file where the folder should be\n")

    with pytest.raises(WorkspaceProblem, match="c1-code-1 cannot be made or deleted"):
        workspaces.ensure("c1", "code", 1, base=base, lease="x")


# Repairing


def test_a_workspace_that_was_never_finished_is_made_anew(
    project: Path, workspaces: Workspaces, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after git's work, before ours: some files are missing, nobody was told of the workspace."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(workspaces_module, "copy_included", crash)
        with pytest.raises(KeyboardInterrupt):
            workspaces.ensure("c1", "code", 1, base=base, lease="x")
    path = workspaces.path_of("c1", "code", 1)
    (path / "a.txt").unlink()

    workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert git(path, "status", "--porcelain") == ""


MAKE = """
import pathlib, sys
from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces
Workspaces(open_repository(pathlib.Path(sys.argv[1]))).ensure("c1", "code", 1, base=sys.argv[2], lease="x")
"""


def test_a_git_that_outlives_its_killed_server_is_waited_for(project: Path, workspaces: Workspaces) -> None:
    """Its failure would delete the workspace that somebody else has made in the meantime, by the path that it knows."""
    started, go = project.parent / "started", project.parent / "go"
    for pipe in (started, go):
        os.mkfifo(pipe)
    slow = project.parent / "slow"
    slow.write_text(f"#!/bin/sh\nmkdir '{slow}.once' 2>/dev/null && echo > '{started}' && read x < '{go}'\ncat\n")
    slow.chmod(0o755)
    git(project, "config", "filter.slow.smudge", str(slow))
    (project / ".gitattributes").write_text("a.txt filter=slow\n")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "slow")
    base = git(project, "rev-parse", "HEAD")
    made = threading.Event()
    server = subprocess.Popen([sys.executable, "-c", MAKE, str(project), base])
    started.read_text()
    server.kill()
    server.wait(10)

    def make() -> None:
        workspaces.ensure("c1", "code", 1, base=base, lease="x")
        made.set()

    maker = threading.Thread(target=make)
    maker.start()
    made_too_early = made.wait(0.5)
    go.write_text("go\n")
    maker.join(30)

    assert not made_too_early
    assert made.is_set()
    assert git(workspaces.path_of("c1", "code", 1), "status", "--porcelain") == ""


def test_a_workspace_whose_folder_vanished_is_made_anew(workspaces: Workspaces, workspace: Path, base: str) -> None:
    shutil.rmtree(workspace)

    workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert git(workspace, "status", "--porcelain") == ""


def test_files_of_a_workspace_that_git_forgot_are_moved_aside_not_deleted(
    project: Path, workspaces: Workspaces, workspace: Path, base: str
) -> None:
    (workspace / "a.txt").write_text("mine\n")
    shutil.rmtree(project / ".git" / "worktrees" / "c1-code-1")

    workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert (workspace / "a.txt").read_text() == "a\n"
    assert (workspaces.root / "c1-code-1.found-1" / "a.txt").read_text() == "mine\n"


def test_a_deleted_git_file_is_put_back(workspaces: Workspaces, workspace: Path, base: str) -> None:
    (workspace / ".git").unlink()
    (workspace / "a.txt").write_text("mine\n")

    workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert git(workspace, "status", "--porcelain") == "M a.txt"


def test_a_worktree_of_the_user_with_the_same_name_is_not_ours(
    project: Path, tmp_path: Path, workspaces: Workspaces, base: str
) -> None:
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "c1-code-1"))

    path = workspaces.ensure("c1", "code", 1, base=base, lease="x")
    assert [found.path for found in workspaces.list()] == [path]
    workspaces.remove("c1", "code", 1)

    assert git(tmp_path / "c1-code-1", "status", "--porcelain") == ""
