"""A team: one bare repository that everybody pushes to, servers with folders of their own, and agents in clones."""

import re
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from gatewright.gates.remote.remote import Patience
from gatewright.server.app import GatewrightApplication
from gatewright.server.composition import open_team_services
from gatewright.server.services import Services
from gatewright.server.store import open_store

from .house import Clock, Server, Told, solo

HOOK = "hooks/pre-receive"
SUB = "def sub(a, b):\n    return a - b\n"


class Clone:
    """One agent's machine: a clone of the remote, in which the brief's commands are run as they stand there."""

    def __init__(self, path: Path, remote: str) -> None:
        self.path = path
        subprocess.run(["git", "clone", "-q", remote, str(path)], check=True, capture_output=True)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def run(self, command: str) -> str:
        done = subprocess.run(["sh", "-c", command], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self, subject: str = "Work", /, **files: str) -> str:
        """Commit everything in the clone, with `files` written before, named by their paths."""
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def follow(self, brief: Told, **files: str) -> str:
        """Do what the brief's `next` says, with this work in between; the commit that was pushed."""
        *begin, push = commands_of(brief)
        for command in begin:
            self.run(command)
        self.commit(**files)
        return self.run(push)


class Team:
    """The remote and the store that all servers share."""

    def __init__(self, path: Path, pipeline: str | None = None) -> None:
        self.path = path
        self.remote = path / "shared.git"
        self.store = path / "store"
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.remote)], check=True)
        self.person = self.clone("person")
        self.person.write("gatewright.yaml", solo() if pipeline is None else pipeline)
        self.person.commit("Begin", **{"calc.py": "def add(a, b):\n    return a + b\n"})
        self.person.git("push", "-q", "origin", "HEAD:main")
        opened = open_store(self.store, create=True)
        opened.run(lambda tx: tx.meta_set("target", "main"))
        opened.close()

    @classmethod
    def found(cls, path: Path) -> "Team":
        """One that was made before, and may have been copied."""
        team = cls.__new__(cls)
        team.path, team.remote, team.store = path, path / "shared.git", path / "store"
        return team

    @property
    def url(self) -> str:
        return f"file://{self.remote}"

    def clone(self, name: str) -> Clone:
        return Clone(self.path / name, self.url)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.remote, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def tip(self, ref: str = "main") -> str:
        return self.git("rev-parse", ref)

    def refs(self, prefix: str = "refs/") -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname)", prefix).split())

    def files(self, ref: str = "main") -> set[str]:
        return set(self.git("ls-tree", "-r", "--name-only", ref).split())

    def hook(self, script: str | None) -> None:
        """What the remote runs before it takes a push; None: nothing."""
        place = self.remote / HOOK
        if script is None:
            place.unlink(missing_ok=True)
        else:
            place.write_text(f"#!/bin/sh\n{script}\n")
            place.chmod(0o755)

    def services(self, replica: str = "one", *, url: str | None = None, clock: Clock | None = None) -> Services:
        store = open_store(self.store, create=False)
        return open_team_services(store, url or self.url, self.path / f"state-{replica}", clock or Clock())

    @asynccontextmanager
    async def serving(
        self, replica: str = "one", *, has_engine: bool = True, url: str | None = None, clock: Clock | None = None
    ) -> AsyncGenerator[Server]:
        """One replica, until the block ends."""
        services = self.services(replica, url=url, clock=clock)
        application = GatewrightApplication(lambda: services)
        await application.services()
        try:
            async with anyio.create_task_group() as tasks:
                if has_engine:
                    tasks.start_soon(application.run)
                yield Server(application, services)
                tasks.cancel_scope.cancel()
        finally:
            services.store.close()


def commands_of(told: Told | Mapping[str, str]) -> list[str]:
    """The commands for a shell in the last line of a reply, in order."""
    return [found for found in re.findall(r"`([^`]+)`", told["next"]) if found.startswith("git ")]


IMPATIENT = Patience(look_s=2.0, fetch_s=5.0, push_s=1.0)
