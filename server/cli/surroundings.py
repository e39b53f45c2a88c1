"""What gatewright stands on at this machine: one line each, good or bad."""

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.git import PROGRAM, Git
from ...gates.repository import GIT_VERSION_MIN, SharedRepository
from ..rendezvous import NoServer, new_socket_path, open_socket

if TYPE_CHECKING:
    from ..store import Store

PYTHON_VERSION_MIN = (3, 11)
FREE_BYTES_MIN = 1_000_000_000
MOUNTS = Path("/proc/mounts")
# SQLite's locks do not hold on them.
NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "fuse.sshfs", "fuse.glusterfs")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at. `is_good` None: worth knowing, neither good nor bad. `mend`: what to do then."""

    name: str
    is_good: bool | None
    text: str
    mend: str = ""


def look_around(repository: SharedRepository) -> Iterator[Item]:
    """What there is before any store: programs, folders."""
    version = Git(repository.common_dir).text("version").removeprefix("git version ")
    yield Item("git", True, f"{version} at {PROGRAM} (at least {'.'.join(map(str, GIT_VERSION_MIN))})")
    yield Item("python", sys.version_info >= PYTHON_VERSION_MIN, f"{platform.python_version()} at {sys.executable}")
    yield Item("sqlite", True, f"{sqlite3.sqlite_version}, {_journal()}")
    yield _socket_item(repository)
    yield _isolation_item()
    free = shutil.disk_usage(repository.common_dir).free
    yield Item("disk", free >= FREE_BYTES_MIN, f"{free / 1e9:.1f} GB free at {repository.common_dir}")


def look_at_store(repository: SharedRepository, store: "Store") -> Iterator[Item]:
    """The store: whole, writable, and on a file system whose locks hold."""
    path = Path(store.place)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        checked = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    yield Item("store", checked == "ok", f"{path}: {'whole' if checked == 'ok' else checked}")
    if not os.access(path, os.W_OK):
        yield Item("store", False, f"{path} is not writable")
    kind = file_system_of(repository.state_dir)
    if kind is not None:
        is_local = not kind.startswith(NETWORK_FILE_SYSTEMS)
        yield Item(
            "file system", is_local, kind if is_local else f"{kind} is a network file system: locks may not hold"
        )


def file_system_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that the folder lies on; None where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found = [(point.replace("\\040", " "), kind) for _, point, kind, *_ in map(str.split, lines)]
    around = [(point, kind) for point, kind in found if folder.is_relative_to(point)]
    return max(around, key=lambda mount: len(mount[0]))[1] if around else None


def _isolation_item() -> Item:
    import anyio

    from ...gates.sandbox import ABOUT, choose

    choice = anyio.run(choose)
    missed = " ".join(f"Not '{level}': {why}" for level, why in choice.unreached.items())
    text = f"{choice.level}: {ABOUT[choice.level]}. {missed}".strip()
    return Item("isolation", True if choice.level == "full" else None, text)


def _journal() -> str:
    from ..store.sqlite import WAL_SINCE

    if sqlite3.sqlite_version_info >= WAL_SINCE:
        return "write-ahead log"
    return f"rollback journal (the faster write-ahead log needs {'.'.join(map(str, WAL_SINCE))})"


def _socket_item(repository: SharedRepository) -> Item:
    connection = open_socket(str(repository.common_dir))
    if connection is not None:
        connection.close()
        return Item("server", True, "running")
    try:
        place = Path(new_socket_path(str(repository.common_dir)))
    except NoServer as exc:
        return Item("server", False, str(exc))
    return Item("server", True, f"not running; it starts when it is needed, at {place}")
