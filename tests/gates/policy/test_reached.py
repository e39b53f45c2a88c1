"""What judges is also what the policy's scripts lead to, and never what they merely judge."""

import json
from collections.abc import Mapping

import pytest

from gatewright.gates.reached import reached_from, used_scripts


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
