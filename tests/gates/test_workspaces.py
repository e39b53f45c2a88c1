"""Agents' workspaces: made once, read without disturbing who works there, never losing what somebody made."""

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatewright.gates import workspaces as workspaces_module
from gatewright.gates.problems import WorkspaceProblem
from gatewright.gates.repository import open_repository
from gatewright.gates.snapshot import Snapshot
from gatewright.gates.workspaces import Workspaces

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SAVED = "refs/gatewright/saved/c1-code-1"


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


# Making


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


# .worktreeinclude


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


# Snapshots


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
    assert (
        git(project, "log", "-1", "--format=%an|%cn|%at|%s", taken.commit)
        == f"ada|gatewright|{NOW.timestamp():.0f}|work"
    )
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


def test_a_change_within_the_same_clock_tick_and_size_is_seen(workspace: Path, take: Callable[[], Snapshot]) -> None:
    """git's racy entries: the index copy must not look newer than the file that was written right after it."""
    (workspace / "a.txt").write_text("1\n")
    git(workspace, "add", "a.txt")
    before = (workspace / "a.txt").stat()
    (workspace / "a.txt").write_text("2\n")
    os.utime(workspace / "a.txt", ns=(before.st_mtime_ns, before.st_mtime_ns))

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


# Saving


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
    amend(workspace)
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
