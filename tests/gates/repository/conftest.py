"""A repository of a person, and commits that land in it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str | None], message: str = "change") -> str:
    for name, text in files.items():
        file = folder / name
        if text is None:
            git(folder, "rm", "-q", "-r", name)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        git(folder, "add", "-f", "--", name)
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository on `main` with one commit: a.txt, b.txt and src/x.py."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {"a.txt": "a\n", "b.txt": "b\n", "src/x.py": "x = 1\n"}, "first")
    return folder


@pytest.fixture
def landed(project: Path) -> Callable[[dict[str, str | None]], tuple[str, str]]:
    """Make a commit on top of main as a landing would: `project` still has the old files."""

    def land(files: dict[str, str | None]) -> tuple[str, str]:
        old = git(project, "rev-parse", "main")
        elsewhere = project.parent / "elsewhere"
        git(project, "worktree", "add", "-q", "--detach", str(elsewhere), old)
        new = commit(elsewhere, files)
        git(project, "worktree", "remove", "--force", str(elsewhere))
        return old, new

    return land
