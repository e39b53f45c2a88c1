"""The `test` gate: which runs it believes, what it holds against an artifact, and what it leaves to a person."""

from pathlib import Path

import pytest

from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Project

TEST = {"test": {"runner": "pytest"}}
CALC, TESTS = SAMPLE["calc.py"], SAMPLE["tests/test_calc.py"]
BROKEN = CALC.replace("a + b", "a - b")
REWRITTEN = {"calc.py": BROKEN, "tests/test_calc.py": TESTS.replace("== 5", "== -1")}
RED = {**SAMPLE, "tests/test_red.py": "def test_red():\n    assert 0\n\n\ndef test_green():\n    assert 1\n"}
RED_FIRST = {"test": {"runner": "pytest", "red_first": True}}
TWICE = {"calc.py": CALC + "\n\ndef twice(a):\n    return 2 * a\n"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("sample"), [TEST])


def judge(project: Project, files: Files, **changed: object) -> Evidence:
    return project.judge(project.commit(files, on=project.base), **changed)["test"]


@pytest.mark.slow
def test_known_and_new_tests_are_run_and_counted(sample: Project) -> None:
    evidence = judge(
        sample, {"calc.py": CALC + "\n\nx = 1\n", "tests/test_more.py": "def test_more():\n    assert 1\n"}
    )

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 3, "tests")
    assert dict(evidence.environment)["pytest"]


@pytest.mark.slow
def test_a_test_that_passed_on_the_base_and_fails_now_is_told_with_its_line(sample: Project) -> None:
    evidence = judge(sample, {"calc.py": BROKEN})

    assert evidence.outcome is Outcome.FAILED
    [finding] = evidence.findings
    assert finding.where == "tests/test_calc.py:5"
    assert "assert -1 == 5" in finding.message
    assert finding.satisfy == "Make tests/test_calc.py::test_add pass."


@pytest.mark.slow
def test_the_same_failure_has_the_same_id_in_another_attempt_and_on_another_line(sample: Project) -> None:
    first = judge(sample, {"calc.py": BROKEN})
    second = judge(sample, {"calc.py": BROKEN + "\n", "tests/test_calc.py": "\n\n" + TESTS})

    assert [(f.id, f.fingerprint) for f in first.findings] == [(f.id, f.fingerprint) for f in second.findings]
    assert [f.where for f in second.findings] == ["tests/test_calc.py:7"]


def test_an_error_in_the_code_is_told_where_the_code_raises(sample: Project) -> None:
    evidence = judge(sample, {"calc.py": CALC.replace("    return a / 2", "    return a / 0")})

    assert [f.where for f in evidence.findings] == ["calc.py:6"]


@pytest.mark.slow
def test_a_helper_that_compares_is_not_named_in_place_of_the_test(tmp_path: Path) -> None:
    """tabulate's tests share one that prints what it expected and asserts."""
    helper = "def same(a, b):\n    print(a, 'is not', b)\n    assert a == b\n"
    tests = "from common import same\nfrom calc import add\n\n\ndef test_add():\n    same(add(2, 3), 5)\n"
    project = Project(tmp_path, [TEST], {"calc.py": CALC, "tests/common.py": helper, "tests/test_calc.py": tests})

    [finding] = judge(project, {"calc.py": BROKEN}).findings

    assert finding.where == "tests/test_calc.py:6"
    assert "AssertionError: it printed -1 is not 5" in finding.message


@pytest.mark.slow
def test_a_test_that_leans_on_those_of_another_file_is_no_obstacle_to_a_change_of_its_own_file(tmp_path: Path) -> None:
    """structlog's tests do: by themselves, fifteen in one file fail on its main branch too."""
    before = "import calc\n\n\ndef test_set():\n    calc.seen = True\n"
    leaning = "import calc\n\n\ndef test_seen():\n    assert calc.seen\n"
    project = Project(tmp_path, [TEST], {"calc.py": CALC, "tests/test_a.py": before, "tests/test_b.py": leaning})

    honest = judge(project, {"tests/test_b.py": leaning + "\n\ndef test_more():\n    assert 1\n"})
    broken = judge(project, {"tests/test_b.py": leaning.replace("assert", "assert not")})

    assert honest.outcome is Outcome.PASSED
    assert [f.rule for f in honest.tolerated] == ["flake"]
    assert "tests/test_b.py::test_seen failed once and passed when it ran again." in honest.summary
    assert [f.where for f in broken.findings] == ["tests/test_b.py:5"]


