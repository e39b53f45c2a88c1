"""Checkouts of the target get what landed, and nobody's work is overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.git import Git, GitFailed
from gatewright.gates.repository import SharedRepository, open_repository

from .conftest import commit, git


def land(repository: SharedRepository, old: str, new: str) -> None:
    assert repository.obstacles("main", old, new) == ()
    assert repository.move_target("main", old, new, message="landing")
    assert repository.bring_along("main", old, new) == ()


def test_a_clean_checkout_has_the_landed_files_afterwards(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n", "docs/über uns.md": "hi\n", "src/x.py": None})

    land(open_repository(project), old, new)

    assert git(project, "status", "--porcelain") == ""
    assert (project / "a.txt").read_text() == "new\n"
    assert not (project / "src").exists()


def test_changes_to_other_files_survive_staged_or_not(project: Path, landed: Callable[..., tuple[str, str]]) -> None:
    old, new = landed({"a.txt": "new\n"})
    (project / "b.txt").write_text("mine, staged\n")
    git(project, "add", "b.txt")
    (project / "src" / "x.py").write_text("mine\n")
    (project / "untracked").write_text("mine\n")

    land(open_repository(project), old, new)

    assert git(project, "diff", "--cached", "--name-only") == "b.txt"
    assert git(project, "diff", "--name-only") == "src/x.py"
    assert (project / "untracked").read_text() == "mine\n"


def change_a(folder: Path) -> None:
    (folder / "a.txt").write_text("mine\n")


def stage_a(folder: Path) -> None:
    change_a(folder)
    git(folder, "add", "a.txt")


def stage_a_and_change_it_back(folder: Path) -> None:
    stage_a(folder)
    (folder / "a.txt").write_text("a\n")


def stage_something_and_write_the_landed_text(folder: Path) -> None:
    stage_a(folder)
    (folder / "a.txt").write_text("new\n")


def untracked_file(folder: Path) -> None:
    (folder / "added.txt").write_text("mine\n")


def ignored_file(folder: Path) -> None:
    (folder / ".git" / "info" / "exclude").write_text("added.txt\n")
    (folder / "added.txt").write_text("mine\n")


def ignored_folder_where_a_file_comes(folder: Path) -> None:
    (folder / ".git" / "info" / "exclude").write_text("added.txt/\n")
    (folder / "added.txt").mkdir()
    (folder / "added.txt" / "secret").write_text("mine\n")


def file_where_a_folder_comes(folder: Path) -> None:
    (folder / "docs").write_text("mine\n")


def link_where_a_folder_comes(folder: Path) -> None:
    (folder.parent / "outside").mkdir()
    (folder / "docs").symlink_to(folder.parent / "outside")


def test_who_staged_a_draft_of_what_landed_is_told_how_to_go_on(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n"})
    stage_something_and_write_the_landed_text(project)
    repository = open_repository(project)

    (obstacle,) = repository.obstacles("main", old, new)
    git(project, "add", "a.txt")

    assert (obstacle.paths, "git add it again" in obstacle.reason) == (("a.txt",), True)
    land(repository, old, new)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (change_a, "a.txt"),
        (stage_a, "a.txt"),
        (stage_a_and_change_it_back, "a.txt"),
        (stage_something_and_write_the_landed_text, "a.txt"),
        (untracked_file, "added.txt"),
        (ignored_file, "added.txt"),
        (ignored_folder_where_a_file_comes, "added.txt/secret"),
        (file_where_a_folder_comes, "docs"),
        (link_where_a_folder_comes, "docs"),
    ],
)
def test_what_nobody_committed_is_never_overwritten_and_named(
    project: Path,
    landed: Callable[..., tuple[str, str]],
    prepare: Callable[[Path], None],
    told: str,
) -> None:
    old, new = landed({"a.txt": "new\n", "added.txt": "landed\n", "docs/page.md": "landed\n"})
    prepare(project)
    files = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".git/" not in str(path)}
    staged = git(project, "ls-files", "-s")
    repository = open_repository(project)

    before = repository.obstacles("main", old, new)
    repository.move_target("main", old, new, message="x")
    after = repository.bring_along("main", old, new)

    assert before == after
    assert [(obstacle.worktree, obstacle.paths) for obstacle in before] == [(project, (told,))]
    assert files == {p: p.read_bytes() for p in project.rglob("*") if p.is_file() and ".git/" not in str(p)}
    assert git(project, "ls-files", "-s") == staged


def test_a_touched_or_equal_file_is_no_obstacle(project: Path, landed: Callable[..., tuple[str, str]]) -> None:
    old, new = landed({"a.txt": "new\n", "added.txt": "landed\n"})
    os.utime(project / "b.txt", (1, 1))
    os.utime(project / "a.txt", (1, 1))
    (project / "added.txt").write_text("landed\n")

    land(open_repository(project), old, new)

    assert git(project, "status", "--porcelain") == ""


def test_after_a_crash_half_way_bringing_along_again_finishes_the_work(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n", "added.txt": "landed\n", "src/x.py": None, "b.txt": "new\n"})
    repository = open_repository(project)
    repository.move_target("main", old, new, message="x")
    # What a killed checkout leaves: some files written or gone, the index still the old one.
    (project / "a.txt").write_text("new\n")
    (project / "added.txt").write_text("landed\n")
    (project / "src" / "x.py").unlink()

    assert repository.bring_along("main", old, new) == ()
    assert repository.bring_along("main", old, new) == ()

    assert git(project, "status", "--porcelain") == ""
    assert (project / "b.txt").read_text() == "new\n"


def test_what_a_full_disk_cut_short_is_finished_when_there_is_room(
    project: Path, landed: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = landed({"a.txt": "landed\n", "added.txt": "landed\n"})
    repository = open_repository(project)
    repository.move_target("main", old, new, message="x")
    run = Git.run

    def fill_the_disk(self: Git, *arguments: str, **given: object) -> bytes:
        if arguments[:3] == ("read-tree", "-m", "-u"):
            (project / "a.txt").write_text("lan")
            (project / "added.txt").write_text("")
            raise GitFailed(arguments, 128, "fatal: unable to write file a.txt: No space left on device")
        return run(self, *arguments, **given)  # type: ignore[arg-type]  # passed on as it came

    with monkeypatch.context() as full:
        full.setattr(Git, "run", fill_the_disk)
        [obstacle] = repository.bring_along("main", old, new)
    assert obstacle.may_pass
    assert "No space left" in obstacle.reason

    assert repository.bring_along("main", old, new) == ()
    assert git(project, "status", "--porcelain") == ""
    assert (project / "added.txt").read_text() == "landed\n"


def test_a_persons_own_beginning_of_a_file_is_not_taken_for_one_that_was_cut_short(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"added.txt": "landed\n"})
    repository = open_repository(project)
    (project / "added.txt").write_text("lan")
    repository.move_target("main", old, new, message="x")

    [obstacle] = repository.bring_along("main", old, new)

    assert obstacle.paths == ("added.txt",)
    assert not obstacle.may_pass
    assert (project / "added.txt").read_text() == "lan"


def test_a_second_call_keeps_what_was_changed_after_the_first(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n"})
    repository = open_repository(project)
    land(repository, old, new)
    (project / "a.txt").write_text("mine\n")

    repository.bring_along("main", old, new)

    assert (project / "a.txt").read_text() == "mine\n"


def test_a_branch_that_a_person_moved_back_is_left_alone(project: Path, landed: Callable[..., tuple[str, str]]) -> None:
    old, new = landed({"a.txt": "new\n"})

    assert open_repository(project).bring_along("main", old, new) == ()

    assert git(project, "status", "--porcelain") == ""
    assert (project / "a.txt").read_text() == "a\n"


def test_only_worktrees_that_have_the_target_checked_out_are_touched(
    project: Path, tmp_path: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n"})
    git(project, "checkout", "-q", "-b", "mine")
    git(project, "worktree", "add", "-q", str(tmp_path / "checked out"), "main")
    (project / "a.txt").write_text("mine\n")

    land(open_repository(project), old, new)

    assert (project / "a.txt").read_text() == "mine\n"
    assert (tmp_path / "checked out" / "a.txt").read_text() == "new\n"


@pytest.mark.parametrize("state", ["merge", "rebase", "bisect", "lock"])
def test_unfinished_git_work_is_waited_for(project: Path, landed: Callable[..., tuple[str, str]], state: str) -> None:
    git(project, "checkout", "-q", "-b", "side")
    commit(project, {"b.txt": "side\n"})
    git(project, "checkout", "-q", "main")
    commit(project, {"b.txt": "main\n"})
    old, new = landed({"a.txt": "new\n"})
    match state:
        case "merge" | "rebase":
            git(project, state, "side", check=False)
        case "bisect":
            git(project, "bisect", "start", "HEAD", "HEAD~1")
        case _:
            (project / ".git" / "index.lock").touch()

    [obstacle] = open_repository(project).obstacles("main", old, new)

    assert obstacle.worktree == project
    assert ("index.lock" if state == "lock" else f"a {state} is unfinished") in obstacle.reason


def test_the_persons_own_filters_apply_and_hooks_do_not(project: Path, landed: Callable[..., tuple[str, str]]) -> None:
    old, new = landed({"a.txt": "new\n"})
    marker = project.parent / "hook ran"
    for name in ("post-checkout", "post-merge", "post-index-change", "reference-transaction"):
        hook = project / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
        hook.chmod(0o755)
    git(project, "config", "core.fsmonitor", str(project / ".git" / "hooks" / "post-merge"))
    marker.unlink(missing_ok=True)
    # As `git lfs install` does it: in the person's own settings, not in the repository's.
    git(project, "config", "--global", "filter.loud.smudge", "tr a-z A-Z")
    git(project, "config", "--global", "filter.loud.clean", "tr A-Z a-z")
    (project / ".git" / "info" / "attributes").write_text("a.txt filter=loud\n")
    try:
        land(open_repository(project), old, new)
    finally:
        git(project, "config", "--global", "--remove-section", "filter.loud")

    assert (project / "a.txt").read_text() == "NEW\n"
    assert not marker.exists()
