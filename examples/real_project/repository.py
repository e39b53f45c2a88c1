"""A project as a stranger sets it up, and each honest change as commits on it."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edits import Commit, Edit, apply
from places import SOURCES, environment
from processes import run_command
from project import Honest, Project
from sources import download, git, make_repository

# What init has ruff hold a project to that chose no rules itself.
INIT_RULES = "select: [E9, F]"
INIT_TIMEOUT_S = 60.0
DOCTOR_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Change:
    """An honest change as commits: `merged` is the commit of the target that it has taken in."""

    honest: Honest
    commit: str
    merged: str | None


@dataclass(frozen=True)
class Base:
    """The commit that every change of the project starts from, in a repository that gatewright is set up in."""

    project: Project
    repository: Path
    commit: str


def make_base(project: Project, scratch: Path, gatewright: Path) -> Base:
    """Do what a person does: clone, `gatewright init`, one commit.

    Raises `NotRun`, `CommandFailed`.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    repository = scratch / project.archive.name
    download(project.archive, SOURCES)
    make_repository(project.archive, SOURCES, repository)
    _run(gatewright, repository, "init", timeout_s=INIT_TIMEOUT_S)
    pipeline = repository / "gatewright.yaml"
    if project.pipeline is not None:
        pipeline.write_text(project.pipeline)
    if project.rules is not None:
        written = pipeline.read_text()
        assert INIT_RULES in written, f"init has chosen other rules for {project.name}"
        pipeline.write_text(written.replace(INIT_RULES, project.rules))
    git(repository, "add", "gatewright.yaml")
    git(repository, "commit", "--quiet", "--message=Use gatewright")
    return Base(project, repository, git(repository, "rev-parse", "HEAD"))


def consult_doctor(base: Base, gatewright: Path) -> str:
    """What `gatewright doctor` says. Raises `CommandFailed` when anything is red."""
    return _run(gatewright, base.repository, "doctor", timeout_s=DOCTOR_TIMEOUT_S)


def make_changes(base: Base, changes: Sequence[Honest]) -> list[Change]:
    """Commit them side by side on the base, and leave the repository as it was. Raises `DoesNotFit`."""
    made = [_make_change(base, number, honest) for number, honest in enumerate(changes, 1)]
    git(base.repository, "checkout", "--quiet", "main")
    return made


def _make_change(base: Base, number: int, honest: Honest) -> Change:
    merged = None
    if honest.meanwhile:
        merged = _commit(base, f"landed/{number}", honest.meanwhile, "Something else that has landed")
    commit = _commit(base, f"honest/{number}", honest.edits, honest.title)
    if merged is not None:
        git(base.repository, "merge", "--quiet", "--no-edit", merged)
        commit = git(base.repository, "rev-parse", "HEAD")
    return Change(honest, commit, merged)


def _commit(base: Base, branch: str, edits: Sequence[Edit], message: str) -> str:
    git(base.repository, "checkout", "--quiet", "-b", branch, base.commit)
    apply([*edits, Commit(message)], base.repository)
    return git(base.repository, "rev-parse", "HEAD")


def _run(gatewright: Path, repository: Path, *arguments: str, timeout_s: float) -> str:
    return run_command([str(gatewright), *arguments], cwd=repository, timeout_s=timeout_s, environment=environment())
