"""The `ruff` gate: the policy's rules, no new findings, and what is hidden from it."""

from pathlib import Path

import pytest

from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Project

UNUSED = "import os\n"
LATIN = b"# coding: latin-1\nname = '\xe9'\n"
CONFIG = '[project]\nname = "p"\n\n[tool.ruff]\nextend-exclude = ["vendor"]\n\n[tool.ruff.lint]\nselect = ["F"]\n'


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {**SAMPLE, "pyproject.toml": CONFIG, "old.py": "x = 1\n" * 30 + UNUSED, "vendor/v.py": UNUSED}
    return Project(tmp_path_factory.mktemp("ruff"), ["ruff"], files)


def judge(project: Project, files: Files, **changed: object) -> Evidence:
    return project.judge(project.commit(files, on=project.base), **changed)["ruff"]


def test_what_the_base_has_is_tolerated_and_what_is_new_fails_with_its_line(sample: Project) -> None:
    evidence = judge(sample, {"calc.py": SAMPLE["calc.py"] + "\n\ndef f():\n    return undefined\n"})

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.FAILED, 3, "files")
    assert [(f.where, f.rule) for f in evidence.findings] == [("calc.py:10", "F821")]
    assert [(f.where, f.rule) for f in evidence.tolerated] == [("old.py:31", "F401")]


def test_a_known_finding_may_move_with_its_line_and_with_its_file(sample: Project) -> None:
    evidence = judge(sample, {"old.py": None, "new.py": "y = 1\n" + "x = 1\n" * 30 + UNUSED})

    assert evidence.outcome is Outcome.PASSED
    assert [f.where for f in evidence.tolerated] == ["new.py:32"]


def test_one_more_of_a_known_finding_is_new(sample: Project) -> None:
    evidence = judge(sample, {"old.py": "x = 1\n" * 30 + UNUSED + "\n\ndef f():\n    import os\n"})

    assert [f.where for f in evidence.findings if f.rule == "F401"] == ["old.py:35"]


def test_known_findings_go_along_with_code_that_is_moved_into_a_new_module(sample: Project) -> None:
    moved = {"old.py": "x = 1\n" * 30, "parts.py": UNUSED}

    assert judge(sample, moved).outcome is Outcome.PASSED
    more = judge(sample, {**moved, "other.py": UNUSED})
    assert [(f.rule, f.path) for f in more.findings] == [("F401", "parts.py")]


class TestNothingOfTheArtifactDecidesWhatIsChecked:
    @pytest.mark.parametrize(
        "files",
        [
            {"ruff.toml": 'lint.select = ["W"]\n'},
            {".ruff.toml": 'exclude = ["*.py"]\n'},
            {"pyproject.toml": CONFIG.replace('["F"]', '["W"]')},
            {"pyproject.toml": CONFIG.replace('"vendor"', '"*.py"')},
            {"pyproject.toml": "broken ["},
            {".gitignore": "*.py\n"},
            {"ruff.py": "raise SystemExit(0)\n", "sitecustomize.py": "raise SystemExit(0)\n"},
        ],
        ids=["ruff.toml", ".ruff.toml", "rules", "excludes", "broken", ".gitignore", "modules"],
    )
    def test_its_own_configuration_does_not(self, sample: Project, files: Files) -> None:
        evidence = judge(sample, {"bad.py": UNUSED, **files})

        assert evidence.outcome is Outcome.FAILED
        assert "bad.py:1" in [f.where for f in evidence.findings]

    def test_folders_that_ruff_skips_by_habit_are_checked_and_those_of_the_policy_are_not(
        self, sample: Project
    ) -> None:
        evidence = judge(sample, {"build/bad.py": UNUSED, ".venv/bad.py": UNUSED, "vendor/new.py": UNUSED})

        assert sorted(f.path or "" for f in evidence.findings) == [".venv/bad.py", "build/bad.py"]


