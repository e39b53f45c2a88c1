"""docs/real-repositories.md: in a large tree only what differs from the base is looked at, and the verdict says so."""

from pathlib import Path

import pytest

from gatewright.gates.kinds import compile as compile_kind
from gatewright.gates.kinds import ruff_tool
from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.gates.policy import PolicyInvalid, land_gates_of
from gatewright.schemas.records import Evidence, Outcome

from ..kinds.workbench import Files, Project
from .conftest import LFS_ATTRIBUTES, keep_content, pointer_to

MANY: Files = {f"part{number}.py": f"VALUE = {number}\n" for number in range(8)}
BROKEN = "def broken(:\n"
RUFF = {"ruff": {"changed_only": True, "select": ["F"]}}


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_kind, "MANY_FILES", 5)


def compiled(project: Project, commit: str) -> Evidence:
    return project.judge(commit)["compile"]


def test_only_changed_files_are_compiled_and_counted_and_the_rest_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], MANY)

    found = compiled(project, project.commit({"part1.py": "VALUE = 0\n", "new.py": "VALUE = 9\n"}))

    assert (found.outcome, found.counted) == (Outcome.PASSED, 2)
    assert "7 more are as on the base and were not looked at again." in found.summary


def test_a_changed_file_that_does_not_compile_fails(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], MANY)

    found = compiled(project, project.commit({"part1.py": BROKEN}))

    assert [finding.path for finding in found.findings] == ["part1.py"]


def test_what_was_broken_already_is_tolerated_also_where_it_moved(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], {**MANY, "old.py": BROKEN})

    moved = compiled(project, project.commit({"old.py": None, "moved.py": BROKEN}))
    twice = compiled(project, project.commit({"again.py": BROKEN, "old.py": BROKEN, "moved.py": None}))

    assert (moved.outcome, len(moved.tolerated)) == (Outcome.PASSED, 1)
    assert [finding.path for finding in twice.findings] == ["again.py"]


def test_where_nothing_that_it_checks_differs_it_looks_at_some_files_all_the_same(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile", RUFF], MANY)

    found = project.judge(project.commit({"notes.md": "# Notes\n"}))

    assert [(found[gate].outcome, found[gate].counted) for gate in ("compile", "ruff")] == [(Outcome.PASSED, 8)] * 2


def test_attributes_that_change_what_a_file_is_have_every_file_looked_at(tmp_path: Path) -> None:
    files = {**MANY, ".gitattributes": LFS_ATTRIBUTES, "big.py": pointer_to(BROKEN.encode())}
    project = Project(tmp_path, ["compile"], {**files, "part9.py": "VALUE = 9\n"})
    keep_content(project, BROKEN.encode())

    found = compiled(project, project.commit({".gitattributes": "*.py filter=lfs\n", "part0.py": "VALUE = 0.5\n"}))

    assert found.counted == 10


def test_small_trees_are_compiled_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_kind, "MANY_FILES", 100)
    project = Project(tmp_path, ["compile"], MANY)

    assert compiled(project, project.commit({"part1.py": "VALUE = 0\n"})).counted == 8


def test_every_file_is_compiled_where_that_is_asked_for(tmp_path: Path) -> None:
    project = Project(tmp_path, [{"compile": {"changed_only": False}}], MANY)

    assert compiled(project, project.commit({"part1.py": "VALUE = 0\n"})).counted == 8


def test_ruff_looks_at_changed_files_only_when_told_to(tmp_path: Path) -> None:
    project = Project(tmp_path, [RUFF, {"ruff": {"name": "whole", "select": ["F"]}}], MANY)

    found = project.judge(project.commit({"part1.py": "import os\n"}))

    assert (found["ruff"].counted, found["whole"].counted) == (1, 8)
    assert [finding.rule for finding in found["ruff"].findings] == ["F401"]


def test_what_lands_is_looked_at_as_a_whole() -> None:
    """A few of ruff's rules look beyond a file: a module that went can make another one's import unsorted."""
    pipeline = parse_pipeline(
        "version: 1\ntarget: main\nstages:\n  code: {gates: [{ruff: {changed_only: true, select: [I]}}]}\n"
        "land: {needs: [code]}\n"
    )

    (gate,) = land_gates_of(pipeline)

    assert gate.options == {"select": ["I"]}


