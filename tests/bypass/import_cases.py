"""Imports: what a commit brings along under the name of something else stands in for nothing that judges it."""

import importlib.util
import marshal

from .sample import BROKEN, CALC, Files, Program
from .suite import Layer, asked, bad, failed
from .workshop import Workshop

REGIME = Layer.REGIME
BAD_SUMS = {"calc/__init__.py": BROKEN}
TEST_FAILS = failed("test", "test", "test_add")
BLACKBOX_FAILS = failed("blackbox", "exit-code", "add 2 3")
LEAVES = "import os\n\nos._exit(0)\n"
MENDS = "import calc\n\ncalc.add = lambda a, b: a + b\n"


@bad(REGIME, TEST_FAILS, quick=True)
def pytest_in_the_tree(_: Workshop) -> Files:
    """Bring a `pytest.py` along whose run is always content."""
    return {**BAD_SUMS, "pytest.py": "def main(*a, **k):\n    return 0\n"}


@bad(REGIME, TEST_FAILS)
def parts_of_pytest_in_the_tree(_: Workshop) -> Files:
    """Bring along what pytest itself imports."""
    return {**BAD_SUMS, "_pytest/__init__.py": LEAVES, "pluggy.py": LEAVES, "iniconfig.py": LEAVES}


@bad(REGIME, TEST_FAILS)
def standard_library_in_the_tree(_: Workshop) -> Files:
    """Bring along modules of Python's own that everything imports."""
    return {**BAD_SUMS, "lib/json.py": LEAVES, "lib/typing.py": LEAVES, "lib/re.py": LEAVES, "calc/os.py": LEAVES}


@bad(REGIME, asked("scope", "protected", "json.py"), BLACKBOX_FAILS, TEST_FAILS)
def standard_library_at_the_root(_: Workshop) -> Files:
    """Bring them along at the root, where a program that is started there looks first."""
    return {**BAD_SUMS, "json.py": LEAVES, "typing.py": LEAVES, "subprocess.py": LEAVES}


@bad(REGIME, failed("ruff", "F401", "calc/extra.py"))
def ruff_in_the_tree(_: Workshop) -> Files:
    """Bring along a program, a module and a folder called ruff."""
    program = Program("#!/bin/sh\nexit 0\n")
    return {"calc/extra.py": '"""More."""\n\nimport os\n', "ruff": program, "web/ruff": program, "lib/ruff.py": LEAVES}


@bad(REGIME, asked("scope", "protected", "sitecustomize.py"), TEST_FAILS, BLACKBOX_FAILS)
def code_that_python_runs_when_it_starts(_: Workshop) -> Files:
    """Bring along the modules that Python imports by itself."""
    return {**BAD_SUMS, "sitecustomize.py": LEAVES, "usercustomize.py": LEAVES}


@bad(REGIME, failed("scope", "bytecode", "calc.pth"), TEST_FAILS)
def path_file(_: Workshop) -> Files:
    """Bring along a file whose lines Python runs where it is installed."""
    return {**BAD_SUMS, "calc.pth": "import os; os._exit(0)\n"}


@bad(REGIME, failed("scope", "bytecode", "calc/__pycache__"), TEST_FAILS, quick=True)
def bytecode_that_is_never_checked(_: Workshop) -> Files:
    """Bring compiled code along that says otherwise than the source beside it, with the flag that forbids the look."""
    code = marshal.dumps(compile(CALC, "calc/__init__.py", "exec"))
    forged = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(b"") + code
    name = importlib.util.cache_from_source("__init__.py").rpartition("/")[2]
    return {**BAD_SUMS, f"calc/__pycache__/{name}": forged}


@bad(REGIME, failed("scope", "bytecode", "calc/__init__.so"), TEST_FAILS)
def extension_in_the_place_of_a_module(_: Workshop) -> Files:
    """Bring along a binary, which Python prefers to the source of the same name."""
    return {**BAD_SUMS, "calc/__init__.so": b"\x7fELF"}


@bad(REGIME, failed("scope", "bytecode", "calc.dist-info"))
def installed_package_in_the_tree(_: Workshop) -> Files:
    """Bring along the record of an installed package with a plug-in for pytest."""
    entry = "[pytest11]\nevil = lib.evil\n"
    return {"lib/calc.dist-info/entry_points.txt": entry, "lib/calc.dist-info/METADATA": "Name: calc\nVersion: 1\n"}


@bad(REGIME, TEST_FAILS)
def site_packages_in_the_tree(_: Workshop) -> Files:
    """Bring along a folder that looks like what is installed."""
    folder = "lib/python3.11/site-packages"
    return {**BAD_SUMS, f"{folder}/pytest.py": LEAVES, f"{folder}/calc.py": CALC}


@bad(REGIME, TEST_FAILS)
def environment_file(_: Workshop) -> Files:
    """Bring along files that set variables, and choose a Python."""
    variables = "PYTHONPATH=lib\nPYTEST_ADDOPTS=--collect-only\nPYTHONSTARTUP=lib/evil.py\n"
    return {
        **BAD_SUMS,
        ".env": variables,
        ".envrc": variables,
        ".python-version": "evil\n",
        "pyvenv.cfg": "home = lib\n",
    }


@bad(REGIME, asked("test", "changed-expectation", "test_add"), BLACKBOX_FAILS)
def package_of_tests_that_fills_the_modules(_: Workshop) -> Files:
    """Have the package around the tests put another `calc` where imports look first."""
    fill = "import sys\nimport types\n\nforged = types.ModuleType('calc')\nforged.add = lambda a, b: a + b\n"
    fill += "forged.half = lambda a: a / 2\nsys.modules['calc'] = forged\n"
    return {**BAD_SUMS, "tests/__init__.py": fill}


@bad(REGIME, TEST_FAILS)
def new_test_that_mends_for_the_others(_: Workshop) -> Files:
    """Add a test file that is collected first and patches what the known tests see."""
    return {**BAD_SUMS, "tests/test_aaa.py": f"{MENDS}\n\ndef test_new() -> None:\n    assert calc.add\n"}


@bad(REGIME, TEST_FAILS)
def new_test_that_loads_a_plugin(_: Workshop) -> Files:
    """Add a test file that names a plug-in of the tree."""
    plugin = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
    test = 'pytest_plugins = ["lib_evil"]\n\n\ndef test_new() -> None:\n    pass\n'
    return {**BAD_SUMS, "lib_evil.py": plugin, "tests/test_aaa.py": test}


@bad(REGIME, asked("test", "changed-expectation", "test_add"))
def module_beside_the_tests(_: Workshop) -> Files:
    """Put a good `calc` beside the tests, where pytest has Python look first."""
    return {**BAD_SUMS, "tests/calc.py": CALC}


@bad(REGIME, asked("scope", "protected", "conftest.py"), asked("test", "changed-expectation", "test_add"))
def conftest_at_the_root_that_mends(_: Workshop) -> Files:
    """Bring a new conftest along that patches the program for every test."""
    return {**BAD_SUMS, "conftest.py": MENDS}


@bad(REGIME, failed("blackbox", "exit-code", "add 2 3"), failed("test", "test", "test_add"))
def two_packages_of_one_name(_: Workshop) -> Files:
    """Have a good package where some tools look and the bad one where people import it."""
    return {**BAD_SUMS, "lib/calc/__init__.py": CALC, "calc/calc.py": CALC}
