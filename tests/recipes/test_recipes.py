"""Every recipe of docs/recipes.md, as it stands there, on the real tool:
a good change passes, a bad one fails with its place.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from gatewright.schemas.records import Evidence, Outcome

from ..gates.kinds.workbench import Files, Project, use_own_python

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")
UNTRIED = "Not tried here"
JUDGED_WITHIN_S = 300.0

FINE = "def add(a: int, b: int) -> int:\n    return a + b\n"
WRONG = 'def add(a: int, b: int) -> int:\n    return a + b\n\n\ndef wrong() -> int:\n    return "text"\n'
TEST = "from src.calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
HOOKS = """\
repos:
  - repo: local
    hooks:
      - {id: ruff, name: ruff, language: system, types: [python], entry: ruff check --isolated --output-format concise}
"""
NODE_TEST = """\
const test = require('node:test');
const assert = require('node:assert');
const { add } = require('../src/sum.js');

test('adds', () => {
  assert.strictEqual(add(1, 2), 3);
});
"""
ESLINT = """\
const globals = { module: 'readonly', require: 'readonly' };
module.exports = [{ languageOptions: { globals }, rules: { 'no-undef': 'error' } }];
"""
SUM = "module.exports = { add: (a, b) => a + b };\n"


@dataclass(frozen=True)
class Sample:
    """A project for a recipe; `found` is what each gate says of the bad change, by name: where, and the rule."""

    base: Files
    good: Files
    bad: Files
    found: Mapping[str, tuple[str, str]]
    # What package.json depends on: its lock file is made beforehand, as a project would have it.
    packages: tuple[str, ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)


SAMPLES: Mapping[str, Sample] = {
    "mypy": Sample(
        {"src/calc.py": FINE},
        {"src/more.py": "x: int = 1\n"},
        {"src/calc.py": WRONG},
        {"types": ("src/calc.py:6", "return-value")},
    ),
    "pyright": Sample(
        {"src/calc.py": FINE},
        {"src/more.py": "x: int = 1\n"},
        {"src/calc.py": WRONG},
        {"types": ("src/calc.py:6", "reportReturnType")},
        packages=("pyright",),
    ),
    "Coverage": Sample(
        {"requirements-dev.txt": "", "src/__init__.py": "", "src/calc.py": FINE, "tests/test_calc.py": TEST},
        {"src/calc.py": f"# Sums.\n{FINE}"},
        {"src/calc.py": f"{FINE}\n\ndef sub(a, b):\n    c = a\n    return c - b\n"},
        {"coverage": ("src/calc.py:6", "coverage")},
        counted={"coverage": 2},
    ),
    "pre-commit or prek": Sample(
        {".pre-commit-config.yaml": HOOKS, "src/calc.py": FINE},
        {"src/more.py": "x = 1\n"},
        {"src/more.py": "import os\n"},
        {"hooks": ("src/more.py:1", "F401")},
    ),
    "eslint and npm test": Sample(
        {"eslint.config.js": ESLINT, "src/sum.js": SUM, "test/sum.test.js": NODE_TEST, ".gitignore": "node_modules\n"},
        {"src/more.js": "module.exports = 1;\n"},
        {"src/sum.js": SUM.replace("a + b", "a - b + (a > 99 ? undefinedName : 0)")},
        {"eslint": ("src/sum.js:1", "no-undef"), "test": ("test/sum.test.js:6", "test")},
        packages=("eslint@9",),
        counted={"eslint": 4, "test": 1},
    ),
    "A shell script": Sample(
        {"src/a.py": "# TODO: some day\n"},
        {"src/b.py": "# TODO(#1): soon\n"},
        {"src/b.py": "x = 1\n# TODO never\n"},
        {"todo": ("src/b.py:2", "todo")},
    ),
}
# These install something from a registry.
SLOW = frozenset({"pyright", "Coverage", "pre-commit or prek", "eslint and npm test"})


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def scripts(text: str) -> dict[str, str]:
    """The programs that a recipe shows, by the name in the comment at their beginning."""
    programs = [*blocks(text, "sh"), *blocks(text, "python")]
    named = [(re.search(r"^# (\S+\.(?:sh|py)):", program, re.MULTILINE), program) for program in programs]
    return {found[1]: program for found, program in named if found}


def marked(recipe: str) -> object:
    return pytest.param(recipe, marks=pytest.mark.slow) if recipe in SLOW else recipe


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())
    monkeypatch.setattr("tests.gates.kinds.workbench.JUDGED_WITHIN_S", JUDGED_WITHIN_S)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [marked(recipe) for recipe in SAMPLES])
def test_a_recipe_passes_a_good_change_and_fails_a_bad_one_with_its_place(tmp_path: Path, recipe: str) -> None:
    text, sample = sections()[recipe], SAMPLES[recipe]
    pipeline = yaml.safe_load(blocks(text, "yaml")[0])
    project = Project(
        tmp_path,
        pipeline.pop("gates"),
        {**sample.base, **scripts(text), **_lock(tmp_path / "lock", sample.packages)},
        **pipeline,
    )

    good = _judge(project, sample.good)
    bad = _judge(project, sample.bad)

    for name, (where, rule) in sample.found.items():
        assert (good[name].outcome, good[name].findings) == (Outcome.PASSED, ()), good[name]
        assert good[name].counted == sample.counted.get(name, 1)
        assert bad[name].outcome is Outcome.FAILED, bad[name]
        assert (where, rule) in [(found.where, found.rule) for found in bad[name].findings], bad[name]


def test_every_recipe_is_tried_or_said_not_to_be() -> None:
    assert {*sections()} - {UNTRIED} == {*SAMPLES}


def _judge(project: Project, files: Files) -> dict[str, Evidence]:
    return project.judge(project.commit(files, on=project.base))


def _lock(folder: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """A package.json with its lock file; the test is left out where the registry has no such package."""
    if not packages:
        return {}
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here")
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "sample", "private": true}\n')
    command = [npm, "install", "--package-lock-only", "--no-audit", "--no-fund", "--save-dev", *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if "E404" in done.stderr:
        pytest.skip("the registry has no such package")
    assert done.returncode == 0, done.stderr
    return {name: (folder / name).read_text() for name in ("package.json", "package-lock.json")}