class TestMoreSuppressions:
    """They ask a person, whatever they hide."""

    @pytest.mark.parametrize(
        "text",
        [
            "import os  # noqa\n",
            "# ruff: noqa\nimport os\n",
            "x: int = ''  # type: ignore\n",
            "x = 1  # pyright: ignore\n",
        ],
    )
    def test_are_pending_with_the_lines(self, sample: Project, text: str) -> None:
        evidence = judge(sample, {"new.py": text})

        assert evidence.outcome is Outcome.PENDING
        assert evidence.question is not None
        assert "new.py:1: " in evidence.question

    def test_a_text_that_looks_like_one_is_none(self, sample: Project) -> None:
        assert judge(sample, {"new.py": "x = '# noqa'\n"}).outcome is Outcome.PASSED

    def test_a_suppression_may_move_but_not_begin_to_hide_another_rule(self, tmp_path: Path) -> None:
        dead = "x = 1  # noqa: F821\n"
        project = Project(tmp_path, ["ruff"], {**SAMPLE, "pyproject.toml": CONFIG, "a.py": dead, "b.py": "y = 1\n"})

        moved = judge(project, {"a.py": "x = 1\n", "b.py": dead})
        abused = judge(project, {"a.py": "x = 1\n", "b.py": "y = undefined  # noqa: F821\n"})

        assert (moved.outcome, abused.outcome) == (Outcome.PASSED, Outcome.PENDING)


class TestFormat:
    def test_what_was_formatted_and_what_is_new_stays_formatted(self, tmp_path: Path) -> None:
        files = {"neat.py": "x = 1\n", "loose.py": "x=1\n", "same.py": "x=1\n"}
        project = Project(tmp_path, [{"ruff": {"format": True}}], files)

        evidence = judge(project, {"neat.py": "x=2\n", "loose.py": "x=2\n", "new one.py": "x=3\n"})

        assert sorted((f.path, f.rule) for f in evidence.findings) == [("neat.py", "format"), ("new one.py", "format")]


def test_the_gates_own_rules_replace_the_configurations(tmp_path: Path) -> None:
    project = Project(tmp_path, [{"ruff": {"select": ["B"]}}], {**SAMPLE, "pyproject.toml": CONFIG})

    evidence = judge(project, {"new.py": "import os\n\n\ndef f(a=[]):\n    return a\n"})

    assert [f.rule for f in evidence.findings] == ["B006"]


@pytest.mark.parametrize("files", [{"README": "x\n"}, {"vendor/v.py": "x = 1\n", "pyproject.toml": CONFIG}])
def test_without_files_to_check_nothing_passes(tmp_path: Path, files: Files) -> None:
    evidence = judge(Project(tmp_path, ["ruff"], files), {"README": "y\n"})

    assert (evidence.outcome, evidence.counted) == (Outcome.ERRORED, 0)


def test_a_file_that_ruff_cannot_read_hides_nothing(tmp_path: Path) -> None:
    """ruff leaves out what is not UTF-8, with a warning; the compiler takes it with its declared encoding."""
    hidden = b"# coding: latin-1\nname = '\xe9'\nundefined_name\n"
    project = Project(tmp_path, [{"ruff": {"select": ["F"]}}], {**SAMPLE, "old.py": hidden})

    evidence = judge(project, {"new.py": hidden + b"another\n"})

    assert evidence.outcome is Outcome.FAILED
    assert [(f.path, f.rule) for f in evidence.findings] == [("new.py", "E902")]
    assert [(f.path, f.rule) for f in evidence.tolerated] == [("old.py", "E902")]


@pytest.mark.parametrize(
    "attack",
    [{"old.py": "old = 1\n", "new.py": LATIN + b"undefined_name\n"}, {"old.py": LATIN + b"undefined_name\n"}],
    ids=["another file takes its place", "it says something else"],
)
def test_what_ruff_cannot_read_is_tolerated_only_with_the_bytes_that_the_base_has(
    tmp_path: Path, attack: Files
) -> None:
    project = Project(tmp_path, [{"ruff": {"select": ["F"]}}], {**SAMPLE, "old.py": LATIN})

    assert judge(project, attack).outcome is Outcome.FAILED
    assert judge(project, {"old.py": None, "moved.py": LATIN}).outcome is Outcome.PASSED


def test_rules_that_ruff_does_not_know_are_not_the_artifacts_fault(tmp_path: Path) -> None:
    evidence = judge(Project(tmp_path, [{"ruff": {"select": ["NOPE"]}}]), {"more.py": "x = 1\n"})

    assert evidence.outcome is Outcome.ERRORED
    assert "NOPE" in evidence.output
