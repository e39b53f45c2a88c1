"""Mixing the policy's tables into an artifact's file: exactly those tables, or nothing at all."""

import json
import tomllib

import pytest

from gatewright.gates.guarded.tables import with_tables_of

TABLES = ("tool.ruff", "tool.pytest")
TRUSTED = b'[project]\nname = "p"\n\n[tool.ruff]\nline-length = 100\n\n[tool.ruff.lint]\nselect = ["E"]\n'


def mix(other: str) -> dict[str, object] | None:
    mixed = with_tables_of("pyproject.toml", TRUSTED, other.encode(), TABLES)
    return None if mixed is None else tomllib.loads(mixed.decode())


@pytest.mark.parametrize(
    "own",
    [
        "",
        "[tool.ruff]\nline-length = 1\n",
        '[tool."ruff"]\nline-length = 1\n',
        "[ tool . ruff ] # mine\nline-length = 1\n[tool.ruff.format]\nindent = 1\n",
        "[[tool.pytest.plugins]]\na = 1\n[[tool.pytest.plugins]]\na = 2\n",
        "[tool]\n[tool.pytest]\naddopts = '-x'\n",
    ],
)
def test_the_policys_tables_replace_the_artifacts_and_the_rest_stays(own: str) -> None:
    project = '[project]\nname = "p"\ndependencies = ["attrs"]\n\n'

    mixed = mix(project + own + "[tool.other]\na = 1\n")

    assert mixed == {
        "project": {"name": "p", "dependencies": ["attrs"]},
        "tool": {"ruff": {"line-length": 100, "lint": {"select": ["E"]}}, "other": {"a": 1}},
    }


@pytest.mark.parametrize(
    "other",
    [
        'tool = {ruff = {line-length = 1}}\n[project]\nname = "p"\n',
        '[tool]\nruff.line-length = 1\n[project]\nname = "p"\n',
        'text = """\n[tool.ruff]\n"""\n',
        "text = '''\n[tool.pytest]\n'''\n",
        "not toml [",
    ],
)
def test_what_cannot_be_told_apart_by_its_headings_is_not_mixed(other: str) -> None:
    assert mix(other) is None


def test_a_json_file_keeps_what_is_its_own() -> None:
    trusted = json.dumps({"scripts": {"test": "jest"}, "dependencies": {}}).encode()
    other = json.dumps({"scripts": {"test": "exit 0"}, "jest": {"a": 1}, "dependencies": {"x": "1"}}).encode()

    mixed = with_tables_of("package.json", trusted, other, ("scripts", "jest"))

    assert mixed is not None
    assert json.loads(mixed) == {"scripts": {"test": "jest"}, "dependencies": {"x": "1"}}


@pytest.mark.parametrize(("path", "other"), [("package.json", b"[]"), ("package.json", b"{"), ("setup.cfg", b"[a]\n")])
def test_other_files_are_not_mixed(path: str, other: bytes) -> None:
    assert with_tables_of(path, b"{}", other, ("scripts",)) is None
