"""Where a repository's server is met: its git common folder, its state folder, its socket, and who is at the other end.

Standard library only, and few modules of it: `_socket` in place of `socket` saves each start of a bridge about 10 ms.
The socket lies in the user's runtime folder, because socket paths end at about 100 bytes. A link in the repository's
state folder says where: clients of one repository start with different environments (codex passes no XDG_RUNTIME_DIR)
and must meet all the same.
"""

import _socket
import os
import stat
from collections.abc import Iterator

Socket = _socket.socket

STATE_FOLDER = "gatewright"
SOCKET_LINK = "server.sock"
LOCK_FILE = "server.lock"
PID_FILE = "server.pid"
LOG_FILE = "server.log"
SOCKET_PATH_BYTES_MAX = 100
PEER_CREDENTIALS_BYTES = 12
CONNECT_TIMEOUT_S = 5.0

_GIT_LINK_BYTES_MAX = 8_192
_SOCKET_NAME_BYTES = 24
_DARWIN_SOL_LOCAL = 0
_DARWIN_LOCAL_PEERCRED = 1
_DARWIN_XUCRED_BYTES = 76
_LINUX_SO_PEERCRED = 17


class NoServer(Exception):
    """The repository's server cannot be reached; `str()` says why and what to do. `is_final`: a retry is useless."""

    def __init__(self, sentence: str, *, is_final: bool = False) -> None:
        self.is_final = is_final
        super().__init__(sentence)


def find_common_dir(start: str) -> str:
    """Return the real path of the git common folder that `start` belongs to, the same for every linked worktree.

    Walks up as git does, without running git. GIT_DIR is not looked at: it leaks out of hooks, naming another one.
    Raises `NoServer` when there is no repository or the worktree's own folder is gone.
    """
    folder = os.path.realpath(start)
    if not os.path.isdir(folder):
        raise NoServer(
            f"There is no folder {start}: start gatewright with `--repo PATH` of a repository.", is_final=True
        )
    while True:
        dot_git = os.path.join(folder, ".git")
        if os.path.isfile(dot_git):
            return _common_dir_of(_linked_git_dir(dot_git))
        for candidate in (dot_git, folder):
            if _is_git_dir(candidate):
                return _common_dir_of(candidate)
        parent = os.path.dirname(folder)
        if parent == folder:
            raise NoServer(
                f"There is no git repository at {start} or above it: run `gatewright init` in a repository, "
                "or start gatewright with `--repo PATH`.",
                is_final=True,
            )
        folder = parent


def state_folder(common_dir: str) -> str:
    """The folder of the repository's own state, made (0700) if it is missing; raise `NoServer` if it cannot be."""
    folder = os.path.join(common_dir, STATE_FOLDER)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise NoServer(f"gatewright cannot keep its state in {folder}: {exc.strerror}.", is_final=True) from exc
    return folder


def open_socket(common_dir: str) -> Socket | None:
    """Connect to the repository's server; `None` when nobody listens (no link, stale socket, wrong user's socket)."""
    try:
        path = os.readlink(os.path.join(common_dir, STATE_FOLDER, SOCKET_LINK))
    except OSError:
        return None
    connection = Socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(CONNECT_TIMEOUT_S)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    # Whoever can write the link could point it at a socket of another user, who would then read every message.
    if peer_uid(connection) != os.geteuid():
        connection.close()
        return None
    return connection


def new_socket_path(common_dir: str) -> str:
    """The best path for the server's socket, in a folder that only this user can enter; `NoServer` if there is none."""
    return next(socket_paths(common_dir))


def socket_paths(common_dir: str) -> Iterator[str]:
    """Paths for the server's socket, best first, each short enough to bind, in a folder that only this user can enter.

    A place that cannot be had (full, read-only, somebody else's) is passed over. Raises `NoServer` when none can.
    """
    import hashlib  # only a server that starts needs it

    name = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:_SOCKET_NAME_BYTES]
    folders = [*_runtime_folders(), os.path.join(common_dir, STATE_FOLDER)]
    problem = None
    found = False
    for folder in folders:
        path = os.path.join(folder, name)
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
            continue
        try:
            make_private_folder(folder)
        except NoServer as exc:
            problem = problem or exc
            continue
        found = True
        yield path
    if not found:
        too_long = f"None of {', '.join(folders)} is short enough for a socket: set XDG_RUNTIME_DIR to a short folder."
        raise problem or NoServer(too_long)


def make_private_folder(folder: str) -> None:
    """Make `folder` for this user alone; raise `NoServer` if it exists and belongs to another user or is a link."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise NoServer(
                f"{folder} belongs to another user or is a link: "
                "remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
                is_final=True,
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(folder, 0o700)
    except OSError as exc:
        raise NoServer(f"{folder} cannot be used for the server's socket: {exc.strerror}.", is_final=True) from exc


def peer_uid(connection: Socket) -> int | None:
    """The user at the other end of a unix socket, as the kernel says; `None` where it cannot say."""
    try:
        if os.uname().sysname == "Darwin":
            xucred = connection.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_XUCRED_BYTES)
            return _native_int(xucred[4:8])
        return _native_int(connection.getsockopt(_socket.SOL_SOCKET, _LINUX_SO_PEERCRED, PEER_CREDENTIALS_BYTES)[4:8])
    except OSError:
        return None


def _native_int(data: bytes) -> int:
    import sys

    return int.from_bytes(data, sys.byteorder)


def _runtime_folders() -> list[str]:
    """Candidates, best first. A runtime folder that is not ours (su, sudo -E) is passed over."""
    folders = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime) and os.stat(runtime).st_uid == os.geteuid():
        folders.append(os.path.join(runtime, "gatewright"))
    # The folder that is made there is private, and refused when it is somebody else's.
    temporary = (os.environ.get("TMPDIR", ""), "/tmp")  # noqa: S108 - only as the place of a private folder
    folders.extend(os.path.join(at, f"gatewright-{os.geteuid()}") for at in temporary if os.path.isabs(at))
    return folders


def _is_git_dir(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "HEAD")) and (
        os.path.isfile(os.path.join(folder, "commondir"))
        or (os.path.isdir(os.path.join(folder, "objects")) and os.path.isdir(os.path.join(folder, "refs")))
    )


def _linked_git_dir(dot_git: str) -> str:
    """The folder that a `.git` *file* (linked worktree, submodule) names."""
    content = _read_link_file(dot_git)
    git_dir = os.path.join(os.path.dirname(dot_git), content.removeprefix("gitdir:").strip())
    if not content.startswith("gitdir:") or not _is_git_dir(git_dir):
        raise NoServer(
            f"{dot_git} names a git folder that does not exist: run `git worktree repair`, "
            "or start gatewright with `--repo PATH`.",
            is_final=True,
        )
    return git_dir


def _common_dir_of(git_dir: str) -> str:
    commondir = os.path.join(git_dir, "commondir")
    if not os.path.isfile(commondir):
        return os.path.realpath(git_dir)
    return os.path.realpath(os.path.join(git_dir, _read_link_file(commondir)))


def _read_link_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(_GIT_LINK_BYTES_MAX)).strip()
    except OSError as exc:
        raise NoServer(f"{path} cannot be read: {exc.strerror}.", is_final=True) from exc
