"""Promises of the readers of JSON reports: what they find, and what they refuse."""

import json

import pytest

from gatewright.gates.reports import Reported, ReportUnreadable
from gatewright.gates.reports.eslint_json import parse_eslint
from gatewright.gates.reports.own_json import parse_own
from gatewright.gates.reports.reported import MESSAGE_CHARS_MAX, Report
from gatewright.gates.reports.ruff_json import parse_ruff
from gatewright.gates.reports.sarif import parse_sarif

from .report_samples import ENTRY, FILE, MESSAGE, PAGE, RESULT, dump, item, located, sarif


class TestSarif:
    def test_a_result_has_its_rule_place_and_message(self) -> None:
        found = item({**RESULT, "locations": [located("src/a%20b.py", 7)]})

        assert found == Reported("src/a b.py", 7, None, "R1", "bad", "error")

    @pytest.mark.parametrize(
        ("uri", "path"),
        [
            ("file:///t/src/%C3%A4.py", "/t/src/ä.py"),
            ("./src/a.py", "src/a.py"),
            ("https://example.com/a.py", "https://example.com/a.py"),
            ("a.py#L3", "a.py"),
            ("%FF", "\ufffd"),
        ],
    )
    def test_a_uri_becomes_the_path_that_it_names(self, uri: str, path: str) -> None:
        assert item({**RESULT, "locations": [located(uri)]}).path == path

    def test_bases_are_put_before_a_relative_uri(self) -> None:
        bases = {
            "ROOT": {"uri": "file:///t/"},
            "SRC": {"uri": "src/", "uriBaseId": "ROOT"},
            "LOOP": {"uriBaseId": "LOOP"},
        }

        def path(name: str) -> str | None:
            return item({**RESULT, "locations": [located("a.py", uriBaseId=name)]}, originalUriBaseIds=bases).path

        assert [path(name) for name in ("SRC", "%SRCROOT%", "LOOP")] == ["/t/src/a.py", "a.py", "a.py"]

    def test_an_artifact_may_be_named_by_its_place_in_the_list(self) -> None:
        files = [{"location": {"uri": "a.py"}}, {"location": {"uri": "b.py"}}]
        place = {"physicalLocation": {"artifactLocation": {"index": 1}}}

        assert item({**RESULT, "locations": [place]}, artifacts=files).path == "b.py"

    def test_level_name_and_text_may_come_from_the_rule(self) -> None:
        rule = {
            "id": "R9",
            "defaultConfiguration": {"level": "error"},
            "messageStrings": {"default": {"text": "{0} is {{not}} {1}, {7}"}},
        }
        driver = {"tool": {"driver": {"name": "tool", "rules": [{"id": "R1"}, rule]}}}

        found = item({"ruleIndex": 1, "message": {"id": "default", "arguments": ["{1}", "good"]}}, **driver)

        assert (found.rule, found.severity, found.message) == ("R9", "error", "{1} is {not} good, {7}")

    def test_a_rule_of_an_extension_is_found_there(self) -> None:
        tool = {
            "driver": {"name": "tool"},
            "extensions": [{"rules": [{"id": "X", "defaultConfiguration": {"level": "note"}}]}],
        }
        result = {"rule": {"index": 0, "toolComponent": {"index": 0}}, "message": {"text": "bad"}}

        assert (item(result, tool=tool).rule, item(result, tool=tool).severity) == ("X", "note")

    def test_without_a_level_a_result_is_a_warning(self) -> None:
        assert item({"message": {"text": "bad"}}).severity == "warning"

    @pytest.mark.parametrize(
        "other", [{"kind": "pass"}, {"level": "none"}, {"baselineState": "absent"}, {"kind": "open"}]
    )
    def test_what_is_no_objection_is_none(self, other: dict[str, object]) -> None:
        assert parse_sarif(sarif({**RESULT, **other})).items == ()

    @pytest.mark.parametrize(
        ("suppressions", "is_hidden"),
        [([], False), ([{"kind": "inSource"}], True), ([{"kind": "external", "status": "rejected"}], False)],
    )
    def test_a_suppressed_result_is_told_as_hidden(self, suppressions: list[object], is_hidden: bool) -> None:
        assert item({**RESULT, "suppressions": suppressions}).is_hidden is is_hidden

    @pytest.mark.parametrize(
        ("report", "counted"),
        [
            (sarif(), 1),
            (sarif(artifacts=[]), 0),
            (sarif(artifacts=[{"location": {"uri": "a"}}, {"location": {"uri": "b"}}]), 2),
            (sarif({**RESULT, "locations": [located("a")]}, {**RESULT, "locations": [located("a")]}), 1),
            (dump({"version": "2.1.0", "runs": []}), 0),
            (dump({"version": "2.1.0", "runs": json.loads(sarif())["runs"] * 2}), 2),
        ],
    )
    def test_files_are_counted_or_runs_that_name_none(self, report: bytes, counted: int) -> None:
        assert parse_sarif(report).counted == counted

    @pytest.mark.parametrize(
        ("run", "sentence"),
        [
            ({"invocations": [{"executionSuccessful": False}]}, "not successful"),
            ({"invocations": [{}]}, "not successful"),
            (
                {
                    "invocations": [
                        {
                            "executionSuccessful": True,
                            "toolExecutionNotifications": [{"level": "error", "message": {"text": "no memory"}}],
                        }
                    ]
                },
                "no memory",
            ),
            ({"results": None}, "no results"),
            ({"externalPropertyFileReferences": {"results": [{}]}}, "elsewhere"),
            ({"tool": {}}, "does not name its tool"),
        ],
    )
    def test_a_run_that_is_not_whole_judges_nothing(self, run: dict[str, object], sentence: str) -> None:
        with pytest.raises(ReportUnreadable, match=sentence):
            parse_sarif(sarif(**run))

    def test_a_file_that_the_tool_stumbled_over_is_a_finding(self) -> None:
        """eslint tells so of a file that does not parse, and that its run was not successful."""
        error = {
            "level": "error",
            "message": {"text": "Parsing"},
            "locations": [located("a.js", 3)],
            "descriptor": {"id": "P"},
        }
        invocation = {"executionSuccessful": False, "toolConfigurationNotifications": [error]}

        assert parse_sarif(sarif(invocations=[invocation])).items == (Reported("a.js", 3, None, "P", "Parsing"),)

    @pytest.mark.parametrize(
        "result",
        [
            {"message": {}},
            {**RESULT, "level": "fatal"},
            {**RESULT, "level": 3},
            {**RESULT, "message": "bad"},
            {**RESULT, "locations": [located("a", 0)]},
            {**RESULT, "locations": [located("a", 10**12)]},
            {**RESULT, "locations": {}},
            {"message": {"text": "{0}", "arguments": [[[]]]}},
            "bad",
        ],
    )
    def test_a_result_of_a_wrong_shape_is_refused(self, result: object) -> None:
        with pytest.raises(ReportUnreadable):
            parse_sarif(sarif(result))

    def test_another_version_is_refused(self) -> None:
        with pytest.raises(ReportUnreadable, match=r"no SARIF 2\.1\.0"):
            parse_sarif(dump({"version": "2.0.0", "runs": []}))

    def test_arguments_do_not_multiply(self) -> None:
        message = {"text": "{0}" * 100_000, "arguments": ["x" * 1_000_000]}

        assert len(item({"message": message}).message) == MESSAGE_CHARS_MAX


