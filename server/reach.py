"""Reach the repository's server, starting one when there is none: shared by the bridge and the command line.

At any time at most one server starts: its starter holds a lock and hands the lock's open file to the new process,
which lets go of it when it listens. So a starter that is killed half-way leaves no second start behind.
"""

import os
import select
import sys
import time
from collections.abc import Mapping, Sequence

from .. import __version__
from .lines import LineSplitter, Oversized, message_line, parse_message
from .rendezvous import LOCK_FILE, LOG_FILE, PID_FILE, STATE_FOLDER, NoServer, Socket, open_socket, state_folder

GREETING_VERSION = 1
GREETING_TIMEOUT_S = 10.0
START_TIMEOUT_S = 60.0
RETRY_WITHIN_S = 30.0
LOCK_POLL_S = 0.02
RETRY_DELAYS_S = (0.0, 0.1, 0.5, 2.0, 5.0)
LOG_BYTES_MAX = 4 * 1024 * 1024
READ_BYTES = 65_536

# -E and -P: neither PYTHON* variables nor the working folder decide what the server imports, so that no module of a
# project can slip into it. -I would also leave out the user's own site folder, where gatewright may be installed.
SERVER_COMMAND = (sys.executable, "-E", "-P", "-m", "gatewright", "server-process")

# The server outlives the client that happened to start it. It gets what it and `setup` need, and no client's API keys.
ENVIRONMENT_NAMES = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TMPDIR TZ CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS".split()
)
ENVIRONMENT_PREFIXES = ("LC_", "XDG_", "PIP_", "UV_", "NPM_CONFIG_", "SSL_", "GATEWRIGHT_")
ENVIRONMENT_SUFFIXES = ("_PROXY",)
ENVIRONMENT_NEVER = ("UV_PUBLISH_",)


class Greeting:
    """Who calls: sent as the first line of every connection, the same across reconnections."""

    def __init__(self, common_dir: str, *, connection: str, kind: str = "stdio", version: str = __version__) -> None:
        self.common_dir = common_dir
        self.connection = connection
        self.kind = kind
        self.version = version

    def line(self) -> bytes:
        """The hello as it travels."""
        return message_line(
            {
                "gatewright": GREETING_VERSION,
                "version": self.version,
                "connection": self.connection,
                "kind": self.kind,
                "common_dir": self.common_dir,
            }
        )


def reach_server(greeting: Greeting, command: Sequence[str] = SERVER_COMMAND) -> Socket:
    """Return a connection on which the server has accepted `greeting`, starting the server if need be.

    Tries again for RETRY_WITHIN_S seconds, then raises `NoServer` with the last problem.
    """
    problem = NoServer("The server of this repository cannot be reached.")
    deadline = time.monotonic() + RETRY_WITHIN_S
    for delay_s in RETRY_DELAYS_S:
        time.sleep(delay_s)
        if time.monotonic() > deadline:
            break
        try:
            connection = _greet(greeting) or _start_and_greet(greeting, command)
        except NoServer as exc:
            if exc.is_final:
                raise
            problem = exc
            continue
        if connection is not None:
            return connection
    raise problem


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of a client's environment that the server gets: an allow-list, so that unknown secrets stay out."""
    return {name: value for name, value in environment.items() if _may_pass(name)}


def older(version: str, than: str) -> bool:
    """Whether a release is older. Only newer ones replace a server, or two installations would do so in turn."""
    return _numbers(version) < _numbers(than)


def _greet(greeting: Greeting) -> Socket | None:
    """A greeted connection; `None` when there is no server, or none that serves this repository and this version."""
    connection = open_socket(greeting.common_dir)
    if connection is None:
        return None
    answer = _ask(connection, greeting)
    if answer is None:
        connection.close()
        return None
    version = str(answer.get("version", ""))
    if answer.get("ok") is True and not older(version, greeting.version):
        connection.settimeout(None)
        return connection
    connection.close()
    if answer.get("ok") is True:
        # An older one. It makes room by itself once a newer has taken its place, and stays if none comes up.
        return None
    if answer.get("elsewhere") is True or answer.get("leaving") is True:
        return None
    raise NoServer(str(answer.get("problem", "The server refused the connection.")))


