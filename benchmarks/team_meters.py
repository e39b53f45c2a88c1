"""What is counted for bench_team.py: what PostgreSQL did, what went to and from git's remote, processors, memory."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")
CHUNK = 65_536
BOUNDS = "query ~* '^(begin|commit|rollback)'"
WITHIN_S = 60.0
PROCESSES = ("server", "worker", "PostgreSQL")
EXCHANGES = ("looks", "fetches", "pushes")
COLUMNS = ("stmts", "commits", "db ms", "log KiB", "srv ms", "wrk ms", "pg ms")
EXCHANGED = "  looks/fetches/pushes and KiB of server, worker, agents"
HEADER = "".join([f"{'for one change':30}", *(f"{name:>9}" for name in COLUMNS), EXCHANGED])


@dataclass(frozen=True)
class Reading:
    """Everything at one moment; of each number the difference counts."""

    at: float
    numbers: dict[str, float]

    @classmethod
    def now(cls, database: "Database", processors: dict[str, float], git: dict[str, dict[str, int]]) -> "Reading":
        numbers = {**database.counted(), **{f"cpu of {who}": 1e3 * used for who, used in processors.items()}}
        numbers |= {f"{what} of {who}": float(count) for who, counts in git.items() for what, count in counts.items()}
        return cls(time.monotonic(), numbers)


@dataclass(frozen=True)
class Rates:
    """What is done in a second; milliseconds of processors and of the database among it."""

    numbers: dict[str, float]

    @classmethod
    def between(cls, begun: Reading, ended: Reading) -> "Rates":
        took_s = ended.at - begun.at
        return cls({name: (value - begun.numbers[name]) / took_s for name, value in ended.numbers.items()})

    def less(self, other: "Rates") -> "Rates":
        return Rates({name: value - other.numbers[name] for name, value in self.numbers.items()})

    def for_s(self, seconds: float) -> dict[str, float]:
        """How much it is in so long."""
        return {name: value * seconds for name, value in self.numbers.items()}

    def told(self, name: str) -> str:
        found = self.numbers
        looks = found["looks of server"] + found["looks of worker"]
        processors = ", ".join(f"{who} {found[f'cpu of {who}']:.1f}" for who in PROCESSES)
        return (
            f"{name}, each second: {found['statements']:.1f} statements, {found['commits']:.2f} commits, "
            f"{found['database ms']:.2f} ms in the database, {found['log'] / 1024:.2f} KiB of log, "
            f"{looks:.2f} looks at the remote; ms of processors: {processors}"
        )


@dataclass(frozen=True)
class Costs:
    """What one step of one change costs."""

    numbers: dict[str, float]

    @classmethod
    def none(cls) -> "Costs":
        return cls({})

    @classmethod
    def between(cls, begun: Reading, ended: Reading, idle: Rates, changes: int) -> "Costs":
        besides = idle.for_s(ended.at - begun.at)
        return cls(
            {name: (value - begun.numbers[name] - besides[name]) / changes for name, value in ended.numbers.items()}
        )

    def plus(self, other: "Costs") -> "Costs":
        return Costs({name: self.numbers.get(name, 0.0) + value for name, value in other.numbers.items()})

    def told(self, name: str) -> str:
        found = self.numbers
        cells = [found["statements"], found["commits"], found["database ms"], found["log"] / 1024]
        cells += [found[f"cpu of {who}"] for who in PROCESSES]
        exchanges = "  ".join(
            "/".join(f"{found[f'{what} of {who}']:.1f}" for what in EXCHANGES)
            + f" {found[f'bytes of {who}'] / 1024:5.1f}"
            for who in ("server", "worker", "agents")
        )
        return f"{name:30}" + "".join(f"{cell:9.1f}" for cell in cells) + f"  {exchanges}"


class Database:
    """What its clients had it do, by pg_stat_statements, which counts at once and leaves out what it does by itself."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.ask("CREATE EXTENSION pg_stat_statements")
        # What this connection asks stays out of it.
        self.ask("SET pg_stat_statements.track = none")

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        cursor = self._connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def number(self, statement: str) -> float:
        ((found,),) = self.ask(statement)
        return float(str(found or 0))

    def counted(self) -> dict[str, float]:
        """Statements without those that bound transactions, commits, milliseconds in the database, bytes of log."""
        here = "WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        return {
            "statements": self.number(f"SELECT sum(calls) FROM pg_stat_statements {here} AND NOT {BOUNDS}"),
            "commits": self.number(f"SELECT sum(calls) FROM pg_stat_statements {here} AND query ~* '^commit'"),
            "database ms": self.number(f"SELECT sum(total_exec_time) FROM pg_stat_statements {here}"),
            "log": self.number(f"SELECT sum(wal_bytes) FROM pg_stat_statements {here}"),
        }

    def stored(self) -> dict[str, tuple[int, int]]:
        """Rows of each table, and bytes of its rows as they are kept."""
        names = [str(name) for (name,) in self.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'gatewright'")]
        found = {}
        for name in sorted(names):
            ((rows, size),) = self.ask(
                f"SELECT count(*), coalesce(sum(pg_column_size(t.*)), 0) FROM gatewright.{name} t"
            )
            found[name] = (int(str(rows)), int(str(size)))
        return found

    def close(self) -> None:
        self._connection.close()


@dataclass
class Relay:
    """A door to the git daemon for one kind of process, which counts what goes through it."""

    daemon_port: int
    repository: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("looks", "fetches", "pushes", "bytes"), 0))

    def __post_init__(self) -> None:
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"git://127.0.0.1:{self.port}/{self.repository}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._exchange, args=(client,), daemon=True).start()

    def _exchange(self, client: socket.socket) -> None:
        asked = bytearray()
        with client, socket.create_connection(("127.0.0.1", self.daemon_port)) as daemon:
            back = threading.Thread(target=self._pass_on, args=(daemon, client, None), daemon=True)
            back.start()
            self._pass_on(client, daemon, asked)
            back.join()
        kind = "pushes" if b"git-receive-pack" in asked[:100] else "fetches" if b"command=fetch" in asked else "looks"
        with self._guard:
            self.counts[kind] += 1

    def _pass_on(self, source: socket.socket, sink: socket.socket, seen: bytearray | None) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                with self._guard:
                    self.counts["bytes"] += len(data)
                if seen is not None:
                    seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Daemon:
    """git's own server of a folder, on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        # The program itself: `git daemon` starts it, and ends without it.
        home = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip()
        options = ["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", f"--port={self.port}"]
        program = str(Path(home) / "git-daemon")
        self._process = subprocess.Popen([program, *options, f"--base-path={folder}", str(folder)])
        wait_until(self._listens, folder)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


def cpu_s(root: int) -> float:
    """Seconds of processor of a process and all its descendants, those that it waited for included."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                used[int(folder.name)] = sum(map(int, fields[11:15])) / TICKS
    return sum(seconds for pid, seconds in used.items() if _is_below(pid, root, parents))


def memory_mb(pid: int) -> float:
    """Resident memory of one process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def folder_bytes(folder: Path) -> int:
    """Of all files in it; what goes away meanwhile counts nothing."""
    found = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            found += path.lstat().st_size
    return found


def wait_until(is_so: Callable[[], bool], log: Path) -> None:
    """Until something is said; `log` tells why not."""
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid not in (0, 1):
        if pid == root:
            return True
        pid = parents.get(pid, 0)
    return False
