"""A repository and one workspace in it."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces
from gatewright.gates.worktrees.snapshot import Snapshot

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository on `main` with a.txt, src/x.py, run.sh (executable) and a .gitignore of *.log and .env."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("a\n")
    (folder / "src" / "x.py").write_text("x = 1\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / ".gitignore").write_text("*.log\n.env\ncache/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def base(project: Path) -> str:
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def workspaces(project: Path) -> Workspaces:
    return Workspaces(open_repository(project))


@pytest.fixture
def workspace(workspaces: Workspaces, base: str) -> Path:
    return workspaces.ensure("c1", "code", 1, base=base, lease="token-1")


@pytest.fixture
def take(workspaces: Workspaces, workspace: Path, base: str) -> Callable[[], Snapshot]:
    return lambda: workspaces.snapshot(workspace, base=base, message="work", author="ada", when=NOW)
