"""Where a branch stands is told without git while it has not moved, and never of a moment before it did."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.gates.worktrees.tips import Tips

from .conftest import commit, git

Move = Callable[[Path], object]
MOVES: dict[str, Move] = {
    "a commit": lambda project: commit(project, {"a.txt": "again\n"}),
    "a reset": lambda project: git(project, "reset", "-q", "--hard", "main~1"),
    "packed after a commit": lambda project: (commit(project, {"a.txt": "b\n"}), git(project, "pack-refs", "--all")),
    "deleted": lambda project: (git(project, "checkout", "-q", "--detach"), git(project, "branch", "-D", "main")),
    "made to name another": lambda project: (
        git(project, "branch", "other", "main~1"),
        git(project, "symbolic-ref", "refs/heads/main", "refs/heads/other"),
    ),
}


class Asked:
    """The tips of a repository, and how often git was asked."""

    def __init__(self, project: Path) -> None:
        repository = open_repository(project)
        self.count = 0

        def resolve(ref: str) -> str | None:
            self.count += 1
            return repository.resolve(ref)

        self.tips = Tips(repository.common_dir, resolve)


@pytest.fixture
def asked(project: Path) -> Asked:
    commit(project, {"a.txt": "second\n"})
    return Asked(project)


@pytest.mark.parametrize("is_packed", [False, True], ids=["loose", "packed"])
def test_a_branch_that_has_not_moved_is_asked_for_once(project: Path, asked: Asked, is_packed: bool) -> None:
    if is_packed:
        git(project, "pack-refs", "--all")

    found = [asked.tips.find("main") for _ in range(3)]

    assert found == [git(project, "rev-parse", "main")] * 3
    assert asked.count == 1


@pytest.mark.parametrize("is_packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("name", MOVES)
def test_whatever_moves_a_branch_is_seen_by_the_next_question(
    project: Path,
    asked: Asked,
    name: str,
    is_packed: bool,
) -> None:
    if is_packed:
        git(project, "pack-refs", "--all")
    asked.tips.find("main")

    MOVES[name](project)

    expected = git(project, "rev-parse", "--verify", "--quiet", "refs/heads/main", check=False) or None
    assert asked.tips.find("main") == expected


def test_a_branch_that_names_another_is_asked_for_each_time(project: Path, asked: Asked) -> None:
    """The other one moves without a trace in the file of the first."""
    git(project, "branch", "other", "main")
    git(project, "checkout", "-q", "other")
    git(project, "symbolic-ref", "refs/heads/main", "refs/heads/other")
    before = asked.tips.find("main")

    moved = commit(project, {"a.txt": "third\n"})

    assert before != moved
    assert asked.tips.find("main") == moved


def test_a_branch_that_moves_while_git_is_asked_is_not_remembered(project: Path) -> None:
    repository = open_repository(project)
    moved: list[str] = []

    def resolve(ref: str) -> str | None:
        found = repository.resolve(ref)
        if not moved:
            moved.append(commit(project, {"a.txt": "meanwhile\n"}))
        return found

    tips = Tips(repository.common_dir, resolve)
    tips.find("main")

    assert tips.find("main") == moved[0]
