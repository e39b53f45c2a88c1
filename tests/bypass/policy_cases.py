"""The policy: what judges a commit comes from the pinned policy commit, in every place where a tool looks for it.

Each case brings bad code along with rules that would allow it. The gate still objects to the code, and `scope` asks a
person about the rules.
"""

import json

from .sample import BROKEN, CALC, CONFTEST, POLICY, PYPROJECT, Files, Link
from .suite import Layer, asked, bad, failed
from .workshop import Workshop

POLICY_LAYER = Layer.POLICY
UNUSED = {"calc/extra.py": '"""More."""\n\nimport os\n'}
BARE = {"calc/extra.py": '"""More."""\n\n\ndef more():\n    """More."""\n'}
BAD_SUMS = {"calc/__init__.py": BROKEN}
ALWAYS = "import sys\n\nsys.exit(0)\n"

TEST_FAILS = failed("test", "test", "test_add")
RUFF_FAILS = failed("ruff", "F401", "calc/extra.py")
TYPES_FAIL = failed("types", "no-untyped-def", "calc/extra.py")
BLACKBOX_FAILS = failed("blackbox", "exit-code", "add 2 3")
MAKE_FAILS = failed("make", "exit-code", "make -s check")


def ask_about(path: str) -> object:
    """A person is asked about the change of this file."""
    return asked("scope", "protected", path)


@bad(POLICY_LAYER, asked("scope", "protected", "gatewright.yaml"), BLACKBOX_FAILS, quick=True)
def pipeline_without_gates_that_object(_: Workshop) -> Files:
    """Take the gates out of the pipeline in the very commit that they would fail."""
    stages = {"code": {"goal": "Do it.", "gates": ["compile"]}}
    return {**BAD_SUMS, "gatewright.yaml": json.dumps({**POLICY, "stages": stages})}