ROWS = (
    "import pytest\nfrom calc import add\n\n\n"
    "@pytest.mark.parametrize('pair, total', [([1, 1], 2), ([2, 2], 4)])\n"
    "def test_rows(pair, total):\n    assert add(*pair) == total\n"
)


@pytest.fixture(scope="module")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With rows of parameters, and an example in the code."""
    documented = CALC.replace("def half(a):\n", 'def half(a):\n    """\n    >>> half(4)\n    2.0\n    """\n')
    files = {"calc.py": documented, "tests/test_rows.py": ROWS}
    gate = {"test": {"runner": "pytest", "args": ["--doctest-modules"]}}
    return Project(tmp_path_factory.mktemp("tabled"), [gate], files)


class TestAnIdThatSaysMoreThanTheTest:
    def test_a_new_row_may_change_the_numbers_of_those_after_it(self, tabled: Project) -> None:
        evidence = judge(tabled, {"tests/test_rows.py": ROWS.replace("[([1", "[([0, 5], 5), ([1")})

        assert evidence.outcome is Outcome.PASSED

    def test_a_row_that_is_gone_is_a_persons_to_allow(self, tabled: Project) -> None:
        evidence = judge(tabled, {"tests/test_rows.py": ROWS.replace("([1, 1], 2), ", "")})

        assert [f.rule for f in evidence.findings] == ["vanished"]

    @pytest.mark.slow
    def test_a_row_that_hides_behind_its_number_is_a_changed_expectation(self, tabled: Project) -> None:
        rows = ROWS.replace("[([1, 1], 2), ", "[([7, 9], -2), ([1, 1], 0), ").replace(", 4)", ", 0)")
        evidence = judge(tabled, {"calc.py": BROKEN, "tests/test_rows.py": rows})

        assert evidence.outcome is not Outcome.PASSED

    def test_an_example_may_move_with_its_function(self, tabled: Project) -> None:
        add, half = tabled.git("show", f"{tabled.base}:calc.py").split("\n\n\n")
        evidence = judge(tabled, {"calc.py": f"from halves import half\n\n\n{add}\n", "halves.py": half})

        assert evidence.outcome is Outcome.PASSED

    def test_an_example_that_is_gone_is_a_persons_to_allow(self, tabled: Project) -> None:
        evidence = judge(tabled, {"calc.py": CALC})

        assert [f.rule for f in evidence.findings] == ["vanished"]


class TestAChangedExpectation:
    """It fails as it was and passes as rewritten."""

    def test_is_shown_to_a_person_old_and_new(self, sample: Project) -> None:
        evidence = judge(sample, REWRITTEN)

        assert evidence.outcome is Outcome.PENDING
        assert [f.rule for f in evidence.findings] == ["changed-expectation"]
        assert evidence.question is not None
        assert "-    assert add(2, 3) == 5" in evidence.question
        assert "+    assert add(2, 3) == -1" in evidence.question

    @pytest.mark.slow
    def test_passes_once_a_person_has_allowed_exactly_that(self, sample: Project) -> None:
        asked = judge(sample, REWRITTEN)
        allowed = tuple(f.fingerprint for f in asked.findings)

        again = judge(sample, REWRITTEN, allowed=allowed)
        other = judge(sample, {**REWRITTEN, "tests/test_calc.py": TESTS.replace("== 5", "!= 5")}, allowed=allowed)

        assert again.outcome is Outcome.PASSED
        assert other.outcome is Outcome.PENDING

    @pytest.mark.slow
    @pytest.mark.parametrize(("rule", "outcome"), [("allow", Outcome.PASSED), ("refuse", Outcome.FAILED)])
    def test_is_judged_without_a_person_where_the_policy_says_so(
        self, tmp_path: Path, rule: str, outcome: Outcome
    ) -> None:
        project = Project(tmp_path, [{"test": {"runner": "pytest", "changed_tests": rule}}])

        assert judge(project, REWRITTEN).outcome is outcome


class TestAKnownTestThatNoLongerRuns:
    """A person decides."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("files", "rule"),
        [
            ({"tests/test_calc.py": None}, "vanished"),
            ({"tests/test_calc.py": TESTS.replace("def test_half", "def half_test")}, "vanished"),
            ({"tests/test_calc.py": "import pytest\npytest.importorskip('no_such')\n" + TESTS}, "vanished"),
            (
                {"tests/test_calc.py": TESTS.replace("assert half", "import pytest; pytest.skip('x')\n    half")},
                "silenced",
            ),
            (
                {
                    "calc.py": BROKEN,
                    "tests/test_calc.py": "import pytest\n"
                    + TESTS.replace("def test_a", "@pytest.mark.xfail\ndef test_a"),
                },
                "silenced",
            ),
        ],
        ids=["deleted", "renamed", "skipped as a file", "skipped", "expected to fail"],
    )
    def test_asks(self, sample: Project, files: Files, rule: str) -> None:
        evidence = judge(sample, files)

        assert evidence.outcome is Outcome.PENDING
        assert {f.rule for f in evidence.findings} == {rule}

    def test_asks_also_when_it_went_with_its_code(self, sample: Project) -> None:
        code = CALC.split("\n\n\n")[0] + "\n"
        tests = TESTS.split("\n\n\ndef test_half")[0].replace("add, half", "add") + "\n"

        evidence = judge(sample, {"calc.py": code, "tests/test_calc.py": tests})

        assert evidence.outcome is Outcome.PENDING
        assert {f.rule: f.message.split()[0] for f in evidence.findings}["vanished"] == "tests/test_calc.py::test_half"

    def test_unless_its_file_was_only_moved(self, sample: Project) -> None:
        evidence = judge(sample, {"tests/test_calc.py": None, "tests/unit/test_arithmetic.py": TESTS})

        assert evidence.outcome is Outcome.PASSED, evidence


