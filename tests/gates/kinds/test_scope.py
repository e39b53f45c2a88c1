"""The `scope` gate: what an artifact may touch, and what a person is asked about."""

from pathlib import Path

import pytest

from gatewright.gates.contract import Merged
from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Link, Program, Project

WRITES = ("src/**", "docs/c1.md")
PYPROJECT = '[project]\nname = "p"\ndependencies = []\n\n[tool.ruff]\nline-length = 100\n'


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files: Files = {
        **SAMPLE,
        "src/a.py": "x = 1\n" * 20,
        "pyproject.toml": PYPROJECT,
        "tools/check.sh": Program("exit 1\n"),
    }
    gates = [{"command": {"name": "check", "run": "sh tools/check.sh"}}]
    return Project(tmp_path_factory.mktemp("scope"), gates, files)


def judge(project: Project, files: Files, **changed: object) -> Evidence:
    return project.judge(project.commit(files, on=project.base), gates=(), **changed)["scope"]


def test_a_change_within_what_the_stage_may_write_passes_and_is_counted(sample: Project) -> None:
    evidence = judge(sample, {"src/a.py": "x = 2\n", "src/ü b.py": "", "docs/c1.md": "Plan\n"}, writes=WRITES)

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 3, "tree entries")


def test_an_artifact_that_changes_nothing_fails(sample: Project) -> None:
    assert [f.rule for f in judge(sample, {}).findings] == ["nothing"]


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"calc.py": "x = 1\n"}, ["calc.py"]),
        ({"src/a.py": None, "a.py": "x = 1\n" * 20}, ["a.py"]),
        ({"calc.py": None, "src/calc.py": SAMPLE["calc.py"]}, ["calc.py"]),
        ({"calc.py": Program(SAMPLE["calc.py"])}, ["calc.py"]),
        ({"calc.py": Link("src/a.py")}, ["calc.py"]),
    ],
    ids=["outside", "moved out", "moved in", "mode", "link"],
)
def test_a_change_outside_fails_naming_the_path(sample: Project, files: Files, paths: list[str]) -> None:
    evidence = judge(sample, files, writes=WRITES)

    assert evidence.outcome is Outcome.FAILED
    assert [f.path for f in evidence.findings] == paths


@pytest.fixture(scope="module")
def taken_in(sample: Project) -> tuple[str, str]:
    """A commit of the target that changes calc.py, and an artifact with work of its own that merges it.

    The artifact is judged from the target's commit, which is what the server's own merge of it into the base comes to.
    """
    target = sample.commit({"calc.py": "landed = 1\n"}, on=sample.base)
    sample.commit({"src/a.py": "mine = 1\n"}, on=sample.base)
    sample.git("merge", "--quiet", "--no-edit", target)
    return target, sample.git("rev-parse", "HEAD")


def test_what_a_merge_of_the_target_brings_along_is_not_the_artifact_s(
    sample: Project, taken_in: tuple[str, str]
) -> None:
    """A holder merges the target to resolve a conflict that landing handed back."""
    target, merged = taken_in

    assert sample.judge(merged, gates=(), writes=WRITES, scope_base=target)["scope"].outcome is Outcome.PASSED
    assert sample.judge(merged, gates=(), writes=WRITES)["scope"].outcome is Outcome.FAILED


def test_what_a_merge_changes_beside_the_target_s_own_content_is_the_artifact_s(
    sample: Project, taken_in: tuple[str, str]
) -> None:
    target, merged = taken_in
    slipped = sample.commit({"calc.py": "landed = 2\n"}, on=merged)

    evidence = sample.judge(slipped, gates=(), writes=WRITES, scope_base=target)["scope"]

    assert [finding.path for finding in evidence.findings] == ["calc.py"]


def test_a_merge_that_takes_back_what_the_target_has_is_a_change_of_the_artifact_s(sample: Project) -> None:
    target = sample.commit({"calc.py": "landed = 1\n", "more.py": "landed = 2\n"}, on=sample.base)
    sample.commit({"src/a.py": "mine = 1\n"}, on=sample.base)
    sample.git("merge", "--quiet", "--no-edit", "--strategy=ours", target)
    merged = sample.git("rev-parse", "HEAD")

    evidence = sample.judge(merged, gates=(), writes=WRITES, scope_base=target)["scope"]

    assert [(f.path, f.rule) for f in evidence.findings] == [("calc.py", "outside"), ("more.py", "outside")]


def test_a_change_outside_that_was_taken_back_fails_too(sample: Project) -> None:
    sample.commit({"calc.py": "secret\n"}, on=sample.base)
    artifact = sample.commit({"calc.py": SAMPLE["calc.py"], "src/b.py": "x = 1\n"})

    evidence = sample.judge(artifact, gates=(), writes=WRITES)["scope"]

    assert [(f.path, f.rule) for f in evidence.findings] == [("calc.py", "outside")]


def test_only_what_differs_from_where_the_stage_started_is_blamed(sample: Project) -> None:
    plan = sample.commit({"calc.py": "x = 1\n"}, on=sample.base)
    artifact = sample.commit({"src/b.py": "x = 1\n"})

    evidence = sample.judge(artifact, gates=(), writes=WRITES, scope_base=plan)["scope"]

    assert (evidence.outcome, evidence.counted) == (Outcome.PASSED, 1)


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"src/out": Link("../../outside")}, "link"),
        ({"src/etc": Link("/etc/passwd")}, "link"),
        ({"src/__pycache__/a.pyc": b"\0"}, "bytecode"),
        ({"src/A.py": "x = 1\n"}, "collision"),
        ({"src/con": "x"}, "name"),
    ],
)
def test_what_does_not_travel_fails(sample: Project, files: Files, rule: str) -> None:
    evidence = judge(sample, files)

    assert evidence.outcome is Outcome.FAILED
    assert rule in {f.rule for f in evidence.findings}


