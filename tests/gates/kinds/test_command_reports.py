"""The reports of the `command` gate: what is a finding, what is no answer, and what a person is asked."""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from gatewright.gates.kinds.command_report import Options
from gatewright.gates.reports.own_json import FINDING_KEYS, KEYS
from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Link, Program, Project

DOCS = Path(__file__).parents[3] / "docs"
# What the tool would say lies in the tree, in files that the scripts find and do not name: what they name is protected.
COPY, PRINT = "sh copy.sh", "sh print.sh"
SCRIPTS = {
    "copy.sh": 'cat repor? > out.json; exit "$(cat cod?)"\n',
    "print.sh": 'echo "on standard error" >&2; sed "s#TREE#$PWD#" repor?; exit "$(cat cod?)"\n',
}

RUFF = [{"filename": "calc.py", "code": "F401", "message": "unused", "location": {"row": 1, "column": 1}}]
ESLINT = [{"filePath": "calc.py", "messages": [{"ruleId": "no-undef", "severity": 2, "message": "bad", "line": 1}]}]
PAGE = {"version": 1, "finished": True, "counted": 2, "unit": "pages", "findings": []}
FOUND = {**PAGE, "findings": [{"path": "calc.py", "line": 1, "rule": "r", "message": "bad", "satisfy": "Mend it."}]}


