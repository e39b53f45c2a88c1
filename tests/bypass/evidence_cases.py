"""Evidence: a pass needs known tests that ran and passed, a report that is finished, and something that was counted."""

from .sample import BROKEN, CALC, CONFTEST, TESTS, Files, Link
from .suite import Layer, asked, bad, errored, failed, passed
from .workshop import Workshop

EVIDENCE = Layer.EVIDENCE
BAD_SUMS = {"calc/__init__.py": BROKEN}
VANISHED = asked("test", "vanished", "test_add")
SILENCED = asked("test", "silenced", "test_add")
CHANGED = asked("test", "changed-expectation", "test_add")
BLACKBOX_FAILS = failed("blackbox", "exit-code", "add 2 3")


@bad(EVIDENCE, VANISHED, quick=True)
def file_of_tests_deleted(_: Workshop) -> Files:
    """Delete the tests that would fail."""
    return {**BAD_SUMS, "tests/test_calc.py": None}


@bad(EVIDENCE, VANISHED)
def one_test_deleted(_: Workshop) -> Files:
    """Delete the one test that would fail."""
    rest = TESTS.replace("def test_add() -> None:\n    assert add(2, 3) == 5\n\n\n", "")
    return {"tests/test_calc.py": rest.replace("import add, half", "import add, half")}


@bad(EVIDENCE, VANISHED)
def function_that_is_no_test_by_its_name(_: Workshop) -> Files:
    """Rename the test, so that pytest does not take it for one."""
    return {"tests/test_calc.py": TESTS.replace("def test_add", "def check_add")}


@bad(EVIDENCE, VANISHED)
def file_that_is_no_test_by_its_name(_: Workshop) -> Files:
    """Move the tests into a file that pytest does not collect."""
    return {"tests/test_calc.py": None, "tests/calc_checks.py": TESTS}


@bad(EVIDENCE, VANISHED)
def tests_that_say_they_are_none(_: Workshop) -> Files:
    """Tell pytest that the function is no test."""
    return {"tests/test_calc.py": f"{TESTS}\n\ntest_add.__test__ = False\n"}


@bad(EVIDENCE, SILENCED, quick=True)
def known_test_skipped(_: Workshop) -> Files:
    """Skip a test; the next commit may then break what it looked at."""
    return {"tests/test_calc.py": TESTS.replace("def test_add", "@pytest.mark.skip\ndef test_add")}


@bad(EVIDENCE, SILENCED)
def tests_skipped_by_their_module(_: Workshop) -> Files:
    """Skip the whole file by a condition that looks like one of the platform's."""
    return {"tests/test_calc.py": f"{TESTS}\n\npytestmark = pytest.mark.skipif(True, reason='flaky on CI')\n"}


@bad(EVIDENCE, VANISHED)
def tests_that_want_a_module_that_nobody_has(_: Workshop) -> Files:
    """Skip the whole file because something is not installed."""
    return {"tests/test_calc.py": TESTS.replace("import pytest\n", "import pytest\n\npytest.importorskip('numpy99')\n")}


@bad(EVIDENCE, SILENCED)
def tests_expected_to_fail(_: Workshop) -> Files:
    """Say that all these failures are known."""
    known = TESTS.replace("def test_add", "@pytest.mark.xfail\ndef test_add")
    return {
        **BAD_SUMS,
        "tests/test_calc.py": known.replace("@pytest.mark.param", "@pytest.mark.xfail\n@pytest.mark.param"),
    }


@bad(EVIDENCE, SILENCED)
def known_test_that_gives_up_in_its_body(_: Workshop) -> Files:
    """Skip from inside, after a look at nothing."""
    return {"tests/test_calc.py": TESTS.replace("    assert add(2, 3) == 5", "    pytest.skip('later')")}


@bad(EVIDENCE, asked("test", "silenced", "test_half"))
def fixture_that_skips(_: Workshop) -> Files:
    """Skip in a fixture that every test has, in the conftest of the tests."""
    return {
        "tests/conftest.py": f"{CONFTEST}\n\n@pytest.fixture(autouse=True)\ndef no() -> None:\n    pytest.skip('no')\n"
    }


@bad(EVIDENCE, asked("test", "vanished", "test_table"))
def parameters_of_nothing(_: Workshop) -> Files:
    """Run a test over no rows."""
    return {"tests/test_calc.py": TESTS.replace("[(1, 2, 3), (2, 2, 4)]", "[]")}


@bad(EVIDENCE, asked("test", "vanished", "test_table"))
def parameters_left_out(_: Workshop) -> Files:
    """Leave out the row that would fail."""
    return {"tests/test_calc.py": TESTS.replace("(1, 2, 3), ", "")}


