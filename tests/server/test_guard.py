"""The guard: real git moves the target by nothing but a landing, and everything else as before."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from gatewright.gates.repository import SharedRepository, open_repository
from gatewright.server.guard import GuardKind, guard_state, install_guard, remove_guard

ALLOW = {"GATEWRIGHT_ALLOW": "1"}


def attempt(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str, **variables: str) -> str:
    done = attempt(folder, *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """`main` at two commits, `side` with one of its own on top of the first, a remote `origin` that is further on."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for text in ("1", "2"):
        (folder / "a.txt").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", text)
    git(folder, "checkout", "-q", "-b", "side", "main~1")
    (folder / "b.txt").write_text("side")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "side")
    git(folder, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", str(folder), "origin")
    git(tmp_path / "origin", "commit", "-q", "--allow-empty", "-m", "remote")
    git(folder, "remote", "add", "origin", str(tmp_path / "origin"))
    return folder


@pytest.fixture
def repository(project: Path) -> SharedRepository:
    return open_repository(project)


@pytest.fixture
def guarded(repository: SharedRepository) -> SharedRepository:
    assert install_guard(repository, "main").kind is GuardKind.ACTIVE
    return repository


def commit(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Try to commit something that no commit had before."""
    (folder / "a.txt").write_text(f"{time.time_ns()}")
    return attempt(folder, "commit", "-q", "-a", "-m", "new", **variables)


MOVES: list[tuple[str, ...]] = [
    ("merge", "-q", "--no-edit", "side"),
    ("reset", "-q", "--hard", "HEAD~1"),
    ("rebase", "-q", "side"),
    ("cherry-pick", "side"),
    ("revert", "--no-edit", "HEAD"),
    ("commit", "-q", "--amend", "-m", "again"),
    ("commit", "-q", "--no-verify", "--allow-empty", "-m", "x"),
    ("update-ref", "refs/heads/main", "side"),
    ("update-ref", "-d", "refs/heads/main"),
    ("pull", "-q", "--ff-only", "origin", "main"),
]
MOVES_FROM_ELSEWHERE: list[tuple[str, ...]] = [
    ("branch", "-f", "main", "side"),
    ("branch", "-D", "main"),
    ("branch", "-m", "main", "other"),
    ("branch", "-M", "side", "main"),
    ("checkout", "-q", "-B", "main", "side"),
    ("fetch", "-q", "origin", "main:main"),
    ("push", "-q", ".", "+side:main"),
]


@pytest.mark.parametrize("move", MOVES, ids=" ".join)
def test_the_target_refuses_every_move(project: Path, guarded: SharedRepository, move: tuple[str, ...]) -> None:
    before = git(project, "rev-parse", "main")

    done = attempt(project, *move)

    assert done.returncode != 0
    assert "main moves by landings only" in done.stderr
    assert "GATEWRIGHT_ALLOW=1" in done.stderr
    assert git(project, "rev-parse", "main") == before


@pytest.mark.parametrize("move", MOVES_FROM_ELSEWHERE, ids=" ".join)
def test_the_target_refuses_every_move_from_another_branch(
    project: Path, guarded: SharedRepository, move: tuple[str, ...]
) -> None:
    before = git(project, "rev-parse", "main")
    git(project, "checkout", "-q", "-b", "elsewhere")

    done = attempt(project, *move)

    assert done.returncode != 0
    assert "main moves by landings only" in done.stderr
    assert git(project, "rev-parse", "main") == before


@pytest.mark.parametrize("move", MOVES, ids=" ".join)
def test_a_person_who_says_so_may_move_it(project: Path, guarded: SharedRepository, move: tuple[str, ...]) -> None:
    before = git(project, "rev-parse", "main")

    git(project, *move, **ALLOW)

    assert attempt(project, "rev-parse", "--verify", "main").stdout.strip() != before


def test_only_the_exact_word_overrides(project: Path, guarded: SharedRepository) -> None:
    assert commit(project, GATEWRIGHT_ALLOW="0").returncode != 0
    assert commit(project, GATEWRIGHT_ALLOW="").returncode != 0
    assert commit(project, **ALLOW).returncode == 0


def test_every_other_ref_is_free(project: Path, tmp_path: Path, guarded: SharedRepository) -> None:
    git(project, "checkout", "-q", "-b", "main2")
    assert commit(project).returncode == 0
    git(project, "merge", "-q", "--no-edit", "side")
    git(project, "reset", "-q", "--hard", "HEAD~1")
    git(project, "branch", "-f", "side", "main2")
    git(project, "branch", "feature/main")
    git(project, "tag", "main")
    git(project, "fetch", "-q", "origin")
    git(project, "update-ref", "refs/remotes/origin/main", "side")
    git(project, "stash", "list")
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    assert commit(tmp_path / "tree").returncode == 0


def test_the_target_is_guarded_in_linked_worktrees_and_folders_too(
    project: Path, tmp_path: Path, guarded: SharedRepository
) -> None:
    git(project, "checkout", "-q", "side")
    git(project, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    (tmp_path / "linked" / "folder").mkdir()

    assert commit(tmp_path / "linked").returncode != 0
    assert attempt(tmp_path / "linked" / "folder", "reset", "-q", "--hard", "HEAD~1").returncode != 0


def test_a_landing_goes_through(project: Path, guarded: SharedRepository) -> None:
    old, new = git(project, "rev-parse", "main"), git(project, "rev-parse", "side")

    assert guarded.move_target("main", old, new, message="landing")


def test_housekeeping_is_no_move(project: Path, guarded: SharedRepository) -> None:
    before = git(project, "rev-parse", "main")

    for command in (("pack-refs", "--all"), ("gc", "-q", "--prune=now"), ("pack-refs", "--all"), ("fsck",)):
        git(project, *command)
    git(project, "update-ref", "refs/heads/main", before)

    assert git(project, "rev-parse", "main") == before
    assert commit(project).returncode != 0


@pytest.mark.parametrize("loose_too", [True, False])
def test_a_packed_target_is_not_deleted_as_if_it_were_housekeeping(
    project: Path, guarded: SharedRepository, loose_too: bool
) -> None:
    git(project, "checkout", "-q", "side")
    git(project, "pack-refs", "--all")
    before = git(project, "rev-parse", "main")
    if loose_too:
        (project / ".git" / "refs" / "heads" / "main").write_text(f"{before}\n")

    assert attempt(project, "branch", "-D", "main").returncode != 0
    assert attempt(project, "update-ref", "-d", "refs/heads/main", before).returncode != 0
    assert git(project, "rev-parse", "main") == before


def test_a_first_commit_on_a_new_target_is_free(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "empty")
    install_guard(open_repository(tmp_path / "empty"), "main")

    git(tmp_path / "empty", "commit", "-q", "--allow-empty", "-m", "first")

    assert attempt(tmp_path / "empty", "commit", "-q", "--allow-empty", "-m", "second").returncode != 0


@pytest.mark.parametrize("target", ["release/1.0", "it's", "a$(id>ran)b", 'q"uote', "ümlaut"])
def test_a_target_with_an_odd_name_is_guarded_like_any_other(project: Path, target: str) -> None:
    git(project, "checkout", "-q", "-b", target)
    install_guard(open_repository(project), target)

    assert "moves by landings only" in commit(project).stderr
    assert not list(project.rglob("ran"))
    git(project, "branch", "-f", "main", "side")


# Installing and removing


def test_installing_twice_and_for_another_target_is_fine(project: Path, guarded: SharedRepository) -> None:
    assert install_guard(guarded, "main").kind is GuardKind.ACTIVE
    assert guard_state(guarded, "side").kind is GuardKind.STALE

    assert install_guard(guarded, "side").kind is GuardKind.ACTIVE

    assert guard_state(guarded, "main").kind is GuardKind.STALE
    assert commit(project).returncode == 0


def test_removing_leaves_nothing(project: Path, guarded: SharedRepository) -> None:
    state = remove_guard(guarded, "main")

    assert state.kind is GuardKind.ABSENT
    assert not state.hook.exists()
    assert commit(project).returncode == 0
    assert remove_guard(guarded, "main").kind is GuardKind.ABSENT


def test_a_hook_that_cannot_run_is_told_and_mended(project: Path, guarded: SharedRepository) -> None:
    hook = guard_state(guarded, "main").hook
    hook.chmod(0o644)
    assert guard_state(guarded, "main").kind is GuardKind.STALE

    install_guard(guarded, "main")

    assert commit(project).returncode != 0


FOREIGN = '#!/bin/sh\ncat >> "$(git rev-parse --git-common-dir)/seen"\n'


def write_hook(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_a_hook_of_somebody_else_is_never_touched(project: Path, repository: SharedRepository) -> None:
    hook = project / ".git" / "hooks" / "reference-transaction"
    write_hook(hook, FOREIGN)

    state = install_guard(repository, "main")
    remove_guard(repository, "main")

    assert state.kind is GuardKind.FOREIGN
    assert "add these lines" in state.sentence
    assert hook.read_text() == FOREIGN


def test_the_lines_that_are_told_guard_the_target_and_leave_the_other_hook_its_input(
    project: Path, repository: SharedRepository
) -> None:
    hook = project / ".git" / "hooks" / "reference-transaction"
    write_hook(hook, FOREIGN)
    lines = install_guard(repository, "main").lines
    first, rest = FOREIGN.split("\n", 1)
    write_hook(hook, f"{first}\n{lines}{rest}")

    assert guard_state(repository, "main").kind is GuardKind.ACTIVE
    assert "moves by landings only" in commit(project).stderr
    git(project, "branch", "other")
    assert "refs/heads/other" in (project / ".git" / "seen").read_text()

    assert remove_guard(repository, "main").kind is GuardKind.FOREIGN
    assert commit(project).returncode == 0


@pytest.mark.parametrize("relative", [True, False])
def test_the_hook_goes_where_git_looks_for_hooks(project: Path, repository: SharedRepository, relative: bool) -> None:
    folder = project / ".husky" if relative else project.parent / "hooks of all"
    git(project, "config", "core.hooksPath", ".husky" if relative else str(folder))

    state = install_guard(repository, "main")

    assert state.hook == folder / "reference-transaction"
    assert ("Other worktrees" in state.sentence) == relative
    assert commit(project).returncode != 0
    assert remove_guard(repository, "main").kind is GuardKind.ABSENT


def test_a_folder_of_hooks_for_many_repositories_guards_this_one_only(
    project: Path, tmp_path: Path, repository: SharedRepository
) -> None:
    other = tmp_path / "origin"
    for folder in (project, other):
        git(folder, "config", "core.hooksPath", str(tmp_path / "shared"))
    install_guard(repository, "main")

    assert commit(project).returncode != 0
    assert commit(other).returncode == 0
    assert guard_state(open_repository(other), "main").kind is GuardKind.FOREIGN
    remove_guard(open_repository(other), "main")
    assert commit(project).returncode != 0


def test_hooks_that_are_switched_off_are_one_clear_sentence(project: Path, repository: SharedRepository) -> None:
    git(project, "config", "core.hooksPath", "/dev/null")

    state = install_guard(repository, "main")

    assert state.kind is GuardKind.ABSENT
    assert "core.hooksPath" in state.sentence


def test_the_guard_goes_on_when_the_repository_is_moved(project: Path, guarded: SharedRepository) -> None:
    moved = project.rename(project.parent / "moved")

    assert commit(moved).returncode != 0
    assert install_guard(open_repository(moved), "main").kind is GuardKind.ACTIVE


def test_many_refs_at_once_are_not_slowed_down(project: Path, guarded: SharedRepository) -> None:
    """A thousand refs in one transaction: the hook reads them in one shell, without a program for each."""
    head = git(project, "rev-parse", "HEAD")
    commands = "".join(f"create refs/tags/t{number} {head}\n" for number in range(1_000))

    def spent(*options: str) -> float:
        started = time.perf_counter()
        subprocess.run(["git", *options, "update-ref", "--stdin"], cwd=project, input=commands, text=True, check=True)
        return time.perf_counter() - started

    with_guard = spent()
    commands = commands.replace("refs/tags/t", "refs/tags/u")
    without = spent("-c", "core.hooksPath=/dev/null")

    assert with_guard < without + 2.0