class TestRuff:
    def test_a_finding_has_its_rule_and_place(self) -> None:
        assert parse_ruff(dump([ENTRY])).items == (Reported("/t/a.py", 1, 8, "F401", "unused"),)

    @pytest.mark.parametrize("code", [None, "invalid-syntax"])
    def test_a_file_that_does_not_parse_is_told_so_by_old_and_new_versions(self, code: str | None) -> None:
        assert parse_ruff(dump([{**ENTRY, "code": code}])).items[0].rule == "syntax"

    def test_the_run_is_counted_where_there_is_no_finding(self) -> None:
        assert (parse_ruff(b"[]").counted, parse_ruff(dump([ENTRY] * 3)).counted) == (1, 3)

    @pytest.mark.parametrize(
        "other", [{"filename": ""}, {"message": None}, {"location": []}, {"location": {"row": "1"}}]
    )
    def test_another_shape_is_refused(self, other: dict[str, object]) -> None:
        with pytest.raises(ReportUnreadable):
            parse_ruff(dump([{**ENTRY, **other}]))


class TestEslint:
    def test_files_are_counted_and_messages_have_their_place(self) -> None:
        report = parse_eslint(dump([FILE, {**FILE, "messages": [MESSAGE], "errorCount": 1}]))

        assert report == Report((Reported("/t/a.js", 2, 13, "no-undef", "'b' is not defined.", "error"),), 2)

    def test_what_a_comment_hides_is_told_as_hidden(self) -> None:
        (found,) = parse_eslint(dump([{**FILE, "suppressedMessages": [MESSAGE]}])).items

        assert found.is_hidden

    def test_no_file_counts_nothing(self) -> None:
        assert parse_eslint(b"[]").counted == 0

    @pytest.mark.parametrize(
        "other",
        [
            {"errorCount": 1},
            {"messages": [{**MESSAGE, "severity": 3}]},
            {"messages": [{**MESSAGE, "message": None}]},
            {"messages": None, "filePath": 3},
        ],
    )
    def test_another_shape_or_a_wrong_count_is_refused(self, other: dict[str, object]) -> None:
        with pytest.raises(ReportUnreadable):
            parse_eslint(dump([{**FILE, **other}]))