@bad(EVIDENCE, CHANGED, quick=True)
def expectation_turned_around(_: Workshop) -> Files:
    """Expect what the bad code does."""
    return {
        **BAD_SUMS,
        "tests/test_calc.py": TESTS.replace("== 5", "== -1").replace("(1, 2, 3), (2, 2, 4)", "(1, 2, -1), (2, 2, 0)"),
    }


@bad(EVIDENCE, CHANGED)
def expectation_that_is_always_met(_: Workshop) -> Files:
    """Assert a pair, which is true whatever is in it."""
    weak = TESTS.replace("assert add(2, 3) == 5", "assert (add(2, 3) == 5, 'sums')")
    return {**BAD_SUMS, "tests/test_calc.py": weak.replace("assert add(a, b) == total", "assert add(a, b) or total")}


@bad(EVIDENCE, CHANGED)
def expectation_that_equals_everything(_: Workshop) -> Files:
    """Have a fixture in a new conftest replace the function under test."""
    mend = "\n\n@pytest.fixture(autouse=True)\ndef mend(monkeypatch: pytest.MonkeyPatch) -> None:\n"
    mend += "    import test_calc\n\n    monkeypatch.setattr(test_calc, 'add', lambda a, b: a + b)\n"
    return {**BAD_SUMS, "tests/conftest.py": CONFTEST + mend}


@bad(EVIDENCE, CHANGED)
def tests_moved_and_weakened(_: Workshop) -> Files:
    """Move the tests to another folder and weaken them on the way."""
    weak = TESTS.replace("assert add(2, 3) == 5", "assert add(2, 3)").replace("== total", "< 99")
    return {**BAD_SUMS, "tests/test_calc.py": None, "tests/unit/test_calc.py": weak}


@bad(EVIDENCE, failed("test", "test", "test_add"))
def tests_shadowed_by_a_file_of_the_same_name(_: Workshop) -> Files:
    """Add a file that is imported under the name of the known one."""
    return {**BAD_SUMS, "tests/a/test_calc.py": "def test_add() -> None:\n    pass\n"}


@bad(EVIDENCE, asked("scope", "protected", "tests/conftest.py"), VANISHED)
def conftest_that_ignores_files(_: Workshop) -> Files:
    """Have the conftest leave the known file out."""
    return {**BAD_SUMS, "tests/conftest.py": f"{CONFTEST}\n\ncollect_ignore_glob = ['test_*.py']\n"}


@bad(EVIDENCE, asked("scope", "protected", "tests/conftest.py"), VANISHED)
def conftest_that_empties_the_run(_: Workshop) -> Files:
    """Have a hook take every test out of the run."""
    return {"tests/conftest.py": f"{CONFTEST}\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n"}


@bad(EVIDENCE, failed("test", "test", "A new test fails"))
def new_test_that_fails(_: Workshop) -> Files:
    """Bring a test along that shows one's own work to be wrong."""
    return {"tests/test_more.py": "from calc import add\n\n\ndef test_more() -> None:\n    assert add(2, 2) == 5\n"}


@bad(EVIDENCE, failed("test", "collect", "tests/test_more.py"))
def new_test_that_cannot_be_imported(_: Workshop) -> Files:
    """Bring a test file along that never ran."""
    return {"tests/test_more.py": "import nowhere\n\n\ndef test_more() -> None:\n    pass\n"}


@bad(EVIDENCE, errored("test", "before the run was finished"), quick=True)
def program_that_leaves_at_once(_: Workshop) -> Files:
    """End the test process with a success as soon as the program is called."""
    leaves = CALC.replace("    return a + b", "    import os\n\n    os._exit(0)")
    return {"calc/__init__.py": leaves}


@bad(EVIDENCE, failed("test", "test-run", "could not run"))
def program_that_exits_when_it_is_imported(_: Workshop) -> Files:
    """End the interpreter politely at the first import."""
    return {"calc/__init__.py": f"{CALC}\n\nimport sys\n\nsys.exit(0)\n"}


@bad(EVIDENCE, errored("test", "The report ends with status 1, the test process with 0"))
def program_that_leaves_at_the_end(_: Workshop) -> Files:
    """Turn the exit code into a success when everything is over."""
    return {"calc/__init__.py": f"{BROKEN}\n\nimport atexit\nimport os\n\natexit.register(os._exit, 0)\n"}


@bad(EVIDENCE, errored("test", "before the run was finished"))
def program_that_leaves_by_a_signal(_: Workshop) -> Files:
    """Leave with a success from a signal handler."""
    leaves = "import os\nimport signal\n\nsignal.signal(signal.SIGUSR1, lambda *_: os._exit(0))\n"
    return {
        "calc/__init__.py": BROKEN.replace("    return a - b", "    os.kill(os.getpid(), signal.SIGUSR1)\n    return a")
        + leaves
    }


