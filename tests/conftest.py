"""What every test stands on: no setting, credential or running server of the person at the machine reaches it."""

import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Pool, event

from gatewright.gates import git

ROOT = Path(__file__).resolve().parent.parent
LEAVE_WITHIN_S = 5.0

# What a test keeps of the caller's environment; PIP_* and certificates only let package tools find what is installed.
KEPT = ("PATH", "TERM", "TMPDIR", "CI", "LANG", "VIRTUAL_ENV", "PIP_", "SSL_CERT_", "PYTEST_", "PYTHONUNBUFFERED")

GIT_CONFIG = """\
[user]
name = Ada
email = ada@example.org
[init]
defaultBranch = main
[core]
fsync = none
"""

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
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it runs in the background so, and every program of a test would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> Iterator[None]:
    """Give the whole run a home, a git identity and a runtime folder of its own, and take them away at the end.

    The folder is made directly under /tmp, because the path of a unix socket ends at about a hundred bytes. A program
    that outlives the run, such as a server that no test stopped, is an error.
    """
    home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    (home / "run").mkdir(mode=0o700)
    (home / "gitconfig").write_text(GIT_CONFIG)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(
        {name: value for name, value in before.items() if name.startswith(KEPT)},
        HOME=str(home),
        XDG_RUNTIME_DIR=str(home / "run"),
        GIT_CONFIG_GLOBAL=str(home / "gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        PYTHONDONTWRITEBYTECODE="1",
        GATEWRIGHT_TEST_RUN=home.name,
    )
    yield
    left_running = _stop_what_is_left(f"GATEWRIGHT_TEST_RUN={home.name}")
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(home, ignore_errors=True)
    assert not left_running, f"tests left running: {left_running}"


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """Let nothing in this process wait until the disk has what it wrote: no test pulls the plug.

    It would be a quarter of the run. Servers and runners that a test starts as programs are durable as shipped.
    """

    def hurry(connection: object, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF").close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(git, "NEUTRAL_CONFIG", {**git.NEUTRAL_CONFIG, "core.fsync": "none"})
        event.listen(Pool, "checkout", hurry)
        yield
        event.remove(Pool, "checkout", hurry)


def _stop_what_is_left(mark: str) -> dict[int, str]:
    """Kill the programs whose environment carries `mark` and return their command lines by process id.

    Those that are about to end get LEAVE_WITHIN_S. Where there is no /proc nothing is found.
    """
    deadline = time.monotonic() + LEAVE_WITHIN_S
    while (left := _programs_with(mark.encode())) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process_id in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    return left


def _programs_with(mark: bytes) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # A process of somebody else, or one that has just ended.
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
    return found
