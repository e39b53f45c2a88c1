"""The user's repository: found from anywhere, read, and its target moved without overwriting anybody's work."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.problems import ProblemKind, RepositoryProblem
from gatewright.gates.repository import SharedRepository, open_repository

ZERO = "0" * 40


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


def land(repository: SharedRepository, old: str, new: str) -> None:
    assert repository.obstacles("main", old, new) == ()
    assert repository.move_target("main", old, new, message="landing")
    assert repository.bring_along("main", old, new) == ()


def problem_of(path: Path) -> RepositoryProblem:
    with pytest.raises(RepositoryProblem) as raised:
        open_repository(path)
    return raised.value


# Opening


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


# Reading


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


# Moving the target


def test_the_target_moves_only_from_where_it_is_believed_to_be(
    project: Path, landed: Callable[..., tuple[str, str]]
) -> None:
    old, new = landed({"a.txt": "new\n"})
    repository = open_repository(project)

    assert not repository.move_target("main", new, old, message="from the wrong place")
    assert git(project, "rev-parse", "main") == old
    assert repository.move_target("main", old, new, message="land c1")
    assert git(project, "rev-parse", "main") == new
    assert git(project, "reflog", "-1", "--format=%gs", "main") == "land c1"


def test_a_move_never_makes_a_branch(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")

    assert not open_repository(project).move_target("nothing", head, head, message="x")
    assert git(project, "branch", "--list", "nothing") == ""
    with pytest.raises(AssertionError):
        open_repository(project).move_target("nothing", ZERO, head, message="x")


def test_a_branch_that_stands_for_another_one_is_refused_as_target(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    git(project, "symbolic-ref", "refs/heads/alias", "refs/heads/main")

    with pytest.raises(RepositoryProblem, match="is a symbolic ref"):
        open_repository(project).move_target("alias", head, head, message="x")


def test_a_move_runs_no_hook(project: Path, landed: Callable[..., tuple[str, str]]) -> None:
    old, new = landed({"a.txt": "new\n"})
    hook = project / ".git" / "hooks" / "reference-transaction"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    assert open_repository(project).move_target("main", old, new, message="x")


# Bringing checkouts along


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


# Excluding


def test_a_pattern_is_excluded_once_and_taken_back_without_a_trace(project: Path) -> None:
    repository = open_repository(project)
    file = project / ".git" / "info" / "exclude"
    file.write_text("*.mine\nlast line without end")

    repository.exclude("/.gatewright/")
    repository.exclude("/.gatewright/")
    assert file.read_text() == "*.mine\nlast line without end\n/.gatewright/\n"

    repository.unexclude("/.gatewright/")
    assert file.read_text() == "*.mine\nlast line without end\n"


def test_excluding_works_without_an_info_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--template=", "plain")

    open_repository(tmp_path / "plain").exclude("x")

    assert (tmp_path / "plain" / ".git" / "info" / "exclude").read_text() == "x\n"
