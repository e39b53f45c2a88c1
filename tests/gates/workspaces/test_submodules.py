"""An agent can run what the gates run: its workspace has the submodules that the person has, without a network."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates.workspaces import Workspaces

from .conftest import git

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def library(folder: Path, **files: str) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")


def add_submodule(project: Path, source: Path, path: str) -> None:
    git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(source), path)
    git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive")
    git(project, "commit", "-q", "-m", "with a submodule")


@pytest.fixture
def with_submodule(project: Path, tmp_path: Path) -> str:
    """The project's commit with vendor/lib, which has a submodule of its own; where they came from is gone."""
    library(tmp_path / "inner", deep="deep\n")
    library(tmp_path / "lib", lib="library\n")
    add_submodule(tmp_path / "lib", tmp_path / "inner", "inner")
    add_submodule(project, tmp_path / "lib", "vendor/lib")
    for source in ("inner", "lib"):
        shutil.rmtree(tmp_path / source)
    return git(project, "rev-parse", "HEAD")


def test_a_workspace_has_the_submodules_that_the_person_has(workspaces: Workspaces, with_submodule: str) -> None:
    path = workspaces.ensure("c1", "code", 1, base=with_submodule, lease="token")

    assert (path / "vendor" / "lib" / "lib.txt").read_text() == "library\n"
    assert (path / "vendor" / "lib" / "inner" / "deep.txt").read_text() == "deep\n"
    assert git(path, "status", "--porcelain") == ""
    assert workspaces.empty_submodules(path) == ()
    assert git(path / "vendor" / "lib", "status", "--porcelain") == ""


def test_what_the_agent_hands_in_has_the_submodule_as_it_was(workspaces: Workspaces, with_submodule: str) -> None:
    path = workspaces.ensure("c1", "code", 1, base=with_submodule, lease="token")
    (path / "a.txt").write_text("changed\n")
    (path / "vendor" / "lib" / "lib.txt").write_text("not committed in there\n")

    taken = workspaces.snapshot(path, base=with_submodule, message="work", author="ada", when=NOW)

    changed = git(path, "diff-tree", "-r", "--name-only", with_submodule, taken.commit)
    assert changed == "a.txt"


def test_the_persons_own_repository_is_as_it_was(project: Path, workspaces: Workspaces, with_submodule: str) -> None:
    before = (project / ".git" / "config").read_text(), git(project, "status", "--porcelain")

    workspaces.ensure("c1", "code", 1, base=with_submodule, lease="token")
    workspaces.remove("c1", "code", 1)

    assert ((project / ".git" / "config").read_text(), git(project, "status", "--porcelain")) == before
    assert not (project / ".git" / "worktrees").exists() or not list((project / ".git" / "worktrees").iterdir())


def test_a_submodule_that_is_not_on_this_machine_stays_empty_and_stops_nobody(
    project: Path, workspaces: Workspaces, with_submodule: str
) -> None:
    shutil.rmtree(project / ".git" / "modules")
    shutil.rmtree(project / "vendor")

    path = workspaces.ensure("c1", "code", 1, base=with_submodule, lease="token")

    assert list((path / "vendor" / "lib").iterdir()) == []
    assert workspaces.empty_submodules(path) == ("vendor/lib",)


def test_nothing_that_a_submodule_brings_along_runs(
    project: Path, workspaces: Workspaces, with_submodule: str, tmp_path: Path
) -> None:
    hooks = project / ".git" / "modules" / "vendor" / "lib" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-commit", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (hooks / name).chmod(0o755)
    git(project, "config", "-f", ".gitmodules", "submodule.vendor/lib.update", f"!touch {tmp_path}/ran")
    git(project, "commit", "-q", "-a", "-m", "update by a command", check=False)

    workspaces.ensure("c1", "code", 1, base=git(project, "rev-parse", "HEAD"), lease="token")

    assert not (tmp_path / "ran").exists()


def test_a_repository_without_submodules_asks_nothing_more_of_git(
    workspaces: Workspaces, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewright.gates.workspaces.populate", lambda *_: pytest.fail("nothing to check out"))

    assert workspaces.ensure("c1", "code", 1, base=base, lease="token").is_dir()