class TestRealProjectsStartRed:
    @pytest.mark.slow
    def test_a_failure_of_the_base_is_shown_and_tolerated(self, tmp_path: Path) -> None:
        evidence = judge(Project(tmp_path, [TEST], RED), {"more.py": "x = 1\n"})

        assert evidence.outcome is Outcome.PASSED
        assert [f.where for f in evidence.tolerated] == ["tests/test_red.py:2"]

    @pytest.mark.slow
    def test_absolute_tolerates_nothing(self, tmp_path: Path) -> None:
        project = Project(tmp_path, [{"test": {"runner": "pytest", "absolute": True}}], RED)

        assert judge(project, {"more.py": "x = 1\n"}).outcome is Outcome.FAILED

    @pytest.mark.slow
    def test_the_base_runs_once_for_all_attempts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # So that the tests can count themselves in a file outside of their tree.
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        witness = tmp_path / "witness"
        files = {**SAMPLE, "tests/test_w.py": f"def test_w():\n    open({str(witness)!r}, 'a').write('.')\n"}
        project = Project(tmp_path / "p", [TEST], files)

        judge(project, {"more.py": "x = 1\n"})
        judge(project, {"more.py": "x = 2\n"})

        assert witness.read_text() == "..."
        assert len(project.baselines) == 1


@pytest.mark.slow
def test_a_conftest_of_the_base_that_the_new_code_breaks_is_the_artifacts_fault(tmp_path: Path) -> None:
    project = Project(tmp_path, [TEST], {**SAMPLE, "tests/conftest.py": "from calc import half\n"})

    new = {"tests/more/test_new.py": "def test_new():\n    assert 1\n"}
    evidence = judge(project, {"calc.py": "def add(a, b):\n    return a + b\n", **new})

    assert [f.rule for f in evidence.findings] == ["test-run"]
    assert "half" in evidence.findings[0].message


class TestAFlake:
    @pytest.mark.slow
    def test_that_fails_once_is_reported_and_fails_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # So that one run of the test can leave a mark for the next one.
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        seen = tmp_path / "seen"
        flaky = (
            "import os, calc\n\n\ndef test_flaky():\n"
            f"    seen = {str(seen)!r}\n"
            "    if hasattr(calc, 'new') and not os.path.exists(seen):\n"
            "        open(seen, 'w').close()\n        assert 0\n"
        )
        project = Project(tmp_path / "p", [TEST], {**SAMPLE, "tests/test_flaky.py": flaky})

        evidence = judge(project, {"calc.py": CALC + "\n\nnew = 1\n"})

        assert evidence.outcome is Outcome.PASSED
        assert [f.rule for f in evidence.tolerated] == ["flake"]

    @pytest.mark.slow
    def test_is_not_a_test_that_fails_only_after_another_one(self, tmp_path: Path) -> None:
        files = {
            "state.py": "seen = []\n\n\ndef touch():\n    pass\n",
            "tests/test_a.py": "import state\n\n\ndef test_first():\n    state.touch()\n",
            "tests/test_b.py": "import state\n\n\ndef test_second():\n    assert not state.seen\n",
        }

        evidence = judge(
            Project(tmp_path, [TEST], files), {"state.py": files["state.py"].replace("pass", "seen.append(1)")}
        )

        assert [f.where for f in evidence.findings] == ["tests/test_b.py:5"]


