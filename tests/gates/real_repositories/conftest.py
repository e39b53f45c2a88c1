"""A project as in tests/gates/kinds, and what the repositories here have beside files."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..kinds.workbench import SAMPLE, Files, Project, use_own_python

LFS_ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())


def git(folder: Path, *arguments: str) -> str:
    # Submodules of these tests come from other folders of this machine.
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def library(folder: Path, files: Files | None = None) -> str:
    """A repository of its own with these files; returns its commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return commit_in(folder, files or {"lib.txt": "library\n"})


def commit_in(folder: Path, files: Files) -> str:
    for path, content in files.items():
        assert isinstance(content, str)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "work")
    return git(folder, "rev-parse", "HEAD")


def with_submodule(root: Path, gates: Sequence[object], source: Path, **pipeline: object) -> Project:
    """A project whose base has the repository `source` as its submodule vendor/lib, checked out as a person has it."""
    project = Project(root / "project", gates, SAMPLE, **pipeline)
    git(project.repository, "submodule", "--quiet", "add", str(source), "vendor/lib")
    git(project.repository, "submodule", "--quiet", "update", "--init", "--recursive")
    project.base = project.commit({})
    return project


def with_lfs(root: Path, gates: Sequence[object], content: bytes = b"large\n", **pipeline: object) -> Project:
    """A project whose base has `data.bin` in LFS, with the content where git-lfs keeps it."""
    files = {**SAMPLE, ".gitattributes": LFS_ATTRIBUTES, "data.bin": pointer_to(content)}
    project = Project(root / "project", gates, files, **pipeline)
    keep_content(project, content)
    return project


def pointer_to(content: bytes, *, size: int | None = None, digest: str | None = None) -> str:
    name = hashlib.sha256(content).hexdigest() if digest is None else digest
    length = len(content) if size is None else size
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {length}\n"


def keep_content(project: Project, content: bytes, *, name: str | None = None) -> Path:
    """Put content where git-lfs keeps it, under its digest or another name."""
    digest = name or hashlib.sha256(content).hexdigest()
    place = project.repository / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def shell(run: str, name: str = "look") -> object:
    return {"command": {"name": name, "run": run}}
