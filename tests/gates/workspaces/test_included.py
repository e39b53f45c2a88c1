"""Files that git ignores and an agent needs come along; nothing else, and nowhere else."""

import os
import subprocess
from pathlib import Path

import pytest

from gatewright.gates.workspaces import Workspaces
from gatewright.gates.worktrees import included
from gatewright.gates.worktrees.problems import WorkspaceProblem

from .conftest import NOW


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_ignored_files_that_are_named_are_copied(project: Path, workspaces: Workspaces, base: str) -> None:
    (project / ".worktreeinclude").write_text(".env\ncache/\n*.txt\n!big.txt\n")
    (project / ".env").write_text("KEY=1\n")
    (project / "cache" / "ü b").mkdir(parents=True)
    (project / "cache" / "ü b" / "tool\n").write_text("#!/bin/sh\n")
    (project / "cache" / "ü b" / "tool\n").chmod(0o755)
    (project / "cache" / "link").symlink_to("/etc/hosts")
    (project / "untracked.txt").write_text("not ignored\n")
    (project / "other.log").write_text("ignored, not named\n")

    path = workspaces.ensure("c1", "code", 1, base=base, lease="x")

    assert (path / ".env").read_text() == "KEY=1\n"
    assert os.access(path / "cache" / "ü b" / "tool\n", os.X_OK)
    assert (path / "cache" / "link").is_symlink()
    assert not (path / "untracked.txt").exists()
    assert not (path / "other.log").exists()
    assert git(path, "status", "--porcelain") == ""


def test_nothing_is_copied_over_a_tracked_file_or_through_a_tracked_link(
    project: Path, workspaces: Workspaces, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    git(project, "checkout", "-q", "-b", "evil")
    (project / "cache").symlink_to(outside)
    (project / ".env").write_text("tracked\n")
    git(project, "add", "-f", "cache", ".env")
    git(project, "commit", "-q", "-m", "a link where ignored files are, a tracked .env")
    evil = git(project, "rev-parse", "HEAD")
    git(project, "checkout", "-q", "main")
    (project / "cache").mkdir()
    (project / "cache" / "secret").write_text("s\n")
    (project / ".env").write_text("mine\n")
    (project / ".worktreeinclude").write_text("cache/\n.env\n")

    path = workspaces.ensure("c1", "code", 1, base=evil, lease="x")

    assert list(outside.iterdir()) == []
    assert (path / ".env").read_text() == "tracked\n"


def test_more_than_the_bound_is_refused_with_the_number(
    project: Path, workspaces: Workspaces, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(included, "INCLUDED_FILES_MAX", 1)
    (project / ".worktreeinclude").write_text("*.log\n")
    (project / "1.log").touch()
    (project / "2.log").touch()

    with pytest.raises(WorkspaceProblem, match="names 2 files"):
        workspaces.ensure("c1", "code", 1, base=base, lease="x")


@pytest.mark.parametrize("by_agent", [False, True], ids=["left in the workspace", "committed by the agent"])
def test_what_was_lent_is_not_handed_in_when_it_is_ignored_no_more(
    project: Path, workspaces: Workspaces, base: str, by_agent: bool
) -> None:
    """One line less in .gitignore would publish the person's keys."""
    (project / ".worktreeinclude").write_text(".env\n")
    (project / ".env").write_text("KEY=1\n")
    path = workspaces.ensure("c1", "code", 1, base=base, lease="x")
    (path / "a.txt").write_text("work\n")
    honest = workspaces.snapshot(path, base=base, message="work", author="ada", when=NOW)
    (path / ".gitignore").write_text("*.log\n")
    if by_agent:
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", "mine")

    with pytest.raises(WorkspaceProblem, match=r"\.env was copied"):
        workspaces.snapshot(path, base=base, message="work", author="ada", when=NOW)
    assert honest.changed