def test_files_that_do_not_fit_one_command_line_are_all_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruff_tool, "BATCH_BYTES_MAX", 20)
    project = Project(tmp_path, [{"ruff": {"select": ["F"]}}], MANY)

    found = project.judge(project.commit({"part0.py": "import os\n", "part7.py": "import os\n"}))["ruff"]

    assert found.counted == 8
    assert [finding.path for finding in found.findings] == ["part0.py", "part7.py"]


@pytest.mark.parametrize("kind", ["compile", "ruff"])
def test_all_findings_of_some_files_are_refused_as_nonsense(kind: str) -> None:
    with pytest.raises(PolicyInvalid, match="changed_only"):
        parse_pipeline(
            "version: 1\ntarget: main\nstages:\n"
            f"  code: {{gates: [{{{kind}: {{changed_only: true, absolute: true}}}}]}}\n"
            "land: {needs: [code]}\n"
        )


class TestAListForCommands:
    """`changed_only` on a command names a file with the paths; without it the variable is not there."""

    SEEN = 'tr "\\0" "\\n" < "$GATEWRIGHT_CHANGED_FILES"'

    def project(self, root: Path, run: str, **options: object) -> Project:
        return Project(
            root, [{"command": {"name": "look", "run": run, **options}}], {**MANY, "odd name\n.py": "x = 1\n"}
        )

    def test_has_the_changed_files_that_match_and_nothing_else(self, tmp_path: Path) -> None:
        project = self.project(tmp_path, self.SEEN, changed_only=["**/*.py"])
        changed: Files = {"part1.py": "VALUE = 0\n", "sub/new.py": "x = 1\n", "notes.md": "", "part2.py": None}

        found = project.judge(project.commit(changed))["look"]

        assert found.output.splitlines() == ["part1.py", "sub/new.py"]

    def test_takes_any_name(self, tmp_path: Path) -> None:
        project = self.project(tmp_path, 'xargs -0 wc -c < "$GATEWRIGHT_CHANGED_FILES"', changed_only=["**/*.py"])

        found = project.judge(project.commit({"odd name\n.py": "x = 22\n"}))["look"]

        assert found.output.startswith("7 ")

    def test_is_never_empty_so_that_a_command_cannot_pass_for_having_looked_at_nothing(self, tmp_path: Path) -> None:
        project = self.project(tmp_path, self.SEEN, changed_only=["part*.py"])

        found = project.judge(project.commit({"notes.md": "# Notes\n"}))["look"]

        assert found.output.splitlines() == sorted(MANY)

    def test_without_any_file_that_matches_nothing_is_judged(self, tmp_path: Path) -> None:
        project = self.project(tmp_path, self.SEEN, changed_only=["**/*.ts"])

        found = project.judge(project.commit({"notes.md": "# Notes\n"}))["look"]

        assert found.outcome is Outcome.ERRORED
        assert "no file matches **/*.ts" in found.summary

    def test_holds_the_base_against_nobody(self, tmp_path: Path) -> None:
        """What a changed file had already is tolerated: the base runs on its own version of the same files."""
        todo = 'xargs -0 grep -Hn TODO < "$GATEWRIGHT_CHANGED_FILES" | sed "s/:#/: error:/"; test -f calc.py'
        project = self.project(tmp_path, todo, changed_only=["**/*.py"], report="lines")
        project.base = project.commit({"part1.py": "# TODO one\n", "part2.py": "# TODO two\n"})

        same = project.judge(project.commit({"part1.py": "# TODO one\nx = 1\n"}))["look"]
        more = project.judge(project.commit({"part2.py": "# TODO two\n# TODO three\n"}))["look"]

        assert (same.outcome, len(same.tolerated)) == (Outcome.PASSED, 1)
        assert [finding.where for finding in more.findings] == ["part2.py:2"]

    def test_is_not_there_when_a_change_lands(self, tmp_path: Path) -> None:
        whole = 'test -z "${GATEWRIGHT_CHANGED_FILES+set}"'
        project = self.project(tmp_path, whole, changed_only=["**/*.py"])
        job = project.job(project.commit({"part1.py": "VALUE = 0\n"}))

        narrow = project.judge(job.commit)["look"]
        landing = project.judge(job.commit, gates=land_gates_of(job.policy.pipeline))["look"]

        assert (narrow.outcome, landing.outcome) == (Outcome.FAILED, Outcome.PASSED)
