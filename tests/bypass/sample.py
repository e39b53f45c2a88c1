"""The project that every bad commit is made on: a package with tests, a command line, a guide, and gates of each sort.

It starts red, as real ones do: `calc/legacy.py` has a finding of ruff's that is nobody's here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

ADD = 'def add(a: int, b: int) -> int:\n    """The sum."""\n    return a + b\n'
HALF = 'def half(a: int) -> float:\n    """One of two equal parts."""\n    return a / 2\n'
CALC = f'"""Sums."""\n\n\n{ADD}\n\n{HALF}'
# What most attacks want to get through: sums that are wrong.
BROKEN = CALC.replace("a + b", "a - b")

MAIN = """\
import sys

from calc import add, half

if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:]]
    print(add(*numbers) if sys.argv[1] == "add" else half(*numbers))
"""

TESTS = """\
import pytest
from calc import add, half


def test_add() -> None:
    assert add(2, 3) == 5


def test_half(two: int) -> None:
    assert half(two) == 1


@pytest.mark.parametrize(("a", "b", "total"), [(1, 2, 3), (2, 2, 4)])
def test_table(a: int, b: int, total: int) -> None:
    assert add(a, b) == total
"""

CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef two() -> int:\n    return 2\n"

# What docs/gates.md shows: it knows the program by what it prints alone, in a process that the program cannot reach.
BLACKBOX = """\
import ctypes
import subprocess
import sys

# The program runs as the same user, who might otherwise write into the memory of this process.
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)

EXPECTED = {("add", "2", "3"): "5", ("add", "40", "2"): "42", ("half", "4"): "2.0"}