class TestOurOwn:
    def test_findings_and_counts_are_as_the_page_says(self) -> None:
        finding = {"path": "a.py", "line": 3, "rule": "todo", "message": "no issue", "satisfy": "Name one."}

        report = parse_own(dump({**PAGE, "findings": [finding, {"message": "as a whole", "severity": "note"}]}))

        assert (report.counted, report.unit) == (3, "files")
        assert report.items == (
            Reported("a.py", 3, None, "todo", "no issue", "error", "Name one."),
            Reported(None, None, None, None, "as a whole", "note"),
        )

    @pytest.mark.parametrize(
        ("other", "sentence"),
        [
            ({"version": 2}, "version is not 1"),
            ({"version": True}, "version is not 1"),
            ({"finished": False}, "finished"),
            ({"finished": "yes"}, "finished"),
            ({"counted": None}, "counted"),
            ({"counted": -1}, "counted"),
            ({"counted": 10**30}, "counted"),
            ({"counted": 1.0}, "counted"),
            ({"counted": True}, "counted"),
            ({"findings": None}, "findings"),
            ({"findings": {}}, "findings"),
            ({"finding": []}, "unknown key 'finding'"),
            ({"findings": [{}]}, "no message"),
            ({"findings": [{"message": "\u202e"}]}, "no message"),
            ({"findings": [{"message": "a", "lines": 3}]}, "unknown key 'lines'"),
            ({"findings": [{"message": "a", "line": 0}]}, "line"),
            ({"findings": [{"message": "a", "path": " "}]}, "path"),
            ({"findings": [{"message": "a", "severity": "fatal"}]}, "severity"),
            ({"findings": [{"message": "a", "severity": []}]}, "severity"),
        ],
    )
    def test_another_shape_is_refused_with_what_is_wrong(self, other: dict[str, object], sentence: str) -> None:
        with pytest.raises(ReportUnreadable, match=sentence):
            parse_own(dump({**PAGE, **other}))
