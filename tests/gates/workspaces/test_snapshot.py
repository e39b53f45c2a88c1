"""What an agent has becomes a commit, without disturbing who works there."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.worktrees.snapshot import Snapshot


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def files_of(project: Path, commit: str) -> dict[str, str]:
    """Path -> mode of every file of a commit."""
    listing = git(project, "ls-tree", "-r", "-z", commit).split("\0")[:-1]
    return {line.split("\t", 1)[1]: line.split(" ")[0] for line in listing}


def state_of(workspace: Path) -> tuple[str, str, str, bytes]:
    """What belongs to the agent in git: HEAD, the branch, what is staged, the index byte for byte."""
    index = Path(git(workspace, "rev-parse", "--absolute-git-dir")) / "index"
    head = git(workspace, "rev-parse", "HEAD"), git(workspace, "symbolic-ref", "-q", "HEAD", check=False)
    content = index.read_bytes() if index.exists() else b""
    return (*head, git(workspace, "ls-files", "-s"), content)


def test_an_untouched_workspace_is_its_head(take: Callable[[], Snapshot], base: str) -> None:
    taken = take()

    assert (taken.commit, taken.changed) == (base, False)


def test_a_snapshot_holds_every_kind_of_change(
    project: Path, workspace: Path, take: Callable[[], Snapshot], base: str
) -> None:
    (workspace / "a.txt").unlink()
    (workspace / "a.txt").mkdir()
    (workspace / "a.txt" / "now a folder").write_text("x\n")
    shutil.rmtree(workspace / "src")
    (workspace / "src").write_text("now a file\n")
    (workspace / "run.sh").chmod(0o644)
    (workspace / "Grüße\nund Leerzeichen .md").write_text("x\n")
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "tool").write_text("#!/bin/sh\n")
    (workspace / "tool").chmod(0o755)
    (workspace / "noise.log").write_text("ignored\n")
    (workspace / ".env").write_text("ignored\n")

    taken = take()

    assert taken.changed
    assert git(project, "rev-parse", f"{taken.commit}^@") == base
    assert git(project, "log", "-1", "--format=%an|%cn|%at|%s", taken.commit) == "ada|gatewright|1795348800|work"
    assert files_of(project, taken.commit) == {
        ".gitignore": "100644",
        "a.txt/now a folder": "100644",
        "src": "100644",
        "run.sh": "100644",
        "Grüße\nund Leerzeichen .md": "100644",
        "link": "120000",
        "tool": "100755",
    }


def test_equal_content_makes_the_same_commit(workspace: Path, take: Callable[[], Snapshot]) -> None:
    (workspace / "new").write_text("x\n")

    assert take() == take()


def test_a_change_within_the_same_clock_tick_and_size_is_seen(
    project: Path, workspace: Path, take: Callable[[], Snapshot]
) -> None:
    """git reads a file that is as new as the index; so our copy of the index must not look newer than the index."""
    tick = (1_700_000_000, 1_700_000_000)
    git(project, "config", "core.trustctime", "false")
    index = Path(git(workspace, "rev-parse", "--absolute-git-dir")) / "index"
    (workspace / "a.txt").write_text("1\n")
    os.utime(workspace / "a.txt", tick)
    git(workspace, "add", "a.txt")
    (workspace / "a.txt").write_text("2\n")
    os.utime(workspace / "a.txt", tick)
    os.utime(index, tick)

    taken = take()

    assert git(workspace, "show", f"{taken.commit}:a.txt") == "2"


def test_the_agents_head_index_and_files_stay_untouched(workspace: Path, take: Callable[[], Snapshot]) -> None:
    (workspace / "staged").write_text("x\n")
    git(workspace, "add", "staged")
    (workspace / "staged").write_text("y\n")
    (workspace / "a.txt").write_text("mine\n")
    before = state_of(workspace)

    taken = take()

    assert git(workspace, "show", f"{taken.commit}:staged") == "y"
    assert state_of(workspace) == before
    assert not list(Path(git(workspace, "rev-parse", "--absolute-git-dir")).glob("gatewright-index-*"))


def test_commits_that_the_agent_made_itself_are_kept(workspace: Path, take: Callable[[], Snapshot], base: str) -> None:
    git(workspace, "checkout", "-q", "-b", "feature")
    (workspace / "a.txt").write_text("1\n")
    git(workspace, "commit", "-q", "-a", "-m", "own")
    own = git(workspace, "rev-parse", "HEAD")

    committed = take()
    (workspace / "a.txt").write_text("2\n")
    on_top = take()

    assert (committed.commit, committed.changed) == (own, True)
    assert git(workspace, "rev-parse", f"{on_top.commit}^@") == own


def amend(workspace: Path) -> None:
    git(workspace, "commit", "-q", "--amend", "-a", "-m", "amended the base itself")


def orphan_branch(workspace: Path) -> None:
    git(workspace, "checkout", "-q", "--orphan", "lonely")


def other_history(workspace: Path) -> None:
    git(workspace, "checkout", "-q", "--orphan", "lonely")
    git(workspace, "commit", "-q", "-a", "-m", "root")


@pytest.mark.parametrize("rewrite", [amend, orphan_branch, other_history])
def test_a_head_that_left_the_base_still_makes_an_artifact_on_the_base(
    workspace: Path, take: Callable[[], Snapshot], base: str, rewrite: Callable[[Path], None]
) -> None:
    (workspace / "a.txt").write_text("mine\n")
    rewrite(workspace)

    taken = take()

    assert git(workspace, "rev-parse", f"{taken.commit}^@") == base
    assert git(workspace, "show", f"{taken.commit}:a.txt") == "mine"


def begin_merge(workspace: Path) -> str:
    git(workspace, "checkout", "-q", "-b", "other")
    (workspace / "a.txt").write_text("other\n")
    git(workspace, "commit", "-q", "-a", "-m", "other")
    git(workspace, "checkout", "-q", "-b", "mine", "HEAD~1")
    (workspace / "a.txt").write_text("mine\n")
    git(workspace, "commit", "-q", "-a", "-m", "mine")
    git(workspace, "merge", "other", check=False)
    return git(workspace, "rev-parse", "other")


def test_a_merge_in_progress_becomes_a_merge_with_the_files_as_they_are(
    workspace: Path, take: Callable[[], Snapshot]
) -> None:
    other = begin_merge(workspace)
    before = state_of(workspace)

    taken = take()

    assert git(workspace, "rev-parse", f"{taken.commit}^2") == other
    assert "<<<<<<<" in git(workspace, "show", f"{taken.commit}:a.txt")
    assert state_of(workspace) == before


@pytest.mark.parametrize("nonsense", ["1" * 40, "HEAD", "", "--help", "\xff", "unrelated"])
def test_a_merge_state_that_makes_no_sense_is_ignored(
    project: Path, workspace: Path, take: Callable[[], Snapshot], base: str, nonsense: str
) -> None:
    if nonsense == "unrelated":
        tree = git(project, "rev-parse", "HEAD^{tree}")
        nonsense = git(project, "commit-tree", tree, "-m", "another root")
    (workspace / "a.txt").write_text("mine\n")
    admin = Path(git(workspace, "rev-parse", "--absolute-git-dir"))
    (admin / "MERGE_HEAD").write_text(f"{nonsense}\n", encoding="latin-1")

    assert git(workspace, "rev-parse", f"{take().commit}^@") == base
