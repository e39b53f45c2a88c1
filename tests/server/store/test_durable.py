"""What was acknowledged is on the disk: how the shipped programs open the database and start git.

Asked of a process of its own, because the tests' own hurries (see `conftest.py`).
"""

import subprocess
import sys
from pathlib import Path

OPENED = """
import sys
from pathlib import Path
from gatewright.server.store import open_store
store = open_store(Path(sys.argv[1]), create=True)
def settings(tx):
    return [tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "mmap_size")]
print(store.read(settings))
"""
STARTED = """
import sys
from pathlib import Path
from gatewright.gates.git import Git
print(Git(Path(sys.argv[1])).text("config", "core.fsync"))
"""


def said_by(program: str, folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    ).stdout


def test_a_commit_is_on_the_disk_when_it_returns_its_folder_included(tmp_path: Path) -> None:
    """`synchronous=EXTRA` is 3; a file mapped into memory could be written past the locks."""
    assert said_by(OPENED, tmp_path / "store") == "[3, 0]\n"


def test_what_git_writes_for_us_is_on_the_disk_when_it_ends(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path)], check=True)

    assert said_by(STARTED, tmp_path) == "all\n"
