"""The target moves only from where it is believed to be, and to nowhere that a person did not make."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.gates.worktrees.problems import RepositoryProblem

from .conftest import git

ZERO = "0" * 40


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
