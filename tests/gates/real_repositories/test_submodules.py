"""docs/real-repositories.md: a submodule is judged with its files or not at all, and nothing is fetched for it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.artifact_store.walk import TreeBudget
from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.checkout import CheckoutPool
from gatewright.gates.checkouts.filling import Filler, Filling
from gatewright.gates.checkouts.lfs import LfsCache
from gatewright.gates.checkouts.placeholders import find_submodules
from gatewright.schemas.records import Outcome

from ..kinds.workbench import SAMPLE, Project
from .conftest import commit_in, git, library, shell, with_submodule

HAS_ITS_FILES = 'test "$(cat vendor/lib/lib.txt)" = library && test -z "$(git status --porcelain --ignored)"'


def test_programs_find_the_files_of_a_submodule_in_a_tree_that_git_calls_clean(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    project = with_submodule(tmp_path, [shell(HAS_ITS_FILES)], tmp_path / "lib")

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.PASSED, found["look"].output


def test_a_submodule_that_nobody_fetched_is_not_judged_as_an_empty_folder(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    gates = [shell("test -f calc.py"), "compile"]
    project = with_submodule(tmp_path, gates, tmp_path / "lib")
    commit = project.commit({"more.py": "x = 1\n"})
    shutil.rmtree(project.repository / ".git" / "modules")

    found = project.judge(commit)

    assert found["look"].outcome is Outcome.ERRORED
    assert "git submodule update --init" in found["look"].summary
    assert "do not change the code" in found["look"].summary
    assert found["compile"].outcome is Outcome.PASSED, "it reads no file of the submodule"


def test_once_fetched_it_stays_when_the_users_own_folder_goes(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    project = with_submodule(tmp_path, [shell(HAS_ITS_FILES)], tmp_path / "lib")
    first, second = project.commit({"more.py": "x = 1\n"}), project.commit({"more.py": "x = 2\n"})
    project.judge(first)
    shutil.rmtree(project.repository / ".git" / "modules")

    found = project.judge(second)

    assert found["look"].outcome is Outcome.PASSED, found["look"].summary


def test_a_changed_submodule_is_asked_about_and_has_its_new_files(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    project = with_submodule(tmp_path, [shell("grep -q newer vendor/lib/lib.txt")], tmp_path / "lib")
    commit_in(project.repository / "vendor" / "lib", {"lib.txt": "newer\n"})

    found = project.judge(project.commit({}))

    assert found["look"].outcome is Outcome.PASSED, found["look"].output
    assert found["scope"].outcome is Outcome.PENDING
    assert "May these submodules be changed?" in str(found["scope"].question)


def test_submodules_of_submodules_have_their_files_too(tmp_path: Path) -> None:
    library(tmp_path / "inner", {"deep.txt": "deep\n"})
    library(tmp_path / "lib")
    git(tmp_path / "lib", "submodule", "--quiet", "add", str(tmp_path / "inner"), "inner")
    git(tmp_path / "lib", "commit", "-q", "-m", "with another")
    project = with_submodule(tmp_path, [shell("cat vendor/lib/inner/deep.txt")], tmp_path / "lib")

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.PASSED, found["look"].output


def test_what_gitmodules_leaves_out_of_clones_is_an_empty_folder_here_too(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    project = with_submodule(tmp_path, [shell('test -z "$(ls -A vendor/lib)"')], tmp_path / "lib")
    git(project.repository, "config", "-f", ".gitmodules", "submodule.vendor/lib.update", "none")
    project.base = project.commit({})

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.PASSED, found["look"].output


def test_a_shallow_submodule_is_enough(tmp_path: Path) -> None:
    library(tmp_path / "lib", {"lib.txt": "older\n"})
    commit_in(tmp_path / "lib", {"lib.txt": "library\n"})
    project = Project(tmp_path / "project", [shell(HAS_ITS_FILES)])
    git(project.repository, "submodule", "--quiet", "add", "--depth", "1", f"file://{tmp_path / 'lib'}", "vendor/lib")
    project.base = project.commit({})

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert (project.repository / ".git" / "modules" / "vendor" / "lib" / "shallow").exists()
    assert found["look"].outcome is Outcome.PASSED, found["look"].summary


def test_the_files_of_submodules_count_for_the_limits(tmp_path: Path) -> None:
    library(tmp_path / "lib", {"lib.txt": "x" * 100_000})
    project = with_submodule(tmp_path, [shell("test -f calc.py")], tmp_path / "lib", limits={"tree": 50_000})

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.ERRORED
    assert "`limits.tree`" in found["look"].summary
    assert "So does the base" in found["look"].summary


def in_place(project: Project) -> None:
    """As `git submodule add` keeps it."""


def as_a_nested_repository(project: Project) -> None:
    """As git kept submodules long ago."""
    nested, absorbed = project.repository / "vendor" / "lib", project.repository / ".git" / "modules" / "vendor" / "lib"
    git(absorbed, "config", "--unset", "core.worktree")
    (nested / ".git").unlink()
    absorbed.rename(nested / ".git")


def in_a_linked_worktree(project: Project) -> None:
    """As an agent has it that ran `git submodule update` in its workspace."""
    linked = project.root / "linked"
    git(project.repository, "worktree", "add", "-q", "--detach", str(linked), project.base)
    git(linked, "submodule", "--quiet", "update", "--init")
    shutil.rmtree(project.repository / ".git" / "modules")


@pytest.mark.slow
@pytest.mark.parametrize("arrange", [in_place, as_a_nested_repository, in_a_linked_worktree])
def test_it_is_found_wherever_git_keeps_it(tmp_path: Path, arrange: Callable[[Project], None]) -> None:
    library(tmp_path / "lib")
    project = with_submodule(tmp_path, [shell("cat vendor/lib/lib.txt")], tmp_path / "lib")
    commit = project.commit({"more.py": "x = 1\n"})
    arrange(project)

    found = project.judge(commit)

    assert found["look"].outcome is Outcome.PASSED, found["look"].summary


class TestAttacked:
    @pytest.mark.parametrize("name", ["../elsewhere", "x/../../elsewhere", "/elsewhere", ".", "vendor/lib/../../.."])
    def test_a_name_that_leads_out_of_the_modules_folder_is_not_followed(self, tmp_path: Path, name: str) -> None:
        """An artifact with such a name is refused by git's own check; the history below it is taken as it is."""
        project = Project(tmp_path / "project", ["compile"])
        commit = library(project.repository / ".git" / "elsewhere")
        modules = f'[submodule "{name}"]\n\tpath = vendor/lib\n\turl = {tmp_path}\n'
        (project.repository / ".gitmodules").write_text(modules)
        git(project.repository, "add", ".gitmodules")
        git(project.repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")
        project.base = commit_index(project, "lead astray")
        trees = Trees(tmp_path, project)
        entries = {entry.path: entry for entry in trees.store.entries(project.base)}

        filled = trees.filler.fill(project.base, entries, TreeBudget())

        assert [missing.path for missing in filled.missing] == ["vendor/lib"]
        assert "not on this machine" in filled.missing[0].sentence
        assert find_submodules(trees.store, project.base, entries)[0].name is None

    def test_an_unsound_commit_is_not_written_out(self, tmp_path: Path) -> None:
        """A tree with a folder `.git` would be a repository of the attacker's inside the checkout."""
        library(tmp_path / "lib")
        project = with_submodule(tmp_path, [shell("test -f calc.py")], tmp_path / "lib")
        modules = project.repository / ".git" / "modules" / "vendor" / "lib"
        blob = git(modules, "hash-object", "-w", "HEAD")
        inner = git_input(modules, f"100644 blob {blob}\tconfig\n", "mktree")
        (tmp_path / "tree").write_bytes(b"40000 .git\0" + bytes.fromhex(inner))
        tree = git(modules, "hash-object", "-w", "-t", "tree", "--literally", str(tmp_path / "tree"))
        commit = git(modules, "commit-tree", tree, "-m", "unsound")
        git(project.repository, "update-index", "--cacheinfo", f"160000,{commit},vendor/lib")
        git(project.repository, "commit", "-q", "-m", "unsound")

        found = project.judge(git(project.repository, "rev-parse", "HEAD"))

        assert found["look"].outcome is Outcome.ERRORED
        assert "cannot be taken over" in found["look"].summary

    def test_an_id_that_is_no_commit_is_not_there(self, tmp_path: Path) -> None:
        library(tmp_path / "lib")
        project = with_submodule(tmp_path, [shell("test -f calc.py")], tmp_path / "lib")
        tree = git(project.repository / "vendor" / "lib", "rev-parse", "HEAD^{tree}")
        git(project.repository, "update-index", "--cacheinfo", f"160000,{tree},vendor/lib")
        git(project.repository, "commit", "-q", "-m", "a tree")

        found = project.judge(git(project.repository, "rev-parse", "HEAD"))

        assert found["look"].outcome is Outcome.ERRORED
        assert "not on this machine" in found["look"].summary

    def test_a_program_of_the_submodules_own_folder_never_runs(self, tmp_path: Path) -> None:
        library(tmp_path / "lib")
        project = with_submodule(tmp_path, [shell(HAS_ITS_FILES)], tmp_path / "lib")
        commit = project.commit({"more.py": "x = 1\n"})
        modules, witness = project.repository / ".git" / "modules" / "vendor" / "lib", tmp_path / "ran"
        for key in ("core.fsmonitor", "core.sshCommand", "filter.x.smudge", "uploadpack.packObjectsHook"):
            git(modules, "config", key, f"touch {witness}")
        (modules / "info").mkdir(exist_ok=True)
        (modules / "info" / "attributes").write_text("* filter=x\n")

        found = project.judge(commit)

        assert found["look"].outcome is Outcome.PASSED, found["look"].output
        assert not witness.exists()


class TestWarm:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        library(tmp_path / "lib", {"lib.txt": "library\n", "a/b.txt": "b\n"})
        return with_submodule(tmp_path, [shell("test -f calc.py")], tmp_path / "lib")

    def test_forth_and_back_between_commits_with_and_without(self, tmp_path: Path, project: Project) -> None:
        git(project.repository, "rm", "-q", "--cached", "vendor/lib")
        without = commit_index(project, "without")
        git(project.repository, "update-index", "--add", "--cacheinfo", f"100644,{blob_of(project)},vendor/lib")
        as_file = commit_index(project, "a file in its place")
        tree = Trees(tmp_path, project, (without, as_file))

        for commit in (project.base, without, project.base, as_file, project.base, project.base):
            tree.look(commit)
            there = tree.files()
            match commit:
                case project.base:
                    assert {"vendor/lib/lib.txt", "vendor/lib/a/b.txt"} <= there
                case _:
                    assert not any(path.startswith("vendor/lib/") for path in there)

    def test_whatever_somebody_did_in_it_is_undone(self, tmp_path: Path, project: Project) -> None:
        tree = Trees(tmp_path, project)
        with tree.pool.pristine(project.base, tree.filling(project.base)) as folder:
            (folder / "vendor" / "lib" / "lib.txt").write_text("lIbrary\n")
            (folder / "vendor" / "lib" / "more").mkdir()
            shutil.rmtree(folder / "vendor" / "lib" / "a")
            (folder / "vendor" / "lib" / "a").symlink_to(tmp_path)

        tree.look(project.base)

        assert (tree.last / "vendor" / "lib" / "lib.txt").read_text() == "library\n"
        assert (tree.last / "vendor" / "lib" / "a" / "b.txt").read_text() == "b\n"
        assert not (tree.last / "vendor" / "lib" / "more").exists()

    def test_a_folder_replaced_by_a_link_does_not_let_it_write_elsewhere(
        self, tmp_path: Path, project: Project
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        tree = Trees(tmp_path, project)
        for part in ("vendor", "vendor/lib"):
            with tree.pool.pristine(project.base, tree.filling(project.base)) as folder:
                shutil.rmtree(folder / part)
                (folder / part).symlink_to(outside)

            tree.look(project.base)

            assert list(outside.iterdir()) == []
            assert (tree.last / "vendor" / "lib" / "lib.txt").read_text() == "library\n"
            assert not (tree.last / part).is_symlink()

    def test_without_its_content_the_folder_is_empty_again(self, tmp_path: Path, project: Project) -> None:
        tree = Trees(tmp_path, project)
        tree.look(project.base)

        for filling in (Filling(), Filling(empty=("vendor/lib",))):
            with tree.pool.pristine(project.base, filling) as folder:
                assert list((folder / "vendor" / "lib").iterdir()) == []
                (folder / "vendor" / "lib" / "left behind").write_text("x")

    def test_what_did_not_change_is_not_written_again(self, tmp_path: Path, project: Project) -> None:
        tree = Trees(tmp_path, project)
        tree.look(project.base)
        before = (tree.last / "vendor" / "lib" / "lib.txt").stat().st_ctime_ns

        tree.look(project.base)

        assert (tree.last / "vendor" / "lib" / "lib.txt").stat().st_ctime_ns == before


class Trees:
    """A pool with one slot over a project, filled."""

    def __init__(self, root: Path, project: Project, commits: tuple[str, ...] = ()) -> None:
        self.store = ArtifactStore(root / "state" / "store", project.repository / ".git")
        self.store.ensure()
        for commit in (project.base, *commits):
            self.store.fetch_base(commit)
        self.filler = Filler(self.store, LfsCache(root / "lfs", self.store.shared))
        self.pool = CheckoutPool(root / "checkouts", self.store, slots_max=1, filler=self.filler)
        self.last = root

    def filling(self, commit: str) -> Filling:
        entries = {entry.path: entry for entry in self.store.entries(commit)}
        filled = self.filler.fill(commit, entries, TreeBudget())
        assert not filled.missing
        return filled.filling

    def look(self, commit: str) -> None:
        with self.pool.pristine(commit, self.filling(commit)) as folder:
            self.last = folder

    def files(self) -> set[str]:
        return {str(path.relative_to(self.last)) for path in self.last.rglob("*") if path.is_file()}


def git_input(folder: Path, text: str, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit_index(project: Project, message: str) -> str:
    git(project.repository, "commit", "-q", "-m", message)
    return git(project.repository, "rev-parse", "HEAD")


def blob_of(project: Project) -> str:
    assert "calc.py" in SAMPLE
    return git(project.repository, "rev-parse", "HEAD:calc.py")