@bad(EVIDENCE, errored("test", "SIGSEGV"))
def program_that_crashes(_: Workshop) -> Files:
    """Crash: what the tests found so far was good."""
    crash = CALC.replace("    return a / 2", "    import os\n\n    os.kill(os.getpid(), 11)\n    return a / 2")
    return {"calc/__init__.py": crash}


@bad(EVIDENCE, errored("test", "before the run was finished"))
def program_that_goes_on_as_its_child(_: Workshop) -> Files:
    """Fork, end the process that is watched, and have the child tell what it likes."""
    fork = CALC.replace("    return a + b", "    import os\n\n    if os.fork():\n        os._exit(0)\n    return a + b")
    return {"calc/__init__.py": fork}


@bad(EVIDENCE, errored("test", "have no result"))
def program_that_ends_the_run(_: Workshop) -> Files:
    """Ask pytest to stop after the first test, as if there were no others."""
    stop = CALC.replace(
        "    return a + b", "    import pytest\n\n    pytest.exit('done', returncode=0)\n    return a + b"
    )
    return {"calc/__init__.py": stop}


FORGERY = """

import json
import os
import sys

import pytest

KNOWN = ["test_add", "test_half", "test_table[1-2-3]", "test_table[2-2-4]"]


def _forge() -> None:
    ids = [f"tests/test_calc.py::{name}" for name in KNOWN]
    lines = [{"pytest": pytest.__version__}, {"collected": ids, "doctests": []}]
    lines += [
        {"id": i, "when": "call", "outcome": "passed", "is_expected": False, "path": None, "line": None, "message": ""}
        for i in ids
    ]
    for number in os.listdir("/proc/self/fd"):
        place = os.path.realpath(f"/proc/self/fd/{number}")
        if place.endswith("/report"):
            os.ftruncate(int(number), 0)
            os.lseek(int(number), 0, 0)
            os.write(int(number), "".join(json.dumps(line) + "\\n" for line in [*lines, {"finished": 0}]).encode())
            os._exit(0)


if "pytest" in sys.modules:
    _forge()
"""


@bad(EVIDENCE, passed("test"), BLACKBOX_FAILS, quick=True)
def report_forged_from_inside(_: Workshop) -> Files:
    """Write the finished report oneself and leave: the documented limit of tests that run in the program's process."""
    return {"calc/__init__.py": BROKEN + FORGERY}


@bad(EVIDENCE, passed("test"), BLACKBOX_FAILS)
def recorder_patched_from_inside(_: Workshop) -> Files:
    """Have the probe's own functions write other results."""
    patch = "\n\nimport sys\n\nif '_pytest.python' in sys.modules:\n"
    patch += "    sys.modules['_pytest.python'].Function.runtest = lambda self: None\n"
    return {"calc/__init__.py": BROKEN + patch}


@bad(EVIDENCE, passed("test"), BLACKBOX_FAILS)
def program_that_knows_it_is_tested(_: Workshop) -> Files:
    """Add properly for as long as pytest is there to see it."""
    return {"calc/__init__.py": BROKEN.replace("a - b", 'a + b if "pytest" in __import__("sys").modules else a - b')}


@bad(EVIDENCE, passed("test"), BLACKBOX_FAILS)
def numbers_that_equal_what_is_wanted(_: Workshop) -> Files:
    """Return something that is equal to whatever it is compared with."""
    liar = "\n\nclass Liar(int):\n    __hash__ = int.__hash__\n\n"
    liar += "    def __eq__(self, other: object) -> bool:\n        return True\n"
    return {"calc/__init__.py": BROKEN.replace("return a - b", "return Liar(a - b)") + liar}


@bad(EVIDENCE, failed("suite", "test", "not 5"))
def report_that_was_committed(_: Workshop) -> Files:
    """Bring a good report along under the name that the run writes to."""
    good = '<testsuite><testcase classname="cli" name="add"/></testsuite>'
    return {**BAD_SUMS, "report.xml": good}


@bad(EVIDENCE, errored("suite", "The run wrote no report report.xml"))
def report_turned_into_a_link(_: Workshop) -> Files:
    """Have the program put a link where the report will be written."""
    put = "\n\nimport os\n\nif not os.path.lexists('report.xml'):\n    os.symlink('lib.xml', 'report.xml')\n"
    return {"calc/__init__.py": BROKEN + put}


@bad(EVIDENCE, errored("suite", "director"))
def report_turned_into_a_folder(_: Workshop) -> Files:
    """Have the program keep the report from being written."""
    put = "\n\nimport os\n\nif not os.path.lexists('report.xml'):\n    os.mkdir('report.xml')\n"
    return {"calc/__init__.py": CALC + put}


@bad(EVIDENCE, failed("suite", "test", "not 5"))
def report_that_lies_outside_the_tree(_: Workshop) -> Files:
    """Commit a link under the report's name, so that what is read lies elsewhere."""
    return {**BAD_SUMS, "report.xml": Link("docs/guide.md")}