def sarif(*results: object, **run: object) -> dict[str, object]:
    return {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": list(results), **run}]}


def result(level: str = "error", **more: object) -> dict[str, object]:
    place = {"artifactLocation": {"uri": "calc.py"}, "region": {"startLine": 1}}
    return {
        "ruleId": "R",
        "level": level,
        "message": {"text": "bad"},
        "locations": [{"physicalLocation": place}],
        **more,
    }


def make(root: Path, run: str, files: Files = SAMPLE, **options: object) -> Project:
    return Project(root, [{"command": {"name": "check", "run": run, **options}}], {**SCRIPTS, **files})


def judge(project: Project, files: Files) -> Evidence:
    return project.judge(project.commit(files, on=project.base))["check"]


def files_of(report: object, code: int) -> Files:
    text = report if isinstance(report, str) else json.dumps(report)
    return {"report": text, "code": f"{code}\n"}


@pytest.mark.parametrize("run", [COPY, PRINT], ids=["file", "standard output"])
@pytest.mark.parametrize(
    ("report", "clean", "found"),
    [
        ("ruff", [], RUFF),
        ("eslint", [{"filePath": "calc.py", "messages": []}], ESLINT),
        ("sarif", sarif(), sarif(result())),
        ("gatewright", PAGE, FOUND),
    ],
)
def test_a_report_in_a_file_or_on_standard_output_is_judged_against_the_base(
    tmp_path: Path, run: str, report: str, clean: object, found: object
) -> None:
    path = {"path": "out.json"} if run == COPY else {}
    project = make(tmp_path, run, {**SAMPLE, **files_of(clean, 0)}, report=report, **path)
    red = make(tmp_path / "red", run, {**SAMPLE, **files_of(found, 1)}, report=report, **path)

    good, bad = judge(project, {"more.py": "x = 1\n"}), judge(project, files_of(found, 1))
    same = judge(red, {"more.py": "x = 1\n"})

    assert (good.outcome, good.summary) == (Outcome.PASSED, "2 pages." if report == "gatewright" else "1 check.")
    assert (bad.outcome, [f.where for f in bad.findings]) == (Outcome.FAILED, ["calc.py:1"])
    assert (same.outcome, [f.where for f in same.tolerated]) == (Outcome.PASSED, ["calc.py:1"])


@pytest.mark.parametrize(
    ("report", "said", "code"),
    [
        ("ruff", [], 1),
        ("ruff", "", 0),
        ("ruff", "[", 0),
        ("ruff", "All checks passed!\n[]", 0),
        ("eslint", [], 0),
        ("eslint", [], 2),
        ("sarif", sarif(), 1),
        ("sarif", {"version": "2.1.0", "runs": []}, 0),
        ("sarif", sarif(artifacts=[]), 0),
        ("sarif", sarif(invocations=[{"executionSuccessful": False}]), 0),
        ("gatewright", PAGE, 1),
        ("gatewright", FOUND, 0),
        ("gatewright", {**PAGE, "counted": 0}, 0),
        ("gatewright", {**PAGE, "finished": False}, 0),
        ("gatewright", "[" * 100_000, 0),
        ("gatewright", "exit 0", 0),
    ],
)
def test_a_report_that_is_not_whole_or_says_otherwise_than_the_exit_code_judges_nothing(
    tmp_path: Path, report: str, said: object, code: int
) -> None:
    project = make(tmp_path, PRINT, {**SAMPLE, **files_of([], 0)}, report=report)

    evidence = judge(project, files_of(said, code))

    assert evidence.outcome is Outcome.ERRORED
    assert evidence.findings == ()


@pytest.mark.parametrize("level", ["error", "warning"])
def test_the_level_decides_what_is_a_finding(tmp_path: Path, level: str) -> None:
    project = make(tmp_path, PRINT, {**SAMPLE, **files_of(sarif(), 0)}, report="sarif", level=level)

    evidence = judge(project, files_of(sarif(result("warning"), result("note")), 0))

    assert len(evidence.findings) == {"error": 0, "warning": 1}[level]


def test_an_exit_code_that_only_warnings_explain_is_a_finding_of_its_own(tmp_path: Path) -> None:
    project = make(tmp_path, PRINT, {**SAMPLE, **files_of(sarif(), 0)}, report="sarif")

    evidence = judge(project, files_of(sarif(result("warning")), 1))

    assert (evidence.outcome, [f.rule for f in evidence.findings]) == (Outcome.FAILED, ["exit-code"])


@pytest.mark.parametrize(
    ("report", "hidden"),
    [
        ("sarif", sarif(result(suppressions=[{"kind": "inSource"}]))),
        ("eslint", [{"filePath": "calc.py", "messages": [], "suppressedMessages": ESLINT[0]["messages"]}]),
    ],
)
def test_a_person_is_asked_about_what_is_newly_suppressed_and_only_about_that(
    tmp_path: Path, report: str, hidden: object
) -> None:
    clean = sarif() if report == "sarif" else [{"filePath": "calc.py", "messages": []}]
    project = make(tmp_path / "a", PRINT, {**SAMPLE, **files_of(clean, 0)}, report=report)
    suppressed = make(tmp_path / "b", PRINT, {**SAMPLE, **files_of(hidden, 0)}, report=report)

    fresh, known = judge(project, files_of(hidden, 0)), judge(suppressed, {"more.py": "x = 1\n"})

    assert (fresh.outcome, [f.where for f in fresh.findings]) == (Outcome.PENDING, ["calc.py:1"])
    assert "May the artifact suppress" in (fresh.question or "")
    assert known.outcome is Outcome.PASSED


def test_an_absolute_path_in_the_tree_is_told_as_the_path_that_it_is_there(tmp_path: Path) -> None:
    page = json.dumps({**FOUND, "findings": [{**FOUND["findings"][0], "path": "TREE/calc.py"}]})  # type: ignore[index]  # JSON
    project = make(tmp_path, PRINT, report="gatewright")

    evidence = judge(project, {"report": page, "code": "1\n"})

    assert [(f.where, f.satisfy) for f in evidence.findings] == [("calc.py:1", "Mend it.")]


class TestTheFile:
    @pytest.mark.parametrize("there", [json.dumps(PAGE), Link("forged.json")], ids=["file", "link"])
    def test_what_the_artifact_brings_along_is_not_believed(self, tmp_path: Path, there: str | Link) -> None:
        project = make(tmp_path, "test -f calc.py", report="gatewright", path="out.json")

        assert judge(project, {"out.json": there, "forged.json": json.dumps(PAGE)}).outcome is Outcome.ERRORED

    def test_a_folder_in_its_place_is_taken_away(self, tmp_path: Path) -> None:
        project = make(tmp_path, COPY, {**SAMPLE, **files_of(PAGE, 0)}, report="gatewright", path="out.json")

        assert judge(project, {"out.json/inner": "x\n"}).outcome is Outcome.PASSED

    def test_a_report_through_a_link_is_not_believed(self, tmp_path: Path) -> None:
        run = "cat report > other.json; ln -s other.json out.json"
        project = make(tmp_path, run, {**SAMPLE, **files_of(PAGE, 0)}, report="gatewright", path="out.json")

        assert judge(project, {"more.py": "x = 1\n"}).outcome is Outcome.ERRORED

    def test_a_pipe_does_not_make_the_gate_wait(self, tmp_path: Path) -> None:
        project = make(tmp_path, "mkfifo out.json", report="gatewright", path="out.json")

        assert judge(project, {"more.py": "x = 1\n"}).outcome is Outcome.ERRORED

    def test_a_flood_on_standard_output_is_no_report(self, tmp_path: Path) -> None:
        project = make(tmp_path, "head -c 30000000 /dev/zero", report="ruff")

        evidence = judge(project, {"more.py": "x = 1\n"})

        assert (evidence.outcome, "more than" in evidence.summary) == (Outcome.ERRORED, True)


class TestPattern:
    LINT = "#!/bin/sh\nsed -n 's/^BAD \\(.*\\)/found in <b.txt> line 2 [loud]: \\1/p' b.txt\n! grep -q BAD b.txt\n"
    PATTERN = r"in <(?P<path>[^>]+)> line (?P<line>\d+) \[(?P<rule>\w+)\]: (?P<message>.*)"

    def test_a_pattern_of_the_policy_finds_path_line_rule_and_message(self, tmp_path: Path) -> None:
        files: Files = {**SAMPLE, "lint.sh": Program(self.LINT), "b.txt": "fine\n"}
        project = make(tmp_path, "sh lint.sh", files, report="lines", pattern=self.PATTERN)

        evidence = judge(project, {"b.txt": "fine\nBAD and ugly\n"})

        assert [(f.where, f.rule, f.message) for f in evidence.findings] == [("b.txt:2", "loud", "and ugly")]

    def test_a_pattern_that_takes_too_long_is_ended_and_judges_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gatewright.gates.kinds.command_report.PATTERN_TIMEOUT_S", 0.5)
        pattern = r"(?P<path>\w*)\w*\w*\w*\w*\w*\w*!"
        project = make(tmp_path, "cat long", report="lines", pattern=pattern)
        began = time.monotonic()

        evidence = judge(project, {"long": "a" * 2_000 + "\n"})

        assert (evidence.outcome, "pattern" in evidence.summary) == (Outcome.ERRORED, True)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"report": "junit"}, "needs the `path`"),
        ({"report": "lines", "path": "a"}, "goes with a report in a file"),
        ({"path": "a"}, "goes with a report in a file"),
        ({"pattern": "(?P<path>a)"}, "report: lines"),
        ({"report": "lines", "pattern": "a"}, "named groups"),
        ({"level": "warning"}, "has levels"),
        ({"report": "ruff", "level": "error"}, "has levels"),
        ({"report": "lines", "pattern": "(?P<file>a)"}, "named groups"),
        ({"report": "lines", "pattern": "(?P<path>(a+)+)"}, "run for ever"),
        ({"report": "tap"}, "report"),
    ],
)
def test_options_that_make_no_sense_are_refused_when_the_pipeline_is_loaded(
    options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Options.model_validate({"run": "true", **options})


class TestTheDocumentation:
    PAGE = (DOCS / "reports.md").read_text("utf-8")

    def test_the_script_in_sh_works(self, tmp_path: Path) -> None:
        files = {"tools/no_todo.sh": self._block("sh"), "src/a.py": "# TODO: some day\n", "src/b c.py": "# TODO(#1)\n"}
        project = make(tmp_path, "sh tools/no_todo.sh", files, report="gatewright")

        bad, good = judge(project, {"src/b c.py": "\n# TODO never\n"}), judge(project, {"src/a.py": "x = 1\n"})

        assert ([(f.where, f.rule) for f in bad.findings], bad.counted) == ([("src/b c.py:2", "todo")], 2)
        assert [f.where for f in bad.tolerated] == ["src/a.py:1"]
        assert (good.outcome, good.summary) == (Outcome.PASSED, "2 files.")

    def test_the_script_in_python_works(self, tmp_path: Path) -> None:
        files = {"tools/links.py": self._block("python"), "docs/a.md": "# A\n\n[b](b.md)\n", "docs/b.md": "# B\n"}
        project = make(tmp_path, f"{sys.executable} tools/links.py", files, report="gatewright")

        bad, good = judge(project, {"docs/b.md": None}), judge(project, {"docs/c.md": "[a](a.md)\n"})

        assert [(f.where, f.rule) for f in bad.findings] == [("docs/a.md:3", "dead-link")]
        assert (good.outcome, good.summary) == (Outcome.PASSED, "3 pages.")

    def test_a_script_that_looks_at_nothing_has_not_passed(self, tmp_path: Path) -> None:
        project = make(
            tmp_path, f"{sys.executable} tools/links.py", {"tools/links.py": self._block("python")}, report="gatewright"
        )

        assert judge(project, {"more.py": "x = 1\n"}).outcome is Outcome.ERRORED

    def test_the_schema_names_the_keys_that_are_read(self) -> None:
        schema = json.loads((DOCS / "reports.schema.json").read_text("utf-8"))

        assert tuple(schema["properties"]) == KEYS
        assert tuple(schema["properties"]["findings"]["items"]["properties"]) == FINDING_KEYS

    def test_the_scripts_are_ten_lines_or_so(self) -> None:
        assert all(len(self._block(language).splitlines()) <= 14 for language in ("sh", "python"))

    def _block(self, language: str) -> str:
        found = re.search(rf"```{language}\n(.*?)```", self.PAGE, re.DOTALL)
        assert found is not None
        return found[1]


def test_what_is_found_in_a_file_without_an_extension_counts_on_a_red_base_too(tmp_path: Path) -> None:
    """The exit code is explained by what the base has already, so nothing else would tell of it."""
    lint = "grep -rnH BAD tools docs | sed -E 's/^([^:]+:[0-9]+):.*/\\1: error: it is bad/'; exit 1"
    files = {**SAMPLE, "docs/old.txt": "BAD\n", "tools/deploy": "#!/bin/sh\n"}
    project = Project(tmp_path, [{"command": {"name": "check", "run": lint, "report": "lines"}}], files)
    judged = project.judge(project.commit({"tools/deploy": "#!/bin/sh\nBAD\n"}, on=project.base))["check"]

    assert [finding.where for finding in judged.findings] == ["tools/deploy:2"]
    assert judged.outcome is Outcome.FAILED
