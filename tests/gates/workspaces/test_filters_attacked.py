"""The person's filters run in checkouts, and agents can write the configuration that names them."""

import pytest

from gatewright.gates.worktrees.worktree import user_environment


def test_filters_do_not_see_the_secrets_of_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_SECRET_INDEX", "hunter2")
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")

    assert "hunter2" not in user_environment().values()
    assert user_environment()["GIT_LFS_SKIP_SMUDGE"] == "1"
