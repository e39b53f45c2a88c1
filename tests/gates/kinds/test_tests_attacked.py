"""The `test` gate under attack: what the artifact brings along decides nothing, and no answer is no pass."""

import py_compile
import sys
from pathlib import Path

import pytest

from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Project

# The quick bypass suite tries the same families.
pytestmark = pytest.mark.slow

TEST = {"test": {"runner": "pytest"}}
CALC = SAMPLE["calc.py"]
BROKEN = CALC.replace("a + b", "a - b")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("sample"), [TEST])


def judge(project: Project, files: Files, **changed: object) -> Evidence:
    return project.judge(project.commit(files, on=project.base), **changed)["test"]


class TestWhatTheArtifactBringsAlong:
    """Nothing of it decides how its code is judged."""

    @pytest.mark.parametrize(
        "files",
        [
            {
                "conftest.py": "import pytest\n\n@pytest.hookimpl(hookwrapper=True)\n"
                "def pytest_runtest_makereport(item, call):\n    done = yield\n"
                "    done.get_result().outcome = 'passed'\n"
            },
            {"tests/conftest.py": "def pytest_collection_modifyitems(items):\n    items.clear()\n"},
            {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-k nothing"\n'},
            {"pytest.ini": "[pytest]\npython_files = none.py\n"},
            {"tests/pytest.ini": "[pytest]\naddopts = --collect-only\n"},
            {"setup.cfg": "[tool:pytest]\naddopts = --collect-only\n"},
            {"pytest.py": "def main(*a, **k):\n    return 0\n"},
            {"_pytest/__init__.py": "raise SystemExit(0)\n", "pluggy.py": "raise SystemExit(0)\n"},
            {"sitecustomize.py": "import os\nos._exit(0)\n", "usercustomize.py": "import os\nos._exit(0)\n"},
            {"tests/__init__.py": "import sys\nsys.modules['calc'] = type(sys)('calc')\n"},
            {"tests/test_aaa.py": "import calc\ncalc.add = lambda a, b: a + b\ndef test_x():\n    assert 1\n"},
        ],
        ids=", ".join,
    )
    def test_makes_broken_code_pass(self, sample: Project, files: Files) -> None:
        evidence = judge(sample, {"calc.py": BROKEN, **files})

        # What only the artifact's own conftest makes pass is for a person, and `scope` asks about the file too.
        is_asked = any(path.endswith("conftest.py") for path in files)
        assert evidence.outcome is (Outcome.PENDING if is_asked else Outcome.FAILED), evidence

    def test_committed_bytecode_is_not_believed(self, sample: Project, tmp_path: Path) -> None:
        good = tmp_path / "calc.py"
        good.write_text(CALC)
        compiled = py_compile.compile(
            str(good), str(tmp_path / "x.pyc"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        assert compiled is not None
        cached = f"__pycache__/calc.{sys.implementation.cache_tag}.pyc"

        evidence = judge(sample, {"calc.py": BROKEN, cached: Path(compiled).read_bytes()})

        assert evidence.outcome is Outcome.FAILED

    def test_its_own_conftest_serves_its_new_tests(self, sample: Project) -> None:
        files = {
            "tests/conftest.py": "import pytest\n\n@pytest.fixture\ndef three():\n    return 3\n",
            "tests/test_three.py": "def test_three(three):\n    assert three == 3\n",
        }

        evidence = judge(sample, files)

        assert (evidence.outcome, evidence.counted) == (Outcome.PASSED, 3)

    def test_a_conftest_that_breaks_known_tests_fails(self, sample: Project) -> None:
        evidence = judge(sample, {"tests/conftest.py": "import calc\ncalc.add = None\n"})

        assert evidence.outcome is Outcome.FAILED


class TestNoAnswerIsNoPass:
    @pytest.mark.parametrize(
        "test",
        [
            "import os\n\ndef test_leaves():\n    os._exit(0)\n",
            "import pytest\n\ndef test_leaves():\n    pytest.exit('x', returncode=0)\n",
            "import os, signal\n\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
        ],
        ids=["_exit", "pytest.exit", "signal"],
    )
    def test_when_the_process_leaves_early(self, sample: Project, test: str) -> None:
        evidence = judge(sample, {"tests/test_leave.py": test})

        assert evidence.outcome is Outcome.ERRORED

    def test_when_there_are_no_tests(self, tmp_path: Path) -> None:
        evidence = judge(Project(tmp_path, [TEST], {"calc.py": CALC}), {"calc.py": BROKEN})

        assert (evidence.outcome, evidence.counted) == (Outcome.ERRORED, 0)
        assert "No test ran" in evidence.summary

    def test_when_it_does_not_end_in_time(self, tmp_path: Path) -> None:
        project = Project(tmp_path, [{"test": {"runner": "pytest", "timeout": "2s"}}])

        evidence = judge(project, {"tests/test_slow.py": "import time\n\ndef test_slow():\n    time.sleep(60)\n"})

        assert evidence.outcome is Outcome.ERRORED
        assert "not your fault" in evidence.summary

    def test_when_a_plug_in_of_the_policy_is_not_there(self, tmp_path: Path) -> None:
        project = Project(tmp_path, [{"test": {"runner": "pytest", "plugins": ["no-such-plugin"]}}])

        evidence = judge(project, {"no_such_plugin.py": ""})

        assert evidence.outcome is Outcome.ERRORED
        assert "no-such-plugin" in evidence.summary