class TestRedFirst:
    @pytest.mark.slow
    def test_a_new_test_must_fail_on_the_bases_code(self, tmp_path: Path) -> None:
        project = Project(tmp_path, [RED_FIRST])
        red = "def test_twice():\n    from calc import twice\n    assert twice(2) == 4\n"
        green = "from calc import add\n\n\ndef test_green():\n    assert add(1, 1) == 2\n"

        good = judge(project, {**TWICE, "tests/test_twice.py": red})
        bad = judge(project, {**TWICE, "tests/test_twice.py": red, "tests/test_green.py": green})
        none = judge(project, TWICE)

        assert good.outcome is Outcome.PASSED
        assert [f.path for f in bad.findings] == ["tests/test_green.py"]
        assert [f.rule for f in none.findings] == ["red-first"]


# A test program of no known make: it evaluates each line of a file and writes what it found.
CHECK = """\
import sys
from xml.sax.saxutils import quoteattr
sys.path.insert(0, ".")
import calc
lines = open("tests/cases.txt").read().split("\\n")[:-1]
bad = [line for line in lines if not eval(line, vars(calc))]
cases = "".join(
    f"<testcase classname='cases' file='tests/cases.txt' name={quoteattr(line.split(' == ')[0])}>"
    + ("<failure message='wrong'/>" if line in bad else "") + "</testcase>"
    for line in lines
)
open("report.xml", "w").write(f"<testsuite tests='{len(lines)}' failures='{len(bad)}'>{cases}</testsuite>")
sys.exit(bool(bad))
"""


class TestAnotherRunner:
    """Any program that writes a JUnit report."""

    @pytest.mark.slow
    def test_is_judged_like_pytest(self, tmp_path: Path) -> None:
        gate = {"test": {"run": "python -S tools/check.py", "report": "report.xml"}}
        cases = "add(2, 3) == 5\nhalf(4) == 2\n"
        files = {"calc.py": CALC, "tools/check.py": CHECK, "tests/cases.txt": cases}
        project = Project(tmp_path, [gate], files)

        good = judge(project, {"more.py": "x = 1\n"})
        bad = judge(project, {"calc.py": BROKEN})
        changed = judge(project, {"calc.py": BROKEN, "tests/cases.txt": cases.replace("== 5", "== -1")})
        gone = judge(project, {"tests/cases.txt": cases.split("\n", maxsplit=1)[0] + "\n"})

        assert (good.outcome, good.counted) == (Outcome.PASSED, 2)
        assert [(f.path, f.message) for f in bad.findings] == [("tests/cases.txt", "cases::add(2, 3): wrong")]
        assert (changed.outcome, gone.outcome) == (Outcome.PENDING, Outcome.PENDING)

    def test_a_test_named_by_the_place_of_its_file_has_one_name_in_every_copy(self, tmp_path: Path) -> None:
        """Found by the honest suite: node calls a file without a test in it by its absolute path."""
        tool = """import os
case = f"<testcase name='{os.getcwd()}/tests/a.js'/>"
open("report.xml", "w").write(f"<testsuite tests='1'>{case}</testsuite>")
"""
        gate = {"test": {"run": "python -S tools/check.py", "report": "report.xml"}}
        project = Project(tmp_path, [gate], {"calc.py": CALC, "tools/check.py": tool})

        evidence = judge(project, {"calc.py": CALC + "# more\n"})

        assert (evidence.outcome, evidence.counted) == (Outcome.PASSED, 1)

    def test_a_report_that_lay_in_the_tree_is_not_believed(self, tmp_path: Path) -> None:
        project = Project(tmp_path, [{"test": {"run": "test -f calc.py", "report": "report.xml"}}])
        forged = '<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>'

        evidence = judge(project, {"report.xml": forged})

        assert evidence.outcome is Outcome.ERRORED
        assert "no report" in evidence.summary
