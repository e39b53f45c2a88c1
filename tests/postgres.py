"""A throw-away PostgreSQL for tests: one server for each run, and each worker of it, in a temporary folder.

    @pytest.fixture
    def store(database_url: str) -> ...:

`database_url` is a database with an empty store of ours, shared by the tests of a worker and emptied between them;
`new_database_url` is an empty database of the test's own. Where there is no PostgreSQL the tests are skipped, except
in CI.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from gatewright.server.store import create_database

WITHIN_S = 60.0
LOOK_EVERY_S = 0.02
USER = "gatewright"
# Nothing here is to survive a crash of the machine; what is to survive one of the server does.
QUICK = "fsync=off full_page_writes=off shared_buffers=16MB autovacuum=off deadlock_timeout=50ms".split()
DURABLE: list[str] = []


# The one server, and once more for each of its users.
_sharing: list["Cluster"] = []


def find_programs() -> Path | None:
    """The folder with `initdb` and `postgres`; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


@dataclass
class Cluster:
    """One server of PostgreSQL with its data; `start` and `stop` as often as wanted.

    It is reached by a socket in the folder, and at the addresses in `listen`.
    """

    programs: Path
    folder: Path
    settings: Sequence[str]
    port: int | None = None
    listen: str = ""
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _made: int = 0

    def url(self, name: str = "postgres") -> str:
        port = "" if self.port is None else f"&port={self.port}"
        return f"postgresql://{USER}@/{name}?host={self.folder}{port}"

    def make(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.folder, *_other_user())
        made = ["initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        # The language must not matter; where there is another one it is tried.
        made += ["--locale=C.UTF-8", "--no-instructions"]
        subprocess.run(self._as_other_user(made), check=True, stdout=subprocess.DEVNULL, timeout=WITHIN_S, cwd="/")

    def start(self) -> None:
        given = [*self.settings, f"unix_socket_directories={self.folder}", f"listen_addresses={self.listen}"]
        given += ["logging_collector=off"]
        if self.port is not None:
            given += [f"port={self.port}", "listen_addresses=127.0.0.1"]
        command = ["postgres", "-D", str(self.folder / "data"), *(f"--{setting}" for setting in given)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._as_other_user(command), stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(LOOK_EVERY_S)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: by default at once and without cleaning up, as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(WITHIN_S)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def new_database(self, template: str = "template0") -> str:
        """The name of a database that nobody else has."""
        self._made += 1
        name = f"d{self._made}"
        self.do(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def do(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _as_other_user(self, command: list[str]) -> list[str]:
        """PostgreSQL refuses to run as root; and it is to end with the tests, however they do."""
        command = [str(self.programs / command[0]), *command[1:]]
        if (setpriv := shutil.which("setpriv")) is None:
            assert os.geteuid() != 0, "PostgreSQL needs another user than root, and setpriv to become one"
            return command
        user, group = _other_user()
        become = [f"--reuid={user}", f"--regid={group}", "--clear-groups"] if os.geteuid() == 0 else []
        return [setpriv, *become, "--pdeathsig=INT", *command]


def new_cluster(settings: Sequence[str], *, port: int | None = None) -> Cluster:
    """A server that is running; the caller stops it and removes its folder (`remove`)."""
    programs = find_programs()
    if programs is None and os.environ.get("CI") != "true":
        pytest.skip("there is no PostgreSQL here (initdb, postgres)")
    assert programs is not None, "CI tests with PostgreSQL"
    # Not below pytest's folder: nobody but its owner may enter that, and the path of a socket is short.
    cluster = Cluster(programs, Path(tempfile.mkdtemp(prefix="gw-pg-")), settings, port)
    cluster.make()
    cluster.start()
    return cluster


def remove(cluster: Cluster) -> None:
    cluster.stop()
    shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The server that the tests of a worker share, whichever modules import this fixture.

    Whoever stops it starts it again; whoever fills its disk takes one of their own (`new_cluster`).
    """
    if not _sharing:
        _sharing.append(new_cluster(QUICK))
    cluster = _sharing[0]
    _sharing.append(cluster)
    try:
        yield cluster
    finally:
        _sharing.pop()
        if _sharing == [cluster]:
            _sharing.clear()
            remove(cluster)


@pytest.fixture(scope="session")
def _emptied_database(postgres: Cluster) -> str:
    url = postgres.url(postgres.new_database())
    create_database(url)
    return url


@pytest.fixture
def database_url(_emptied_database: str) -> str:
    """A database with an empty store."""
    empty(_emptied_database)
    return _emptied_database


@pytest.fixture
def new_database_url(postgres: Cluster) -> Iterator[str]:
    """An empty database without a store."""
    name = postgres.new_database()
    yield postgres.url(name)
    with suppress(psycopg.OperationalError):
        postgres.do(f"DROP DATABASE {name} WITH (FORCE)")


def empty(url: str) -> None:
    """As it was when it was made, with the same secret; whoever is still connected is thrown out."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # The triggers that keep history are not fired by a replica.
        connection.execute("SET session_replication_role = replica")
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'gatewright'").fetchall()
        for (table,) in tables:
            kept = "WHERE name NOT IN ('schema_version', 'position_origin', 'secret')" if table == "meta" else ""
            connection.execute(f"DELETE FROM gatewright.{table} {kept}".encode())


def _other_user() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise AssertionError("no user but root can run PostgreSQL here")