class TestWhatJudgesIsAskedAbout:
    """A protected path changed: neither passed nor failed, with the difference."""

    @pytest.mark.parametrize(
        "files",
        [
            {"gatewright.yaml": "version: 1\n"},
            {"tools/check.sh": "exit 0\n"},
            {"tools/check.sh": None},
            {"ruff.toml": "line-length = 10\n"},
            {"src/conftest.py": "x = 1\n"},
            {"pyproject.toml": PYPROJECT.replace("100", "200")},
            {"pyproject.toml": "not toml ["},
        ],
        ids=["pipeline", "script", "script removed", "new configuration", "conftest", "table", "broken"],
    )
    def test_pending_with_the_difference(self, sample: Project, files: Files) -> None:
        evidence = judge(sample, {**files, "src/a.py": "x = 2\n"})

        assert evidence.outcome is Outcome.PENDING
        assert [(f.path, f.rule) for f in evidence.findings] == [(next(iter(files)), "protected")]
        assert evidence.question is not None
        assert f"diff --git a/{next(iter(files))}" in evidence.question

    def test_a_new_dependency_is_an_ordinary_change(self, sample: Project) -> None:
        evidence = judge(sample, {"pyproject.toml": PYPROJECT.replace("[]", '["attrs"]')})

        assert evidence.outcome is Outcome.PASSED

    def test_outside_of_the_stage_it_fails_and_nobody_is_asked(self, sample: Project) -> None:
        evidence = judge(sample, {"tools/check.sh": "exit 0\n"}, writes=WRITES)

        assert evidence.outcome is Outcome.FAILED

    def test_an_answer_holds_for_those_contents_alone(self, sample: Project) -> None:
        asked = judge(sample, {"tools/check.sh": "exit 0\n"})
        allowed = tuple(f.fingerprint for f in asked.findings)

        assert judge(sample, {"tools/check.sh": "exit 0\n"}, allowed=allowed).outcome is Outcome.PASSED
        assert judge(sample, {"tools/check.sh": "exit 00\n"}, allowed=allowed).outcome is Outcome.PENDING


def test_a_conflict_that_came_with_the_stage_must_be_resolved(sample: Project) -> None:
    conflicted = "<<<<<<< ours\nx = 1\n=======\nx = 2\n>>>>>>> theirs\n"
    start = sample.commit({"src/a.py": conflicted, "src/b.py": conflicted, "src/c.py": conflicted}, on=sample.base)
    artifact = sample.commit({"src/a.py": "x = 2\n", "src/b.py": conflicted + "\n"})

    merges = (Merged(start, ("src/a.py", "src/b.py", "src/c.py")),)
    evidence = sample.judge(artifact, gates=(), scope_base=start, merges=merges)["scope"]

    assert [(f.path, f.rule) for f in evidence.findings] == [("src/b.py", "conflict"), ("src/c.py", "conflict")]


def test_where_a_merge_kept_one_side_in_silence_a_person_is_asked(sample: Project) -> None:
    """A picture, or a file that one side removed, cannot be marked: nothing shows whether anybody has looked."""
    side = sample.commit({"src/a.bin": "\0one side's", "src/b.bin": "\0one side's"}, on=sample.base)
    start = sample.git("commit-tree", f"{side}^{{tree}}", "-p", side, "-p", sample.base, "-m", "Merge")
    merges = (Merged(start, ("src/a.bin", "src/b.bin")),)
    artifact = sample.commit({"src/b.bin": "\0what both need", "src/c.py": "x = 1\n"}, on=start)

    asked = sample.judge(artifact, gates=(), scope_base=start, merges=merges)["scope"]
    allowed = tuple(finding.fingerprint for finding in asked.findings)

    assert (asked.outcome, [f.path for f in asked.findings]) == (Outcome.PENDING, ["src/a.bin"])
    told = sample.judge(artifact, gates=(), scope_base=start, merges=merges, allowed=allowed)["scope"]
    assert told.outcome is Outcome.PASSED


def test_a_conflict_with_the_target_that_the_stage_may_not_write_is_not_its_to_resolve(sample: Project) -> None:
    start = sample.commit({"calc.py": "<<<<<<< ours\nx = 1\n=======\nx = 2\n>>>>>>> theirs\n"}, on=sample.base)
    artifact = sample.commit({"calc.py": "x = 2\n", "src/c.py": "x = 1\n"})

    merges = (Merged(start, ("calc.py",)),)
    evidence = sample.judge(artifact, gates=(), writes=WRITES, scope_base=start, merges=merges)["scope"]

    assert [(f.path, f.rule) for f in evidence.findings] == [("calc.py", "outside")]
    assert "goes to the stage that may write it" in str(evidence.findings[0].satisfy)


def test_a_file_above_the_limit_fails(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], limits={"file": "1kB"})

    assert [f.rule for f in judge(project, {"big.bin": b"\0" * 1001}).findings] == ["size"]
