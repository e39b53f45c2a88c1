"""Nothing that anybody made is thrown away; what is removed leaves nothing else behind."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatewright.gates.workspaces import Workspaces
from gatewright.gates.worktrees.problems import WorkspaceProblem

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SAVED = "refs/gatewright/saved/c1-code-1"


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_beyond_the_base_is_nothing_to_save(workspaces: Workspaces, workspace: Path, project: Path) -> None:
    assert workspaces.save_unsaved(workspace, SAVED, when=NOW) is None
    assert git(project, "for-each-ref", SAVED) == ""


def test_uncommitted_work_and_unpublished_commits_are_saved(
    workspaces: Workspaces, workspace: Path, project: Path
) -> None:
    (workspace / "a.txt").write_text("committed\n")
    git(workspace, "commit", "-q", "-a", "-m", "own")
    own = git(workspace, "rev-parse", "HEAD")
    assert workspaces.save_unsaved(workspace, SAVED, when=NOW) == own

    (workspace / "new").write_text("uncommitted\n")
    saved = workspaces.save_unsaved(workspace, SAVED, when=NOW)

    assert git(project, "rev-parse", SAVED) == saved
    assert git(project, "show", f"{SAVED}:new") == "uncommitted"
    assert own in git(project, "rev-list", SAVED).split()


def test_saving_again_is_idempotent_and_never_loses_what_was_saved_before(
    workspaces: Workspaces, workspace: Path, project: Path
) -> None:
    (workspace / "new").write_text("1\n")
    first = workspaces.save_unsaved(workspace, SAVED, when=NOW)
    assert workspaces.save_unsaved(workspace, SAVED, when=NOW + timedelta(hours=1)) == first

    (workspace / "new").write_text("2\n")
    second = workspaces.save_unsaved(workspace, SAVED, when=NOW + timedelta(hours=1))

    assert git(project, "show", f"{second}:new") == "2"
    assert first in git(project, "rev-list", SAVED).split()


def test_a_history_that_left_the_base_is_saved_with_its_commits(
    workspaces: Workspaces, workspace: Path, project: Path
) -> None:
    (workspace / "a.txt").write_text("mine\n")
    git(workspace, "commit", "-q", "--amend", "-a", "-m", "amended the base itself")
    amended = git(workspace, "rev-parse", "HEAD")

    workspaces.save_unsaved(workspace, SAVED, when=NOW)

    assert amended in git(project, "rev-list", SAVED).split()


def test_a_workspace_that_is_gone_has_nothing_to_save(workspaces: Workspaces, workspace: Path) -> None:
    workspaces.remove("c1", "code", 1)

    assert workspaces.save_unsaved(workspace, SAVED, when=NOW) is None


# Removing


def test_a_removed_workspace_leaves_nothing_and_may_be_removed_again(
    project: Path, workspaces: Workspaces, workspace: Path
) -> None:
    (workspace / "read only").mkdir()
    (workspace / "read only" / "file").touch()
    (workspace / "read only").chmod(0o500)

    workspaces.remove("c1", "code", 1)
    workspaces.remove("c1", "code", 1)

    assert not workspace.exists()
    assert "c1-code-1" not in git(project, "worktree", "list", "--porcelain")
    assert workspaces.list() == ()


def test_branches_that_the_agent_made_outlive_the_workspace(
    project: Path, workspaces: Workspaces, workspace: Path
) -> None:
    git(workspace, "checkout", "-q", "-b", "feature")

    workspaces.remove("c1", "code", 1)

    assert git(project, "branch", "--list", "feature") == "feature"


def test_a_half_removed_workspace_is_listed_until_it_is_removed(workspaces: Workspaces, workspace: Path) -> None:
    shutil.rmtree(workspace)
    assert [(found.change, found.stage, found.fence) for found in workspaces.list()] == [("c1", "code", 1)]

    workspaces.remove_all()

    assert workspaces.list() == ()


def test_removing_all_leaves_the_users_worktrees_alone(
    project: Path, tmp_path: Path, workspaces: Workspaces, workspace: Path, base: str
) -> None:
    git(project, "worktree", "add", "-q", str(tmp_path / "mine"), "-b", "mine")
    workspaces.ensure("c12", "write-docs", 3, base=base, lease="x")
    assert [(w.change, w.stage, w.fence) for w in workspaces.list()] == [("c1", "code", 1), ("c12", "write-docs", 3)]

    workspaces.remove_all()

    assert workspaces.list() == ()
    assert git(tmp_path / "mine", "status", "--porcelain") == ""


def test_a_link_inside_a_workspace_is_removed_and_not_followed(
    tmp_path: Path, workspaces: Workspaces, workspace: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (workspace / "link").symlink_to(precious)

    workspaces.remove("c1", "code", 1)

    assert (precious / "file").exists()


def test_removing_what_never_was_makes_nothing(project: Path, workspaces: Workspaces) -> None:
    workspaces.remove("c1", "code", 1)

    assert not (project / ".gatewright").exists()


def test_removing_does_not_follow_a_link_in_place_of_the_folder(
    project: Path, tmp_path: Path, workspaces: Workspaces
) -> None:
    victim = tmp_path / "outside" / "work" / "c1-code-1"
    victim.mkdir(parents=True)
    (project / ".gatewright").symlink_to(tmp_path / "outside")

    with pytest.raises(WorkspaceProblem, match="leads through a symbolic link"):
        workspaces.remove("c1", "code", 1)
    assert victim.exists()
