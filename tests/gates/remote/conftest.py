"""A shared bare repository, somebody's clone of it, and a server's mirror and store."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.remote.address import parse_address
from gatewright.gates.remote.mirror import MirroredRepository, open_mirror
from gatewright.gates.remote.remote import Patience, Remote

IMPATIENT = Patience(look_s=5.0, fetch_s=10.0, push_s=1.0)


class Ticks:
    """Seconds that pass when a test says so, for the pauses between two tries."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Shared:
    """The bare repository that everybody pushes to, and one clone to work in."""

    def __init__(self, path: Path, object_format: str = "sha1") -> None:
        path.mkdir(exist_ok=True)
        self.path = path / "shared.git"
        self.clone = path / "clone"
        form = f"--object-format={object_format}"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", form, str(self.path)], check=True)
        # A clone of nothing does not know which kind of ids there will be.
        subprocess.run(["git", "init", "-q", "-b", "main", form, str(self.clone)], check=True)
        self.git("remote", "add", "origin", str(self.path))

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=cwd or self.clone, check=True, capture_output=True, input=stdin)
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | bytes], message: str = "work") -> str:
        for name, content in files.items():
            place = self.clone / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, commit: str, ref: str) -> None:
        self.git("push", "-q", "--force", "origin", f"{commit}:{ref}")

    def tip(self, ref: str = "refs/heads/main") -> str:
        return self.git("rev-parse", ref, cwd=self.path)

    def refs(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname)", cwd=self.path).split())

    def hook(self, script: str | None) -> None:
        place = self.path / "hooks" / "pre-receive"
        if script is None:
            place.unlink(missing_ok=True)
        else:
            place.write_text(f"#!/bin/sh\n{script}\n")
            place.chmod(0o755)


@dataclass
class Replica:
    """What one server has on its own disk."""

    remote: Remote
    mirror: MirroredRepository
    store: ArtifactStore
    ticks: Ticks


def open_replica(folder: Path, url: str, patience: Patience = IMPATIENT) -> Replica:
    ticks = Ticks()
    place = folder / "repository.git"
    remote = Remote(parse_address(url), place, patience=patience, clock=ticks)
    path = place / "gatewright" / "artifacts.git"
    mirror = open_mirror(place, remote, objects=path / "objects")
    store = ArtifactStore(path, mirror.common_dir, remote)
    store.ensure()
    return Replica(remote, mirror, store, ticks)


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


@pytest.fixture
def base(shared: Shared) -> str:
    commit = shared.commit({"a.txt": "one\n"}, "Begin")
    shared.push(commit, "refs/heads/main")
    return commit


@pytest.fixture
def replica(tmp_path: Path, shared: Shared, base: str) -> Replica:
    return open_replica(tmp_path / "state", shared.url)


def wait_file(place: Path) -> str:
    """A shell's words to go on when the file is there, and never without end."""
    return f"n=0; while [ ! -e {place} ] && [ $n -lt 300 ]; do n=$((n+1)); sleep 0.1; done"


def is_root() -> bool:
    return os.geteuid() == 0