def _ask(connection: Socket, greeting: Greeting) -> dict[str, object] | None:
    """Greet and read the answer; `None` when the server went away in between, as a leaving one does."""
    connection.settimeout(GREETING_TIMEOUT_S)
    splitter = LineSplitter()
    try:
        connection.sendall(greeting.line())
        while data := connection.recv(READ_BYTES):
            for answer in splitter.feed(data):
                return None if isinstance(answer, Oversized) else parse_message(answer)
    except TimeoutError as exc:
        raise NoServer(
            f"The server of this repository has not answered for {GREETING_TIMEOUT_S:.0f} s: end the process "
            f"that {os.path.join(greeting.common_dir, STATE_FOLDER, PID_FILE)} names, then try again."
        ) from exc
    except (OSError, ValueError):
        return None
    return None


def _start_and_greet(greeting: Greeting, command: Sequence[str]) -> Socket | None:
    folder = state_folder(greeting.common_dir)
    lock = _above_standard(_open_lock(os.path.join(folder, LOCK_FILE)))
    try:
        # Somebody else may start one while this process waits for the lock.
        if (connection := _await_lock(lock, greeting) or _greet(greeting)) is not None:
            return connection
        ready = _spawn([*command, "--common-dir", greeting.common_dir], folder, lock)
    finally:
        os.close(lock)
    try:
        _await_ready(ready, os.path.join(folder, LOG_FILE))
    finally:
        os.close(ready)
    return _greet(greeting)


def _open_lock(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise NoServer(f"{path} cannot be opened: {exc.strerror}.", is_final=True) from exc


def _await_lock(lock: int, greeting: Greeting) -> Socket | None:
    """Take the lock and return `None`, or a connection as soon as whoever has the lock has brought a server up."""
    import fcntl

    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise NoServer(f"Another start of the server has taken more than {START_TIMEOUT_S:.0f} s.") from None
        time.sleep(LOCK_POLL_S)
        if (connection := _greet(greeting)) is not None:
            return connection


def _spawn(command: Sequence[str], folder: str, lock: int) -> int:
    """Start the server with the lock as its input, a pipe for its readiness as output; return the pipe's reading end.

    What is started forks and ends at once, so that the server is nobody's child: clients that end a whole process tree
    do not find it, and no zombie of it stays with the bridge.
    """
    log = _above_standard(_open_log(os.path.join(folder, LOG_FILE)))
    ready, ready_write = (_above_standard(end) for end in os.pipe())
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate((lock, ready_write, log))]
    try:
        child = os.posix_spawn(command[0], list(command), server_environment(os.environ), file_actions=actions)
    except OSError as exc:
        os.close(ready)
        raise NoServer(f"The server cannot be started with {command[0]}: {exc.strerror}.", is_final=True) from exc
    finally:
        os.close(log)
        os.close(ready_write)
    _reap(child)
    return ready


def _await_ready(ready: int, log: str) -> None:
    """Wait until the server says that it listens; raise `NoServer` with its own sentence when it says why it cannot."""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    deadline = time.monotonic() + START_TIMEOUT_S
    said = b""
    while not said.endswith(b"\n"):
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise NoServer(f"The server has not come up within {START_TIMEOUT_S:.0f} s: see {log}.")
        data = os.read(ready, READ_BYTES)
        if not data:
            raise NoServer(f"The server ended while it started: see {log}.")
        said += data
    answer = parse_message(said)
    if answer.get("ok") is not True:
        raise NoServer(str(answer.get("problem")), is_final=True)


def _open_log(path: str) -> int:
    try:
        if os.path.exists(path) and os.path.getsize(path) > LOG_BYTES_MAX:
            os.replace(path, f"{path}.1")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise NoServer(f"{path} cannot be written: {exc.strerror}.", is_final=True) from exc


def _above_standard(descriptor: int) -> int:
    """Move a descriptor out of 0 to 2, where it lands when a client closed its standard streams."""
    if descriptor > 2:
        return descriptor
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _reap(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass  # the client set SIGCHLD to be ignored: the kernel has reaped it


def _may_pass(name: str) -> bool:
    upper = name.upper()
    allowed = (
        upper in ENVIRONMENT_NAMES or upper.startswith(ENVIRONMENT_PREFIXES) or upper.endswith(ENVIRONMENT_SUFFIXES)
    )
    return allowed and not upper.startswith(ENVIRONMENT_NEVER)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
