"""The rules of a gate under attack: what an artifact brings along where the policy's own files are read or run."""

from pathlib import Path

import pytest

from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Link, Program, Project

# The quick bypass suite tries the same families.
pytestmark = pytest.mark.slow


def paths_asked(evidence: Evidence) -> list[str | None]:
    assert evidence.outcome is Outcome.PENDING, evidence
    return [finding.path for finding in evidence.findings]


def test_a_link_to_a_file_whose_name_is_toml_does_not_bring_a_configuration_along(tmp_path: Path) -> None:
    """Read as a file of tables, the link's target `x=1` has no table; its reader finds all of them behind the link."""
    project = Project(tmp_path, [{"command": {"name": "none", "run": "test ! -e pyproject.toml"}}])
    attack: Files = {"x=1": "[tool.mypy]\nignore_errors = true\n", "pyproject.toml": Link("x=1")}
    found = project.judge(project.commit(attack))

    assert paths_asked(found["scope"]) == ["pyproject.toml"]
    assert found["none"].outcome is Outcome.PASSED


def test_the_script_that_makes_the_environment_is_the_policys_though_the_environment_is_keyed_by_it(
    tmp_path: Path,
) -> None:
    """`setup` runs with the network and the secrets that the policy names, before anybody was asked."""
    setup = {"run": "sh ci/setup.sh", "key": ["ci/setup.sh", "dev.txt"], "keep": ["made"]}
    files: Files = {**SAMPLE, "ci/setup.sh": "mkdir made && cp dev.txt made\n", "dev.txt": "honest\n"}
    project = Project(tmp_path, [{"command": {"name": "who", "run": "cat made/*"}}], files, setup=setup)
    attack: Files = {"ci/setup.sh": "mkdir made && echo evil > made/dev.txt\n", "dev.txt": "a new dependency\n"}
    found = project.judge(project.commit(attack))

    assert paths_asked(found["scope"]) == ["ci/setup.sh"]
    assert found["who"].output == "a new dependency\n"


def test_an_artifact_brings_no_programs_along_where_setup_makes_them(tmp_path: Path) -> None:
    setup = {"run": "mkdir -p made && echo 'exit 1' > made/check", "key": ["dev.txt"], "keep": ["made"]}
    project = Project(
        tmp_path, [{"command": {"name": "check", "run": "sh made/check"}}], {**SAMPLE, "dev.txt": ""}, setup=setup
    )
    attack: Files = {"made/check": "exit 0\n", ".venv/bin/check": "exit 0\n", "web/node_modules/.bin/check": "exit 0\n"}
    found = project.judge(project.commit(attack))

    assert paths_asked(found["scope"]) == sorted(attack)
    assert found["check"].outcome is Outcome.FAILED


def test_a_module_beside_a_script_of_the_policy_does_not_run_inside_of_it(tmp_path: Path) -> None:
    files: Files = {**SAMPLE, "ci/check.py": "import json, sys\nsys.exit(json.loads('1'))\n"}
    project = Project(tmp_path, [{"command": {"name": "check", "run": "python3 ci/check.py"}}], files)
    found = project.judge(project.commit({"ci/json.py": "def loads(text):\n    return 0\n"}))

    assert paths_asked(found["scope"]) == ["ci/json.py"]
    assert found["check"].outcome is Outcome.FAILED


def test_what_a_linked_script_runs_is_the_policys(tmp_path: Path) -> None:
    files: Files = {**SAMPLE, "tools/ci/check.sh": "exit 1\n", "ci": Link("tools/ci")}
    project = Project(tmp_path, [{"command": {"name": "check", "run": "sh ci/check.sh"}}], files)
    behind = project.judge(project.commit({"tools/ci/check.sh": "exit 0\n"}))
    instead = project.judge(project.commit({"ci": None, "ci/check.sh": "exit 0\n"}, on=project.base))

    assert paths_asked(behind["scope"]) == ["tools/ci/check.sh"]
    assert paths_asked(instead["scope"]) == ["ci"]
    assert [found["check"].outcome for found in (behind, instead)] == [Outcome.FAILED] * 2


def test_an_answer_about_a_tests_data_does_not_hold_for_other_data(tmp_path: Path) -> None:
    """The test's own file is the same both times; what it expects lies in another one."""
    reading = "import json, pathlib\nfrom calc import add\n\n\ndef test_add():\n"
    reading += "    assert add(2, 3) == json.loads((pathlib.Path(__file__).parent / 'sum.json').read_text())\n"
    files: Files = {**SAMPLE, "tests/test_calc.py": reading, "tests/sum.json": "5\n"}
    project = Project(tmp_path, [{"test": {"runner": "pytest"}}], files)

    def judge(code: str, data: str, *allowed: str) -> Evidence:
        changed: Files = {"calc.py": f"def add(a, b):\n    return {code}\n", "tests/sum.json": data}
        return project.judge(project.commit(changed, on=project.base), allowed=allowed)["test"]

    shown = judge("6", "6\n")
    fingerprints = [finding.fingerprint for finding in shown.findings]

    assert shown.outcome is Outcome.PENDING
    assert judge("6", "6\n", *fingerprints).outcome is Outcome.PASSED
    assert judge("7", "7\n", *fingerprints).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    "source",
    [
        b"# coding: utf-7\nx = 1  # harmless+AAo-print('hidden')\n",
        b"# coding: unicode_escape\nx = 1  # harmless\\x0aprint('hidden')\n",
        b"# coding: shift_jis\nx = 1  # \x83\x5c\n",
    ],
)
def test_code_that_an_encoding_hides_from_every_reader_does_not_compile(tmp_path: Path, source: bytes) -> None:
    """Python runs the statement; ruff, a diff and a person see a comment."""
    plain: Files = {
        "utf.py": "# ä\n",
        "latin.py": b"# coding: latin-1\nx = '\xe4'\n",
        "bom.py": b"\xef\xbb\xbfx = 'a'\n",
    }
    project = Project(tmp_path, ["compile"])
    found = project.judge(project.commit({"hidden.py": source, **plain}))["compile"]

    assert [finding.path for finding in found.findings] == ["hidden.py"]


