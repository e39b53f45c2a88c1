"""What judges is also what the policy's scripts lead to, and never what they merely judge."""

import json
from collections.abc import Mapping

import pytest

from gatewright.gates.guarded.reached import reached_from, used_scripts


def reached(start: str, files: Mapping[str, str]) -> list[str]:
    return sorted(reached_from([start], paths=files.keys(), read=lambda path: files[path].encode()))


def test_what_a_recipe_starts_is_followed_to_its_end() -> None:
    files = {
        "Makefile": "include common.mk\ncheck: prepare\n\t@$(PYTHON) -X dev ci/rows.py calc && tools/last\n",
        "common.mk": "prepare:\n\tsh -e 'ci/prepare.sh'\n",
        "ci/prepare.sh": ". ci/env\n",
        "ci/env": "X=1\n",
        "ci/rows.py": "from limits import ROWS\nfrom ci.shared import more\nopen('ci/rows.txt')\n",
        "ci/limits.py": "ROWS = 1\n",
        "ci/shared/__init__.py": "from .more import more\n",
        "ci/shared/more.py": "more = 1\n",
        "ci/rows.txt": "1\n",
        "ci/unrelated.py": "",
        "tools/last": "#!/usr/bin/env python3\nimport helper\n",
        "tools/helper.py": "",
    }

    assert reached("Makefile", files) == sorted(files.keys() - {"Makefile", "ci/unrelated.py"})


@pytest.mark.parametrize(
    "line",
    [
        "bash -euo pipefail quality/rows.py",
        "python3 -W error -m quality.rows src/calc.py",
        "python3 -Im quality.rows",
        "env A=1 quality/rows.py",
        "A=1 timeout -k 5 10s quality/rows.py src",
        "if ! quality/rows.py; then exit 1; fi",
        "for file in src/*; do quality/rows.py $file; done",
        "FOUND=`quality/rows.py`",
        "find src -name '*.py' -exec quality/rows.py {} +",
        "xargs -n 1 quality/rows.py < list",
        'sh "$(dirname "$0")/rows.py"',
        '"$HERE"/rows.py',
        '"${HERE}/../quality/rows.py" src',
        '. "$(cd "$(dirname "$0")" && pwd)/rows.py"',
        "\t@quality/rows.py src",
        "\t-@quality/rows.py src",
        "\t@$(PYTHON) -X dev quality/rows.py",
        "python3 -u \\\n    quality/rows.py",
        "uv run quality/rows.py",
        "deno run -A quality/rows.py",
        "node --require ./quality/rows.py quality/other.js",
        "bash -c 'set -e; quality/rows.py'",
        '"$VENV/bin/python" quality/rows.py',
    ],
)
def test_whatever_way_a_script_starts_another_it_is_followed(line: str) -> None:
    files = {"quality/check.sh": f"set -e\n{line}\n", "quality/rows.py": "", "src/calc.py": "", "quality/a.py": ""}

    assert reached("quality/check.sh", files) == ["quality/rows.py"]


@pytest.mark.parametrize(
    "line",
    [
        "sh not-there.sh src/calc.py",
        "python -m pytest src/calc.py",
        "mypy $(FLAGS) src/calc.py",
        "python -W error -m mypy src/calc.py",
        "sh -c 'mypy src/calc.py'",
        "uv run mypy src/calc.py",
        "timeout 10 mypy src/calc.py",
        'ruff check "$ROOT/src/calc.py"',
        'files = [\n  "src/calc.py"\n]',
        "files:\n  - src/calc.py",
        "src/calc.py: src/calc.py.in",
    ],
)
def test_what_a_program_is_given_is_not_what_is_started(line: str) -> None:
    assert reached("quality/check.sh", {"quality/check.sh": f"{line}\n", "src/calc.py": "x = 1\n"}) == []


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("Makefile", "docs/guide.html: docs/guide.md\n\tmypy src/calc.py tests\n\tcp src/calc.py build/\n"),
        ("ci/check.sh", "ruff check scripts/run.py\npytest tests/test_calc.py\n"),
        ("src/check.py", "import calc\nopen('src/calc.py')\n"),
    ],
)
def test_what_is_judged_stays_open_to_changes(start: str, text: str) -> None:
    judged = ("docs/guide.html", "docs/guide.md", "src/calc.py", "tests/test_calc.py", "scripts/run.py")

    assert reached(start, {start: text, **dict.fromkeys(judged, "x = 1\n")}) == []


def test_scripts_that_start_each_other_come_to_an_end() -> None:
    assert reached("ci/a.sh", {"ci/a.sh": "sh ci/b.sh\n", "ci/b.sh": "sh ci/a.sh\n"}) == ["ci/b.sh"]


def test_of_a_package_only_the_scripts_that_a_command_names_count() -> None:
    scripts = {"test": "npm run unit", "unit": "node scripts/unit.js", "pretest": "sh x.sh", "build": "node b.js"}
    text = used_scripts(json.dumps({"scripts": scripts}).encode(), {"npm", "test"})
    files = {"scripts/unit.js": "", "x.sh": "", "b.js": ""}

    found = reached_from((), starters={"package.json": text}, paths=files.keys(), read=lambda path: b"")
    assert found == {"scripts/unit.js", "x.sh"}
    assert used_scripts(b"[", {"test"}) == ""
