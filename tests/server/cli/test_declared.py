"""What a Python project declares, and what `gatewright requirements` makes of it for pip."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.command import CannotGoOn, Exit
from gatewright.server.cli.declared import read_declared, requirement_lines
from gatewright.server.cli.poetry import poetry_requirements

from .conftest import Desk, Ran

Call = Callable[..., Ran]

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-vcs"]
[project]
name = "My.Project"
dependencies = ["click>=8", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
Tests = ["pytest", "my-project[speed]; sys_platform == 'linux'"]
speed = ["orjson", "uvloop; implementation_name == 'cpython'"]
loop = ["my_project[loop]", "x"]
[dependency-groups]
base = ["coverage"]
dev = [{include-group = "base"}, "mypy", "my-project[tests]", {include-group = "dev"}]
"""


def test_extras_groups_and_build_requirements_are_resolved_to_plain_lines(desk: Desk, call: Call) -> None:
    desk.write({"pyproject.toml": PYPROJECT})

    told = call("requirements", "--group", "dev")

    assert told.out.splitlines() == [
        "click>=8",
        "tomli; python_version < '3.11'",
        "coverage",
        "mypy",
        "pytest",
        "orjson; sys_platform == 'linux'",
        "uvloop; (implementation_name == 'cpython') and (sys_platform == 'linux')",
        "hatchling",
        "hatch-vcs",
    ]


def test_names_of_extras_are_compared_as_pip_compares_them(desk: Desk, call: Call) -> None:
    desk.write({"pyproject.toml": PYPROJECT})

    assert "pytest" in call("requirements", "--extra", "tests", "--no-build").out.splitlines()


def test_a_circle_of_extras_ends(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)

    assert "x" in read_declared(tmp_path).lines(extras=["loop"])


def test_an_unknown_extra_is_refused_with_those_that_there_are(desk: Desk, call: Call) -> None:
    desk.write({"pyproject.toml": PYPROJECT})

    told = call("requirements", "--extra", "docs")

    assert told.status == Exit.REFUSED
    assert told.out == ""
    assert "Tests, loop, speed" in told.err


def test_requirements_that_setuptools_takes_from_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\ndynamic = ["dependencies", "optional-dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = {file = ["req.txt"]}\n'
        'optional-dependencies.test = {file = "req-test.txt"}\n'
    )
    (tmp_path / "req.txt").write_text("-r other.txt\nclick  # the command line\n\nattrs \\\n  >=23 --hash=sha256:00\n")
    (tmp_path / "req-test.txt").write_text("pytest\n")

    declared = read_declared(tmp_path)

    assert declared.lines(extras=["test"]) == ("click", "attrs >=23", "pytest")
    assert declared.unread == ()


def test_requirements_that_only_a_program_could_tell_are_named_as_unread(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\ndynamic = ["dependencies"]\n')

    assert read_declared(tmp_path).unread == (
        "pyproject.toml leaves dependencies to a build plug-in, which is not run.",
    )


def test_setup_py_is_read_and_never_run(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "import pathlib, setuptools\n"
        f"pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        "NEEDS = ['click']\n"
        "setuptools.setup(name='old', install_requires=NEEDS, extras_require={'test': open('x').read()})\n"
    )

    declared = read_declared(tmp_path)

    assert declared.lines() == ("click", "setuptools", "wheel")
    assert declared.unread == ("setup.py computes extras_require, and it is not run.",)
    assert not (tmp_path / "ran").exists()


def test_setup_cfg_is_read(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nname = old\n[options]\ninstall_requires =\n    click>=7\n    six\n"
        "[options.extras_require]\ntesting =\n    pytest\n"
    )

    assert read_declared(tmp_path).lines(extras=["testing"], build=False) == ("click>=7", "six", "pytest")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("^1.2.3", "p>=1.2.3,<2"),
        ("^0.2.3", "p>=0.2.3,<0.3"),
        ("^0.0.3", "p>=0.0.3,<0.0.4"),
        ("^0", "p>=0,<1"),
        ("~1.2.3", "p>=1.2.3,<1.3"),
        ("~1", "p>=1,<2"),
        ("~=1.4", "p~=1.4"),
        ("1.2.3", "p==1.2.3"),
        ("1.2.*", "p==1.2.*"),
        (">=1,<3", "p>=1,<3"),
        ("*", "p"),
        (
            {"version": "^2", "extras": ["fast"], "markers": "sys_platform == 'linux'"},
            "p[fast]>=2,<3; sys_platform == 'linux'",
        ),
    ],
)
def test_poetry_s_versions_become_those_of_pip(written: object, line: str) -> None:
    assert poetry_requirements({"dependencies": {"python": "^3.11", "p": written}}).dependencies == (line,)


def test_poetry_s_groups_and_extras_are_read_and_the_rest_is_named() -> None:
    found = poetry_requirements(
        {
            "dependencies": {"a": "1", "b": {"version": "2", "optional": True}, "c": {"path": "../c"}},
            "extras": {"more": ["b"]},
            "group": {"dev": {"dependencies": {"pytest": "*"}}},
        }
    )

    assert (found.dependencies, found.extras, found.groups) == (("a==1",), {"more": ("b==2",)}, {"dev": ("pytest",)})
    assert found.unread == ("Poetry's dependency 'c' is no plain version.",)


@pytest.mark.parametrize(
    ("name", "text"), [("pyproject.toml", "[project\n"), ("setup.cfg", "x = 1\n"), ("pyproject.toml", "\udcff")]
)
def test_metadata_that_do_not_parse_are_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, errors="surrogateescape")

    with pytest.raises(CannotGoOn, match=name):
        read_declared(tmp_path)


def test_without_metadata_the_command_says_what_it_looked_for(desk: Desk, call: Call) -> None:
    told = call("requirements")

    assert told.status == Exit.REFUSED
    assert "no pyproject.toml, setup.cfg or setup.py" in told.err


def test_options_paths_and_comments_are_no_requirements() -> None:
    text = "# all\n-e .\n--index-url x\n./local\na==1 # why\nhttp-thing @ https://e.org/x#egg=1\n"

    assert requirement_lines(text) == ("a==1", "http-thing @ https://e.org/x#egg=1")
