"""What stands on the hosts: PostgreSQL, the git remote, servers, workers; each is started again when it was killed."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof
from gatewright.server.store import create_database, open_database

from ..chaos.truth import Truth, truth_of
from ..chaos.world import PIPELINE, SHARED, World
from ..postgres import QUICK, USER, find_programs
from .network import Network
from .programs import Database, Service, kill

DATABASE, REMOTE = "database", "remote"
SERVERS = ("server1", "server2")
WORKERS = ("worker1", "worker2", "worker3")
AGENTS = ("ada", "bob", "cleo", "dan", "eve", "fay")
CALM_AGENTS = ("ivy", "jan", "kim")
HOSTS = (DATABASE, REMOTE, *SERVERS, *WORKERS, *AGENTS)
PORT = 8765
WORKER_ROLE = "gatewright_worker"
REMOTE_BYTES = 60_000_000
DRAIN_S = 20
SLOTS = 2
# So that gates are under way when something happens to their worker.
GATE_S = 1
# As long as systemd would wait, about.
RESTART_AFTER_S = 1.0
LOOK_EVERY_S = 0.1
READY_WITHIN_S = 90.0
END_WITHIN_S = 40.0
ASK_WITHIN_S = 300.0
GATEWRIGHT = (sys.executable, "-P", "-m", "gatewright")
HOOK = "hooks/pre-receive"


class Site(World):
    """A world of several hosts. `project` is the remote itself, a bare repository on a small disk."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.project = self.disk / "shared.git"
        self.network = Network(HOSTS)
        self.tokens: dict[str, str] = {}
        self.is_over = threading.Event()
        programs = find_programs()
        assert programs is not None, "there is no PostgreSQL here (initdb, postgres)"
        self.database = Database(
            programs,
            root / "postgres",
            [*QUICK, "max_connections=100"],
            listen=self.network.address_of[DATABASE],
            enter=self.network.on(DATABASE, []),
        )
        self.services: dict[str, Service] = {}
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @property
    def remote_url(self) -> str:
        return f"git://{self.network.address_of[REMOTE]}/{self.project.name}"

    @property
    def certificate(self) -> Path:
        return self.root / "certificate.pem"

    def server_url(self, name: str) -> str:
        return f"https://{self.network.address_of[name]}:{PORT}/mcp"

    def database_url(self, role: str = USER) -> str:
        return f"postgresql://{role}@{self.network.address_of[DATABASE]}/{USER}"

    def environment_of_people(self) -> dict[str, str]:
        """What makes a command one about this team."""
        return {
            **self.environment(),
            "GATEWRIGHT_DATABASE_URL": self.database_url(),
            "GATEWRIGHT_REMOTE": self.remote_url,
            "GATEWRIGHT_STATE": str(self.root / "person"),
        }

    def make(self) -> None:
        """Make everything, and return when both servers are ready; raises `AssertionError` when they never are."""
        for folder in (self.disk, self.journals, self.root / "tmp", self.database.folder):
            folder.mkdir(parents=True)
        self.network.make()
        self.run("mount", "-t", "tmpfs", "-o", f"size={REMOTE_BYTES}", "tmpfs", str(self.disk), at=self.root)
        self._make_remote()
        self._make_database()
        self._make_certificate()
        self._plan()
        self._keeper.start()
        self._await_servers()

    def ask(self, *words: str) -> str:
        """What a command of people's says about the team, and on a line of its own how it ended."""
        done = subprocess.run(
            [*GATEWRIGHT, *words],
            cwd=self.root,
            env=self.environment_of_people(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_WITHIN_S,
            check=False,
        )
        return f"{done.stdout}{done.stderr}\n{done.returncode}"

    def run(self, *command: str, stdin: str = "", expected: Sequence[int] = (0,), at: Path | None = None) -> str:
        if at is None:
            return super().run(*command, stdin=stdin, expected=expected)
        done = subprocess.run(command, cwd=at, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode in expected, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def hook(self, script: str | None) -> None:
        """What the remote runs before it takes a push; None: nothing."""
        place = self.project / HOOK
        if script is None:
            place.unlink(missing_ok=True)
            return
        new = self.root / "hook"
        new.write_text(f"#!/bin/sh\n{script}\n")
        new.chmod(0o755)
        with suppress(OSError):  # a disk that is full has no hook either
            place.symlink_to(new)

    def truth(self) -> Truth:
        """The whole store, read at once."""
        with closing(open_database(self.database.url(USER))) as store:
            return store.read(truth_of)

    def end(self) -> list[str]:
        """Tell servers and workers to end; what is wrong with how they did."""
        self.is_over.set()
        self._keeper.join()
        ours = [self.services[name] for name in (*SERVERS, *WORKERS)]
        for service in ours:
            if service.process is not None:
                service.process.send_signal(signal.SIGTERM)
        problems = []
        for service in ours:
            try:
                status = service.process.wait(END_WITHIN_S) if service.process is not None else 0
            except subprocess.TimeoutExpired:
                status = -1
            if status:
                problems.append(f"{service.name} was told to end, and did so with {status}")
        kill(self.services[REMOTE])
        return problems

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        try:
            with psycopg.connect(self.database.url(USER), connect_timeout=5) as connection:
                connection.execute("SET search_path = gatewright")
                return list(connection.execute(query.encode()).fetchall())
        except psycopg.Error:
            return []

    def _make_remote(self) -> None:
        first = self.root / "first"
        first.mkdir()
        (first / "gatewright.yaml").write_text(PIPELINE.replace('run: "', f'run: "sleep {GATE_S} && '))
        (first / SHARED).write_text("Everybody writes here.\n")
        self.run("git", "init", "-q", "--bare", "-b", "main", str(self.project), at=self.root)
        for hook in (self.project / "hooks").iterdir():
            hook.unlink()
        for command in ("init -q -b main", "add --all", "commit -q -m Begin", f"push -q {self.project} main"):
            self.run("git", *command.split(), at=first)

    def _make_database(self) -> None:
        self.database.make()
        self.database.start()
        self.database.do(f"CREATE DATABASE {USER} TEMPLATE template0")
        self.database.do(f"CREATE ROLE {WORKER_ROLE} LOGIN")
        create_database(self.database.url(USER), worker_role=WORKER_ROLE)
        now, by = datetime.now(UTC), Person("ann", Proof.WORD)
        scopes, lifetime = frozenset({Scope.WORK, Scope.REVIEW}), timedelta(days=1)
        with closing(open_database(self.database.url(USER))) as store:
            for name in (*AGENTS, *CALM_AGENTS):
                token = self.tokens[name] = tokens.new_token()
                store.run(
                    lambda tx, token=token, name=name: tokens.issue(  # type: ignore[misc]  # called at once
                        tx, token, subject=name, scopes=scopes, lifetime=lifetime, by=by, now=now
                    )
                )

    def _make_certificate(self) -> None:
        names = ",".join(f"IP:{self.network.address_of[name]}" for name in SERVERS)
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gates"
        key = ("-keyout", "key.pem", "-out", self.certificate.name, "-addext", f"subjectAltName={names}")
        self.run(*words.split(), *key, at=self.root)

    def _plan(self) -> None:
        """What is to run, and where."""
        address = self.network.address_of
        # Not `git daemon`, which starts this one and can be killed without it.
        programs = self.run("git", "--exec-path", at=self.root)
        daemon = f"{programs}/git-daemon --reuseaddr --export-all --enable=receive-pack --listen={address[REMOTE]}"
        daemon += f" --timeout=30 --max-connections=64 --base-path={self.disk}"
        self._add(REMOTE, None, *daemon.split())
        tls = ("--tls-cert", str(self.certificate), "--tls-key", str(self.root / "key.pem"))
        for name in SERVERS:
            url = self.server_url(name).removesuffix("/mcp")
            where = ("--listen", f"{address[name]}:{PORT}", "--public-url", url, *tls)
            self._add(name, USER, *GATEWRIGHT, "serve", *self._shared(name), *where)
        for name in WORKERS:
            self._add(name, WORKER_ROLE, *GATEWRIGHT, "worker", *self._shared(name), "--slots", str(SLOTS))

    def _shared(self, name: str) -> tuple[str, ...]:
        return ("--remote", self.remote_url, "--state", str(self.root / name), "--drain", str(DRAIN_S))

    def _add(self, name: str, role: str | None, *command: str) -> None:
        environment = self.environment()
        if role is not None:
            environment["GATEWRIGHT_DATABASE_URL"] = self.database_url(role)
        folder = None if role is None else self.root / name
        self.services[name] = Service(name, self.network.on(name, command), environment, folder)

    def _keep(self) -> None:
        while not self.is_over.wait(LOOK_EVERY_S):
            for service in self.services.values():
                if service.is_running:
                    continue
                now = time.monotonic()
                if service.process is not None:
                    service.ends[service.process.returncode] += 1
                    service.process = None
                    service.not_before = max(service.not_before, now + RESTART_AFTER_S)
                if now >= service.not_before:
                    with (self.root / f"{service.name}.log").open("ab") as log:
                        service.process = subprocess.Popen(
                            service.command,
                            cwd=self.root,
                            env=service.environment,
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            start_new_session=True,
                        )

    def _await_servers(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        for name in (*SERVERS, *WORKERS):
            log = self.root / f"{name}.log"
            while not (log.exists() and "ing on " in log.read_text(errors="replace")):
                assert time.monotonic() < deadline, f"{name} is not ready: {log.read_text() if log.exists() else ''}"
                time.sleep(LOOK_EVERY_S)