def test_whoever_is_asked_about_many_files_hears_of_all_of_them(tmp_path: Path) -> None:
    """The one that matters would otherwise be the eleventh."""
    project = Project(tmp_path, ["compile"])
    found = project.judge(project.commit({f"a{number:02}/conftest.py": "" for number in range(60)}), gates=())

    question = found["scope"].question or ""
    assert "a49/conftest.py and 10 more" in question
    assert "50 more files are not shown" in question


INSTALL = {"run": 'cp -r bin/. "$VIRTUAL_ENV/bin/" && cp -r src/. "$(echo "$VIRTUAL_ENV"/lib/python*/site-packages)"'}


@pytest.mark.parametrize(
    "attack",
    [{"bin/grep": Program("#!/bin/sh\nexit 0\n")}, {"src/_pytest/__init__.py": "raise SystemExit(0)\n"}],
    ids=["program", "module"],
)
def test_what_an_artifact_installs_does_not_stand_in_for_what_gates_use(tmp_path: Path, attack: Files) -> None:
    """A console script is one line of metadata, and the layer that it is installed into comes first."""
    files: Files = {**SAMPLE, "bin/ls": Program("#!/bin/sh\nexec /bin/ls\n"), "src/own/__init__.py": ""}
    project = Project(
        tmp_path, [{"command": {"name": "look", "run": "grep -q nowhere calc.py"}}], files, install=INSTALL
    )
    honest = project.judge(project.commit({"src/more/__init__.py": "", "bin/own": "", "calc.py": "nowhere = 1\n"}))
    found = project.judge(project.commit(attack, on=project.base))

    assert honest["look"].outcome is Outcome.PASSED
    assert found["look"].outcome is Outcome.FAILED
    assert "stand in" in found["look"].findings[0].message


@pytest.mark.parametrize("path", [".gatewright/work/c2-code-1/calc.py", ".gatewright", ".Gatewright/x"])
def test_nothing_lands_among_the_workspaces_of_others(tmp_path: Path, path: str) -> None:
    """Checked out with the target, it would be another agent's file, to be changed by the next landing."""
    project = Project(tmp_path, ["compile"])
    found = project.judge(project.commit({path: "x = 1\n"}), gates=())["scope"]

    assert [(finding.rule, finding.path) for finding in found.findings] == [("reserved", path)]


def test_a_module_that_is_a_link_to_no_python_is_refused(tmp_path: Path) -> None:
    """Python would import it, and no gate that looks for Python's files would find it."""
    project = Project(tmp_path, ["compile"])
    attack: Files = {"data.txt": "import os\n", "mod.py": Link("data.txt"), "same.py": Link("calc.py")}
    found = project.judge(project.commit(attack))["scope"]

    assert [(finding.rule, finding.path) for finding in found.findings] == [("link", "mod.py")]


@pytest.mark.parametrize(
    ("before", "attack", "outcome"),
    [
        ("x = 1  # type: ignore\n", {"a.py": "# mypy: ignore-errors\nx = 1\n"}, Outcome.PENDING),
        ("x = 1  # type: ignore[misc]\n", {"a.py": "x = 1  # type: ignore\n"}, Outcome.PENDING),
        ("x = 1  # type: ignore\n", {"a.py": "x = 2  # type: ignore  # for a reason\n"}, Outcome.PASSED),
        ("x = 1  # type: ignore\n", {"a.py": "y = 1\n", "b.py": "x = 1  # type: ignore\n"}, Outcome.PASSED),
        ("x = 1\n", {"a.pyi": "x: int\n"}, Outcome.PENDING),
        ("x = 1\n", {"b.pyi": "x: int\n"}, Outcome.PASSED),
    ],
    ids=["wider", "without code", "edited", "moved", "stub beside a module", "stub alone"],
)
def test_who_hides_something_else_than_was_hidden_is_asked(
    tmp_path: Path, before: str, attack: Files, outcome: Outcome
) -> None:
    project = Project(tmp_path, ["ruff"], {**SAMPLE, "a.py": before})

    assert project.judge(project.commit(attack))["ruff"].outcome is outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("*.py working-tree-encoding=UTF-7", Outcome.PENDING),
        ("calc.py filter=evil", Outcome.PENDING),
        ("*.py ident", Outcome.PENDING),
        ("*.md linguist-documentation\n*.sh text eol=lf", Outcome.PASSED),
        ("*.bin filter=lfs diff=lfs", Outcome.PASSED),
    ],
)
def test_who_lets_checkouts_have_other_bytes_than_were_judged_is_asked(
    tmp_path: Path, line: str, outcome: Outcome
) -> None:
    project = Project(tmp_path, ["compile"], {**SAMPLE, ".gitattributes": "*.bin filter=lfs diff=lfs\n"})
    found = project.judge(project.commit({".gitattributes": f"# new\n*.bin filter=lfs diff=lfs\n{line}\n"}), gates=())

    assert found["scope"].outcome is outcome
