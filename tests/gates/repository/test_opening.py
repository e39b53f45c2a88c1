"""The user's repository: found from anywhere, and read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.gates.worktrees.problems import ProblemKind, RepositoryProblem

from .conftest import commit, git


def problem_of(path: Path) -> RepositoryProblem:
    with pytest.raises(RepositoryProblem) as raised:
        open_repository(path)
    return raised.value


def test_any_folder_of_any_worktree_leads_to_the_same_repository(project: Path, tmp_path: Path) -> None:
    git(project, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))

    seen = [open_repository(path) for path in (project, project / "src", project / ".git", tmp_path / "side" / "src")]

    assert {found.common_dir for found in seen} == {project / ".git"}
    assert {found.state_dir for found in seen} == {project / ".git" / "gatewright"}
    assert {found.main_worktree for found in seen} == {project}
    assert [found.top for found in seen] == [project, project, project, tmp_path / "side"]
    assert seen[3].current_branch() == "side"


def test_a_linked_worktree_of_a_bare_repository_opens(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(project), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "linked"), "main")

    linked, bare = open_repository(tmp_path / "linked"), open_repository(tmp_path / "bare.git")

    assert (linked.top, linked.main_worktree, linked.is_bare) == (tmp_path / "linked", None, False)
    assert linked.get_worktree() == tmp_path / "linked"
    assert bare.is_bare
    assert [tree.path for tree in bare.worktrees()] == [tmp_path / "linked"]
    with pytest.raises(RepositoryProblem, match="is a bare repository") as raised:
        bare.get_worktree()
    assert raised.value.kind == ProblemKind.NO_WORKTREE


def test_a_submodule_is_a_repository_of_its_own_whose_files_are_where_they_are(project: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    git(tmp_path, "init", "-q", "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project), "lib")

    from_files, from_git_dir = open_repository(outer / "lib"), open_repository(outer / ".git" / "modules" / "lib")

    assert from_files.main_worktree == from_git_dir.main_worktree == outer / "lib"


def test_a_repository_whose_git_folder_lies_elsewhere_is_opened_from_its_files(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--separate-git-dir", "apart.git", "files")

    assert open_repository(tmp_path / "files").main_worktree == tmp_path / "files"
    assert open_repository(tmp_path / "apart.git").main_worktree is None


def test_variables_of_a_hook_do_not_lead_to_another_repository(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / "index"))

    repository = open_repository(project / ".git")

    assert (repository.top, repository.common_dir) == (project, project / ".git")
    assert repository.find_head() is not None
    assert not repository.is_dirty()
    assert os.environ["GIT_DIR"] == str(tmp_path / "other" / ".git")


def test_a_folder_without_a_repository_is_one_clear_sentence(tmp_path: Path) -> None:
    problem = problem_of(tmp_path)

    assert problem.kind == ProblemKind.NO_REPOSITORY
    assert problem.message == f"There is no git repository at {tmp_path} or above it."
    assert "git init" in problem.next


def test_a_path_that_does_not_exist_is_one_clear_sentence(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "gone")

    assert (problem.kind, problem.message) == (ProblemKind.NOT_FOUND, f"There is no folder {tmp_path / 'gone'}.")


def test_a_git_file_that_points_nowhere_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /does/not/exist\n")

    assert problem_of(tmp_path).kind == ProblemKind.NO_REPOSITORY


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_that_git_does_not_trust_is_not_opened_behind_its_back(project: Path) -> None:
    for path in (project, *project.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)

    problem = problem_of(project)

    assert problem.kind == ProblemKind.NOT_TRUSTED
    assert "safe.directory" in problem.next


OPEN = (
    "import sys, pathlib; from gatewright.gates.repository import open_repository; open_repository(pathlib.Path('.'))"
)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [(None, "There is no git program on the PATH."), ("git version 2.37.9", "gatewright needs 2.38 or newer")],
)
def test_a_missing_or_old_git_is_one_clear_sentence(
    project: Path, tmp_path: Path, program: str | None, sentence: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if program is not None:
        (programs / "git").write_text(f"#!/bin/sh\necho {program}\n")
        (programs / "git").chmod(0o755)

    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        cwd=project,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_a_repository_without_a_commit_opens_and_has_a_target_all_the_same(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk", "empty")
    repository = open_repository(tmp_path / "empty")

    assert repository.find_head() is None
    assert repository.default_target() == "trunk"


def test_a_ref_is_resolved_to_a_commit_and_nothing_else(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    git(project, "tag", "-a", "-m", "tag", "v1")
    git(project, "tag", "a-tree", "HEAD^{tree}")
    repository = open_repository(project)

    assert {repository.resolve(ref) for ref in ("main", "HEAD", "v1", head, head[:9])} == {head}
    assert {repository.resolve(ref) for ref in ("nothing", "a-tree", "--all", "-h", "", "a\0b", "HEAD^9", "x..y")} == {
        None
    }


def test_a_replace_ref_does_not_change_what_is_read(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    second = commit(project, {"a.txt": "other\n"})
    git(project, "replace", first, second)

    assert open_repository(project).read_file(first, "a.txt", 100) == b"a\n"


def test_a_detached_head_has_no_branch(project: Path) -> None:
    git(project, "checkout", "-q", "--detach")

    assert open_repository(project).current_branch() is None
    assert open_repository(project).default_target() == "main"


def test_a_branch_of_one_s_own_is_not_the_default_target_where_there_is_a_main(project: Path) -> None:
    git(project, "checkout", "-q", "-b", "feature")

    assert open_repository(project).default_target() == "main"


def test_the_default_target_is_the_branch_that_the_remote_calls_its_default(project: Path, tmp_path: Path) -> None:
    git(project, "branch", "-m", "main", "trunk")
    git(tmp_path, "clone", "-q", str(project), "clone")
    git(tmp_path / "clone", "checkout", "-q", "-b", "feature")

    assert open_repository(tmp_path / "clone").default_target() == "trunk"


@pytest.mark.parametrize("untracked", [True, False])
def test_changed_and_new_files_make_a_tree_dirty_ignored_ones_do_not(project: Path, untracked: bool) -> None:
    commit(project, {".gitignore": "*.log\n"})
    (project / "x.log").touch()
    repository = open_repository(project)
    assert not repository.is_dirty()

    (project / ("new file" if untracked else "a.txt")).write_text("changed\n")

    assert repository.is_dirty()


def test_only_regular_committed_files_within_the_bound_are_read(project: Path) -> None:
    (project / "link").symlink_to("a.txt")
    head = commit(project, {"ünï cödé\n.txt": "text\n", "*.txt": "star\n"})
    git(project, "add", "link")
    git(project, "commit", "-qm", "link")
    tip = git(project, "rev-parse", "HEAD")
    repository = open_repository(project / "src")

    assert repository.read_file(head, "ünï cödé\n.txt", 100) == b"text\n"
    assert repository.read_file(head, "*.txt", 100) == b"star\n"
    assert {
        repository.read_file(tip, path, 100)
        for path in ("link", "src", "src/", "gone", "../a.txt", "/a.txt", "", "--x")
    } == {None}
    with pytest.raises(RepositoryProblem, match="has 2 bytes; at most 1 are read"):
        repository.read_file(tip, "a.txt", 1)


def test_what_is_excluded_is_excluded_once_and_taken_back_without_a_trace(project: Path) -> None:
    repository = open_repository(project)
    file = project / ".git" / "info" / "exclude"
    file.write_text(before := "*.mine\n/.venv\nlast line without end")

    for pattern in ("/.gatewright/", "/.gatewright/", "/.venv", "/node_modules"):
        repository.exclude(pattern)
    assert file.read_text() == f"{before}\n/.gatewright/\n/node_modules\n"

    repository.unexclude()
    assert file.read_text() == before
    repository.unexclude()
    assert file.read_text() == before


def test_what_a_person_excluded_meanwhile_stays(project: Path) -> None:
    repository = open_repository(project)
    file = project / ".git" / "info" / "exclude"
    repository.exclude("/.gatewright/")
    file.write_text(f"{file.read_text()}*.mine\n")

    repository.unexclude()

    assert file.read_text().splitlines()[-1] == "*.mine"
    assert "/.gatewright/" not in file.read_text()


def test_excluding_works_without_an_info_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--template=", "plain")

    repository = open_repository(tmp_path / "plain")
    repository.exclude("x")

    assert (tmp_path / "plain" / ".git" / "info" / "exclude").read_text() == "x\n"
    repository.unexclude()
    assert not (tmp_path / "plain" / ".git" / "info" / "exclude").exists()
