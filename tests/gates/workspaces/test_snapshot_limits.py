"""Content that git would record wrongly, run, or choke on."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.worktrees.problems import WorkspaceProblem
from gatewright.gates.worktrees.snapshot import Snapshot


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def files_of(project: Path, commit: str) -> dict[str, str]:
    """Path -> mode of every file of a commit."""
    listing = git(project, "ls-tree", "-r", "-z", commit).split("\0")[:-1]
    return {line.split("\t", 1)[1]: line.split(" ")[0] for line in listing}


@pytest.mark.parametrize("commits", [0, 1])
def test_a_nested_repository_is_refused_with_its_name(
    workspace: Path, take: Callable[[], Snapshot], commits: int
) -> None:
    nested = workspace / "deep" / "clöne"
    nested.mkdir(parents=True)
    git(nested, "init", "-q")
    (nested / "file").write_text("x\n")
    if commits:
        git(nested, "add", ".")
        git(nested, "commit", "-q", "-m", "nested")

    with pytest.raises(WorkspaceProblem, match="deep/clöne"):
        take()


def test_a_nested_repository_that_the_agent_staged_or_committed_is_refused_too(
    workspace: Path, take: Callable[[], Snapshot]
) -> None:
    git(workspace, "clone", "-q", str(workspace), "nested")
    git(workspace, "add", "nested")
    with pytest.raises(WorkspaceProblem, match="repository of its own"):
        take()

    git(workspace, "commit", "-q", "-m", "nested")
    with pytest.raises(WorkspaceProblem, match="repository of its own"):
        take()


def test_a_real_submodule_is_an_ordinary_change(project: Path, workspace: Path, take: Callable[[], Snapshot]) -> None:
    git(workspace, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project), "lib")

    assert files_of(project, take().commit)["lib"] == "160000"


def test_a_git_folder_that_replaces_ours_does_not_lead_us_elsewhere(
    project: Path, workspace: Path, take: Callable[[], Snapshot], base: str
) -> None:
    (workspace / ".git").unlink()
    git(workspace, "init", "-q")
    git(workspace, "config", "core.fsmonitor", "touch ../ran")
    (workspace / "a.txt").write_text("mine\n")

    taken = take()

    assert git(project, "rev-parse", f"{taken.commit}^@") == base
    assert set(files_of(project, taken.commit)) == {".gitignore", "a.txt", "run.sh", "src/x.py"}


def test_clean_filters_run_and_hooks_and_fsmonitor_do_not(
    project: Path, workspace: Path, take: Callable[[], Snapshot]
) -> None:
    program = project.parent / "ran.sh"
    program.write_text(f"#!/bin/sh\ntouch '{project.parent / 'ran'}'\n")
    program.chmod(0o755)
    for name in ("pre-commit", "post-commit", "post-index-change", "reference-transaction", "commit-msg"):
        shutil.copy(program, project / ".git" / "hooks" / name)
    git(project, "config", "core.fsmonitor", str(program))
    git(project, "config", "core.safecrlf", "true")
    git(project, "config", "filter.quiet.clean", "tr A-Z a-z")
    (workspace / ".gitattributes").write_text("a.txt filter=quiet\nsrc/* text eol=crlf\n")
    (workspace / "a.txt").write_text("LOUD\n")
    (workspace / "src" / "x.py").write_bytes(b"mixed\r\nends\n")
    (project.parent / "ran").unlink(missing_ok=True)

    taken = take()

    ran = (project.parent / "ran").exists()
    assert git(workspace, "show", f"{taken.commit}:a.txt") == "loud"
    assert not ran


@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_a_broken_index_is_no_reason_to_lose_work(
    workspace: Path, take: Callable[[], Snapshot], base: str, damage: str
) -> None:
    index = Path(git(workspace, "rev-parse", "--absolute-git-dir")) / "index"
    index.unlink()
    if damage == "garbage":
        index.write_bytes(b"garbage")
    (workspace / "a.txt").write_text("mine\n")

    taken = take()

    assert git(workspace, "diff", "--name-only", base, taken.commit) == "a.txt"


def test_a_pipe_is_left_out_and_never_read(project: Path, workspace: Path, take: Callable[[], Snapshot]) -> None:
    os.mkfifo(workspace / "pipe")

    assert not take().changed


def test_a_file_that_became_a_pipe_is_refused_with_its_name(workspace: Path, take: Callable[[], Snapshot]) -> None:
    (workspace / "a.txt").unlink()
    os.mkfifo(workspace / "a.txt")

    with pytest.raises(WorkspaceProblem, match=r"a\.txt: can only add regular files"):
        take()


def test_too_much_uncommitted_content_is_refused_before_it_is_stored(
    workspace: Path, take: Callable[[], Snapshot]
) -> None:
    with (workspace / "huge").open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(WorkspaceProblem, match="the largest is huge"):
        take()


def test_a_failing_filter_is_one_clear_sentence(project: Path, workspace: Path, take: Callable[[], Snapshot]) -> None:
    git(project, "config", "filter.broken.clean", "false")
    git(project, "config", "filter.broken.required", "true")
    (workspace / ".gitattributes").write_text("a.txt filter=broken\n")
    (workspace / "a.txt").write_text("mine\n")

    with pytest.raises(WorkspaceProblem, match="cannot be read as a commit"):
        take()


def test_a_staged_file_that_is_ignored_is_part_of_the_work(
    project: Path, workspace: Path, take: Callable[[], Snapshot]
) -> None:
    (workspace / "wanted.log").write_text("x\n")
    git(workspace, "add", "-f", "wanted.log")

    assert "wanted.log" in files_of(project, take().commit)


def test_a_workspace_that_is_gone_is_one_clear_sentence(workspace: Path, take: Callable[[], Snapshot]) -> None:
    shutil.rmtree(workspace)

    with pytest.raises(WorkspaceProblem, match="is gone"):
        take()


def test_what_a_killed_process_left_is_swept_up_after_a_while(workspace: Path, take: Callable[[], Snapshot]) -> None:
    admin = Path(git(workspace, "rev-parse", "--absolute-git-dir"))
    old, young = admin / "gatewright-index-old", admin / "gatewright-index-young"
    for left in (old, young):
        left.mkdir()
        (left / "index").touch()
    os.utime(old, (1, 1))

    take()

    assert not old.exists()
    assert young.exists()
