"""What every test stands on: no setting, credential or running server of the person at the machine reaches it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# What a test keeps of the caller's environment; PIP_* and certificates only let package tools find what is installed.
KEPT = ("PATH", "TERM", "TMPDIR", "CI", "LANG", "VIRTUAL_ENV", "PIP_", "SSL_CERT_", "PYTEST_", "PYTHONUNBUFFERED")

# The same examples in every run: a red suite is red for the next person too.
settings.register_profile("gatewright", deadline=None, derandomize=True, database=None)
settings.load_profile("gatewright")


class RootIsCollectedAsAFolder:
    """Keep pytest from importing the repository's `__init__.py` as a module named like the folder it was cloned into.

    In a clone called `git` or `json` that module would stand in for the real one.
    """

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RootIsCollectedAsAFolder())


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> Iterator[None]:
    """Give the whole run a home, a git identity and a runtime folder of its own, and take them away at the end.

    The folder is made directly under /tmp, because the path of a unix socket ends at about a hundred bytes.
    """
    home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    (home / "run").mkdir(mode=0o700)
    (home / "gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n")
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(
        kept,
        HOME=str(home),
        XDG_RUNTIME_DIR=str(home / "run"),
        GIT_CONFIG_GLOBAL=str(home / "gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    yield
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(home, ignore_errors=True)
