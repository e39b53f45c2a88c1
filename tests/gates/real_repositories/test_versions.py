"""docs/real-repositories.md: programs find the version of the tree as they would in a clone."""

from pathlib import Path

import pytest

from gatewright.schemas.records import Outcome

from ..kinds.workbench import SAMPLE, Files, Project
from .conftest import git, shell

DESCRIBED = "git describe --tags --dirty --long | tee /dev/stderr | grep -qx 'v1.2.0-1-g[0-9a-f]*'"
PYPROJECT = """\
[build-system]
requires = ["{backend}"]
build-backend = "{backend_module}"
[project]
name = "calc"
dynamic = ["version"]
"""
SETUPTOOLS = PYPROJECT.format(backend="setuptools-scm", backend_module="setuptools.build_meta") + (
    "[tool.setuptools_scm]\n[tool.setuptools]\npy-modules = ['calc']\n"
)
HATCH = PYPROJECT.format(backend="hatch-vcs", backend_module="hatchling.build") + (
    "[tool.hatch.version]\nsource = 'vcs'\n[tool.hatch.build.targets.wheel]\nonly-include = ['calc.py']\n"
)


@pytest.mark.parametrize("kind", [("tag", "v1.2.0"), ("tag", "-a", "-m", "release", "v1.2.0")])
def test_git_describes_the_artifact_by_the_tag_before_it(tmp_path: Path, kind: tuple[str, ...]) -> None:
    project = Project(tmp_path, [shell(DESCRIBED)])
    git(project.repository, *kind, project.base)

    found = project.judge(project.commit({"more.py": "x = 1\n"}))["look"]

    assert found.outcome is Outcome.PASSED, found.output


def test_a_tag_that_an_agent_puts_on_its_own_commit_names_no_version(tmp_path: Path) -> None:
    project = Project(tmp_path, [shell(DESCRIBED)])
    git(project.repository, "tag", "v1.2.0", project.base)
    commit = project.commit({"more.py": "x = 1\n"})
    git(project.repository, "tag", "v9.9.9", commit)

    found = project.judge(commit)["look"]

    assert found.outcome is Outcome.PASSED, found.output


def test_what_the_policy_put_back_does_not_make_the_tree_dirty(tmp_path: Path) -> None:
    """It is a commit of its own, one further from the tag."""
    files: Files = {**SAMPLE, "check.sh": 'git describe --tags --dirty --long; test -z "$(git status --porcelain)"\n'}
    project = Project(tmp_path, [shell("sh check.sh")], files)
    git(project.repository, "tag", "v1.2.0", project.base)

    found = project.judge(project.commit({"check.sh": "exit 0\n", "more.py": "x = 1\n"}))["look"]

    assert found.outcome is Outcome.PASSED, found.output
    assert found.output.startswith("v1.2.0-2-g")
    assert "dirty" not in found.output


def test_committed_bytecode_that_is_not_handed_to_programs_does_not_make_the_tree_dirty(tmp_path: Path) -> None:
    project = Project(tmp_path, [shell(f"test ! -e old.pyc && {DESCRIBED}")], {**SAMPLE, "old.pyc": b"\0"})
    git(project.repository, "tag", "v1.2.0", project.base)

    found = project.judge(project.commit({"more.py": "x = 1\n"}))["look"]

    assert found.outcome is Outcome.PASSED, found.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pyproject", "packages"), [(SETUPTOOLS, "setuptools setuptools-scm"), (HATCH, "hatchling hatch-vcs")]
)
def test_the_plugins_that_ask_git_find_the_version_when_the_artifact_is_installed(
    tmp_path: Path, pyproject: str, packages: str
) -> None:
    """`setup` brings what the build needs, because `install` has no network; so nothing is built in isolation."""
    setup = {
        "run": f"python3 -m venv .venv && .venv/bin/pip --disable-pip-version-check install -q -U {packages}",
        "key": ["pyproject.toml"],
        "keep": [".venv"],
    }
    install = {"run": "pip --disable-pip-version-check install -q --no-deps --no-build-isolation ."}
    version = "python -c 'import importlib.metadata as m; print(m.version(\"calc\"))'"
    project = Project(
        tmp_path,
        [shell(f"{version} && {version} | grep -qx '1.2.1.dev1+g[0-9a-f]*'")],
        {**SAMPLE, "pyproject.toml": pyproject},
        setup=setup,
        install=install,
    )
    git(project.repository, "tag", "v1.2.0", project.base)

    found = project.judge(project.commit({"more.py": "x = 1\n"}))["look"]

    assert found.outcome is Outcome.PASSED, (found.summary, found.findings, found.output)