@bad(POLICY_LAYER, failed("scope", "outside", "vendor/other.py"))
def pipeline_that_allows_more_paths(_: Workshop) -> Files:
    """Allow oneself the paths that the stage may not write."""
    text = json.dumps(POLICY).replace('"calc/**"', '"calc/**", "vendor/**"')
    return {"gatewright.yaml": text, "vendor/other.py": "x = 2\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "gatewright.yaml"), BLACKBOX_FAILS)
def pipeline_of_the_same_name_in_other_case(_: Workshop) -> Files:
    """Bring the pipeline along under a name that is the same where case does not count."""
    return {**BAD_SUMS, "gatewright.yaml": None, "Gatewright.yaml": json.dumps({**POLICY, "version": 1})}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/blackbox.py"), BLACKBOX_FAILS)
def script_of_a_gate_edited(_: Workshop) -> Files:
    """Have the program that a gate runs always be content."""
    return {**BAD_SUMS, "ci/blackbox.py": ALWAYS}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/blackbox.py"), BLACKBOX_FAILS)
def script_of_a_gate_replaced_by_a_link(_: Workshop) -> Files:
    """Have the name of the program lead to another one."""
    return {**BAD_SUMS, "ci/blackbox.py": Link("content.py"), "ci/content.py": ALWAYS}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/blackbox.py"), BLACKBOX_FAILS)
def script_of_a_gate_replaced_by_a_folder(_: Workshop) -> Files:
    """Have Python start the `__main__.py` of a folder that has the program's name."""
    return {**BAD_SUMS, "ci/blackbox.py": None, "ci/blackbox.py/__main__.py": ALWAYS}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/subprocess.py"), BLACKBOX_FAILS, quick=True)
def module_beside_the_script_of_a_gate(_: Workshop) -> Files:
    """Put a module beside the gate's program that stands in for one of Python's own."""
    forged = "class done: returncode, stdout, stderr = 0, '', ''\n\n\ndef run(*a, **k):\n    raise SystemExit(0)\n"
    return {**BAD_SUMS, "ci/subprocess.py": forged}


@bad(POLICY_LAYER, asked("scope", "protected", "Makefile"), MAKE_FAILS)
def recipe_edited(_: Workshop) -> Files:
    """Have the target that a gate makes do nothing."""
    return {**BAD_SUMS, "Makefile": "check:\n\t@true\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "GNUmakefile"), MAKE_FAILS, quick=True)
def recipe_that_is_read_first(_: Workshop) -> Files:
    """Leave the Makefile alone and bring the one that make prefers."""
    return {**BAD_SUMS, "GNUmakefile": "check:\n\t@true\n"}


LONG = {"calc/rows.py": '"""Rows."""\n' + "\n" * 150}
TOO_LONG = failed("make", "exit-code", "more than 100 rows")


@bad(POLICY_LAYER, asked("scope", "protected", "ci/check.sh"), MAKE_FAILS, quick=True)
def script_that_a_recipe_starts(_: Workshop) -> Files:
    """Leave the recipe alone, and change the script that it starts."""
    return {**BAD_SUMS, "ci/check.sh": "exit 0\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/rows.py"), TOO_LONG)
def script_that_a_script_starts(_: Workshop) -> Files:
    """Leave that script alone too, and change the one that it starts."""
    return {**LONG, "ci/rows.py": ALWAYS}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/limits.py"), TOO_LONG)
def module_that_a_script_imports(_: Workshop) -> Files:
    """Change what the script imports from beside it."""
    return {**LONG, "ci/limits.py": "ROWS = 1_000\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "ci/rows.txt"), TOO_LONG)
def number_that_a_script_reads(_: Workshop) -> Files:
    """Change the number that decides what is too much."""
    return {**LONG, "ci/rows.txt": "1000\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "package.json"))
def script_of_package_json(_: Workshop) -> Files:
    """Have `npm test` do nothing."""
    return {"package.json": json.dumps({"name": "calc", "scripts": {"test": "true"}})}


@bad(POLICY_LAYER, asked("scope", "protected", ".npmrc"))
def settings_of_npm(_: Workshop) -> Files:
    """Have npm run scripts in a shell of one's own."""
    return {".npmrc": "script-shell=/bin/true\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "node_modules/.bin/node"))
def program_where_npm_looks_first(_: Workshop) -> Files:
    """Put a program into the folder that npm puts in front of the PATH."""
    return {"web/node_modules/.bin/node": "#!/bin/sh\nexit 0\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), RUFF_FAILS)
def ruff_rules_in_pyproject(_: Workshop) -> Files:
    """Select no rules in the table that the policy has."""
    return {**UNUSED, "pyproject.toml": PYPROJECT.replace('["E", "F", "S307"]', "[]")}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), RUFF_FAILS)
def ruff_rules_by_file(_: Workshop) -> Files:
    """Ignore every rule for one's own files, in a table of its own."""
    return {**UNUSED, "pyproject.toml": f'{PYPROJECT}\n[tool.ruff.lint.per-file-ignores]\n"calc/extra.py" = ["ALL"]\n'}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), RUFF_FAILS)
def ruff_rules_written_inline(_: Workshop) -> Files:
    """Write the table so that whoever looks for its heading does not find it."""
    rest = PYPROJECT.partition("[tool.ruff]")[0] + "[tool.pytest.ini_options]\ntestpaths = ['tests']\n"
    return {**UNUSED, "pyproject.toml": "tool.ruff = {exclude = ['calc'], lint = {select = []}}\n" + rest}


@bad(POLICY_LAYER, asked("scope", "protected", "ruff.toml"), RUFF_FAILS)
def ruff_toml(_: Workshop) -> Files:
    """Bring a file that ruff prefers to the policy's."""
    return {**UNUSED, "ruff.toml": "exclude = ['*']\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "calc/.ruff.toml"), RUFF_FAILS, quick=True)
def ruff_toml_in_a_folder(_: Workshop) -> Files:
    """Bring a file that counts for the files beside it."""
    return {**UNUSED, "calc/.ruff.toml": "lint.select = []\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "calc/pyproject.toml"), RUFF_FAILS)
def pyproject_in_a_folder(_: Workshop) -> Files:
    """Bring a mixed file that counts for the files beside it."""
    return {**UNUSED, "calc/pyproject.toml": "[tool.ruff]\nexclude = ['*']\n"}


@bad(POLICY_LAYER, RUFF_FAILS)
def files_that_git_ignores(_: Workshop) -> Files:
    """Have ruff skip the file because git would ignore it."""
    return {**UNUSED, ".gitignore": "calc/extra.py\n", ".ignore": "calc\n"}


@bad(POLICY_LAYER, failed("ruff", "F401", "build/extra.py"))
def folder_that_ruff_skips_by_habit(_: Workshop) -> Files:
    """Put the file where ruff does not look unless it is told to."""
    return {"calc/build/extra.py": '"""More."""\n\nimport os\n'}


@bad(POLICY_LAYER, asked("scope", "protected", "mypy.ini"), TYPES_FAIL, quick=True)
def mypy_ini(_: Workshop) -> Files:
    """Bring a file that mypy prefers to the policy's."""
    return {**BARE, "mypy.ini": "[mypy]\nignore_errors = True\n"}


@bad(POLICY_LAYER, asked("scope", "protected", ".mypy.ini"), TYPES_FAIL)
def hidden_mypy_ini(_: Workshop) -> Files:
    """Bring the same file under its hidden name."""
    return {**BARE, ".mypy.ini": "[mypy]\nignore_errors = True\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "setup.cfg"), TYPES_FAIL)
def mypy_section_of_setup_cfg(_: Workshop) -> Files:
    """Bring the section in a file that has others."""
    return {**BARE, "setup.cfg": "[metadata]\nname = calc\n\n[mypy]\nignore_errors = True\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), TYPES_FAIL)
def mypy_table_of_pyproject(_: Workshop) -> Files:
    """Change one word of the policy's table."""
    return {**BARE, "pyproject.toml": PYPROJECT.replace("strict = true", "ignore_errors = true")}


@bad(POLICY_LAYER, asked("scope", "protected", "pytest.ini"), TEST_FAILS)
def pytest_ini(_: Workshop) -> Files:
    """Bring a file that pytest prefers to the policy's, and that collects nothing."""
    return {**BAD_SUMS, "pytest.ini": "[pytest]\npython_files = none.py\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "tests/.pytest.ini"), TEST_FAILS)
def hidden_pytest_ini_in_a_folder(_: Workshop) -> Files:
    """Bring one that would make the folder the root of the run."""
    return {**BAD_SUMS, "tests/.pytest.ini": "[pytest]\naddopts = --collect-only\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "tox.ini"), TEST_FAILS)
def pytest_section_of_tox_ini(_: Workshop) -> Files:
    """Bring the section in tox's file."""
    return {**BAD_SUMS, "tox.ini": "[pytest]\naddopts = -k nothing\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), TEST_FAILS)
def pytest_table_of_pyproject(_: Workshop) -> Files:
    """Have every test be expected to fail, by one option in the policy's table."""
    options = 'testpaths = ["tests"]\naddopts = "--collect-only"'
    return {**BAD_SUMS, "pyproject.toml": PYPROJECT.replace('testpaths = ["tests"]', options)}


@bad(POLICY_LAYER, asked("scope", "protected", ".coveragerc"))
def coverage_settings(_: Workshop) -> Files:
    """Leave one's own files out of what coverage counts."""
    return {".coveragerc": "[run]\nomit = calc/extra.py\n", **BARE}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), BLACKBOX_FAILS)
def pyproject_that_is_a_link(_: Workshop) -> Files:
    """Have the mixed file be a link: read as text it has no tables at all."""
    return {**BAD_SUMS, "pyproject.toml": Link("calc/rules.toml"), "calc/rules.toml": "[tool.ruff]\nexclude = ['*']\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "pyproject.toml"), RUFF_FAILS)
def pyproject_that_cannot_be_read(_: Workshop) -> Files:
    """Break the mixed file, so that nobody can say which tables changed."""
    return {**UNUSED, "pyproject.toml": "[tool.ruff\n"}


@bad(POLICY_LAYER, asked("scope", "protected", "made/installed"), BLACKBOX_FAILS)
def what_setup_makes(_: Workshop) -> Files:
    """Bring the folder along that setup makes, with other contents."""
    return {**BAD_SUMS, "made/installed": "evil\n"}


@bad(POLICY_LAYER, asked("scope", "protected", ".gitmodules"))
def submodule_moved_to_another_address(_: Workshop) -> Files:
    """Have a submodule come from somebody else."""
    return {".gitmodules": '[submodule "lib"]\n\tpath = lib/other\n\turl = https://example.org/evil.git\n'}


CONFTEST_HOOK = f"""{CONFTEST}

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    done = yield
    done.get_result().outcome = "passed"
"""


@bad(
    POLICY_LAYER,
    asked("scope", "protected", "tests/conftest.py"),
    asked("test", "changed-expectation", "test_add"),
    quick=True,
)
def conftest_that_reports_a_pass(_: Workshop) -> Files:
    """Have a hook turn every failure into a pass."""
    return {"calc/__init__.py": CALC.replace("a + b", "a * b"), "tests/conftest.py": CONFTEST_HOOK}