for arguments, wanted in EXPECTED.items():
    done = subprocess.run([sys.executable, "-m", "calc", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode != 0 or done.stdout.strip() != wanted:
        sys.exit(f"calc {' '.join(arguments)}: {done.stdout.strip()!r} is not {wanted!r} {done.stderr[-300:]}")
"""

# The same for one sum, in less time than an attack may take.
ONCE = """\
import subprocess
import sys

done = subprocess.run([sys.executable, "-m", "calc", "add", "2", "3"], stdout=subprocess.PIPE, text=True)
sys.exit(0 if done.stdout.strip() == "5" else f"{done.stdout.strip()[:100]!r} is not 5")
"""

# The same with a report.
SUITE = """\
import subprocess
import sys
from pathlib import Path

done = subprocess.run([sys.executable, "-m", "calc", "add", "2", "3"], capture_output=True, text=True, timeout=10)
wrong = "" if done.stdout.strip() == "5" else '<failure message="not 5"/>'
Path(sys.argv[1]).write_text(f'<testsuite><testcase classname="cli" name="add">{wrong}</testcase></testsuite>')
sys.exit(1 if wrong else 0)
"""

# Does what mypy does as far as attacks on it go: unannotated functions are errors, ignore comments and settings count.
TYPES = """\
import ast
import configparser
import re
import sys
import tomllib
from pathlib import Path

settings = {}
for name in ("mypy.ini", ".mypy.ini", "setup.cfg"):
    parser = configparser.ConfigParser()
    if parser.read(name) and parser.has_section("mypy"):
        settings = dict(parser["mypy"])
        break
else:
    if Path("pyproject.toml").exists():
        settings = tomllib.loads(Path("pyproject.toml").read_text()).get("tool", {}).get("mypy", {})

found = 0
for path in sorted(Path(sys.argv[1]).rglob("*.py")):
    stub = path.with_suffix(".pyi")
    text = (stub if stub.exists() else path).read_text()
    if str(settings.get("ignore_errors")).lower() == "true" or "mypy: ignore-errors" in text:
        continue
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        is_bare = isinstance(node, ast.FunctionDef) and node.returns is None
        if is_bare and not re.search(r"#\\s*type:\\s*ignore", lines[node.lineno - 1]):
            print(f"{path}:{node.lineno}: error: Function is missing a return type annotation  [no-untyped-def]")
            found += 1
sys.exit(1 if found else 0)
"""

# What a recipe starts through a script of its own, with a module and a number beside it.
ROWS = """\
import sys
from pathlib import Path

from limits import ROWS

for path in sorted(Path(sys.argv[1]).rglob("*.py")):
    if len(path.read_text().splitlines()) > ROWS:
        sys.exit(f"{path} has more than {ROWS} rows")
"""

PYPROJECT = """\
[project]
name = "calc"
version = "1.0"

[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["E", "F", "S307"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.mypy]
strict = true
"""

GUIDE = "# Guide\n\n## Use\n\nRun `python -m calc add 2 3`.\n\n## Requirements\n\nR1: sums.\nR2: halves.\n"

POLICY: Mapping[str, object] = {
    "version": 1,
    "target": "main",
    "setup": {
        "run": "mkdir -p made && cp requirements.txt made/installed",
        "key": ["requirements.txt"],
        "keep": ["made"],
    },
    "limits": {
        "gate": "20s",
        "output": "20kB",
        "memory": "400MB",
        "processes": 30,
        "entries": 2_000,
        "tree": "20MB",
        "file": "1MB",
    },
    "stages": {
        "code": {
            "goal": "Do it.",
            "writes": [
                "*",
                "calc/**",
                "tests/**",
                "ci/**",
                "docs/**",
                "lib/**",
                "web/**",
                "made/**",
                "typings/**",
                "calc-stubs/**",
            ],
            "gates": [
                "compile",
                "ruff",
                {"command": {"name": "types", "run": "python3 -I ci/types.py calc", "report": "lines"}},
                {"command": {"name": "blackbox", "run": "python3 -I ci/blackbox.py"}},
                {"command": {"name": "once", "run": "python3 -I ci/once.py", "timeout": "4s"}},
                {"command": {"name": "reader", "run": "python3 -I ci/once.py", "timeout": "4s", "tree": "shared"}},
                {
                    "command": {
                        "name": "suite",
                        "run": "python3 -I ci/suite.py report.xml",
                        "report": "junit",
                        "path": "report.xml",
                    }
                },
                {"command": {"name": "make", "run": "make -s check"}},
                {"command": {"name": "web", "run": "npm test"}},
                {"test": {"runner": "pytest"}},
                {"document": {"path": "docs/guide.md", "sections": ["Use", "Requirements"], "ids": "R\\d+"}},
            ],
        }
    },
    "land": {"needs": ["code"]},
}


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Program:
    """A file that may be executed."""

    text: str


@dataclass(frozen=True)
class Submodule:
    """Another repository's commit in the place of a folder."""

    commit: str


# By path; None removes a file or a folder.
Content = str | bytes | Link | Program | Submodule | None
Files = Mapping[str, Content]

SAMPLE: Files = {
    "calc/__init__.py": CALC,
    "calc/__main__.py": MAIN,
    "calc/legacy.py": "import os\n",
    "tests/test_calc.py": TESTS,
    "tests/conftest.py": CONFTEST,
    "ci/blackbox.py": BLACKBOX,
    "ci/once.py": ONCE,
    "ci/suite.py": SUITE,
    "ci/types.py": TYPES,
    "Makefile": "check:\n\t@sh ci/check.sh\n",
    "ci/check.sh": "grep -rq 'a + b' calc && python3 ci/rows.py calc\n",
    "ci/rows.py": ROWS,
    "ci/limits.py": "from pathlib import Path\n\nROWS = int(Path(__file__).with_name('rows.txt').read_text())\n",
    "ci/rows.txt": "100\n",
    "package.json": json.dumps({"name": "calc", "scripts": {"test": "node --test"}}),
    "pyproject.toml": PYPROJECT,
    "requirements.txt": "honest\n",
    "docs/guide.md": GUIDE,
    "vendor/other.py": "x = 1\n",
    # JSON is YAML.
    "gatewright.yaml": json.dumps(POLICY, indent=1),
}
