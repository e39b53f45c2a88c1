"""A holder goes on from what another handed in and failed with: from its files, never from its commit."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates.workspaces import Workspaces
from gatewright.gates.worktrees.snapshot import Snapshot

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SAVED = "refs/gatewright/saved/c1-code-2"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def failed(workspace: Path, take: Callable[[], Snapshot]) -> str:
    """A commit on the base that changes, adds and removes files."""
    (workspace / "a.txt").write_text("wrong\n")
    (workspace / "new name.txt").write_text("new\n")
    (workspace / "src" / "x.py").unlink()
    return take().commit


def test_the_files_of_what_failed_are_there_and_its_commit_is_not(
    workspaces: Workspaces, base: str, failed: str
) -> None:
    path = workspaces.ensure("c1", "code", 2, base=base, lease="token-2", content=failed)

    assert git(path, "rev-parse", "HEAD") == base
    assert (path / "a.txt").read_text() == "wrong\n"
    assert (path / "new name.txt").exists()
    assert not (path / "src" / "x.py").exists()
    (path / "a.txt").write_text("mended\n")
    taken = workspaces.snapshot(path, base=base, message="mended", author="bob", when=NOW)
    assert git(path, "rev-list", f"{base}..{taken.commit}").split() == [taken.commit]


def test_what_was_put_there_and_never_touched_is_no_unsaved_work(
    workspaces: Workspaces, base: str, failed: str
) -> None:
    path = workspaces.ensure("c1", "code", 2, base=base, lease="token-2", content=failed)
    assert workspaces.save_unsaved(path, SAVED, when=NOW) is None

    (path / "a.txt").write_text("mine\n")

    assert workspaces.save_unsaved(path, SAVED, when=NOW) is not None
