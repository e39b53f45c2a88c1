"""A project with two commits and an empty store beside it."""

from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore

from .project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def store(tmp_path: Path, project: Project) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "state" / "store", project.common_dir)
    store.ensure()
    return store


@pytest.fixture
def base(project: Project) -> str:
    project.commit({"a.txt": "one\n", "lib/tool.sh": "run\n"})
    (project.path / "lib/tool.sh").chmod(0o755)
    return project.commit({})
