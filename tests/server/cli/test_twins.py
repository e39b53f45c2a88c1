"""The tools as commands: the reply that any client gets, and an exit status that tells what it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.schemas.arguments import TOOLS
from gatewright.server.cli.command import Exit, UsageError
from gatewright.server.cli.replies import exit_of
from gatewright.server.cli.tool_arguments import TWINS, parse_answer, parse_finding, read_files

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]


def test_every_tool_has_exactly_one_command() -> None:
    assert sorted(twin.tool for twin in TWINS.values()) == sorted(TOOLS)


@pytest.mark.slow
def test_a_change_goes_through_its_stages_by_the_command_line_alone(ready: Desk, call: Call) -> None:
    """From intent to the landed commit, with one refusal on the way; the exit status is all that a script looks at."""
    started = call("start", "Answer differently", "--json")
    assert (started.status, started.json["change"]) == (Exit.OK, "c1")

    workspace = _claim(call, "plan")
    empty = call("submit", "--summary", "Nothing yet", "--json", cwd=workspace)
    assert empty.status == Exit.FAILED
    assert empty.json["outcome"] == "failed"
    ready.write({"docs/changes/c1.md": "# Goal\nAnother answer.\n"}, workspace)
    assert call("check", cwd=workspace).status == Exit.OK
    assert call("submit", "--summary", "The plan", cwd=workspace).status == Exit.OK

    assert call("claim", "--agent", "bob", "c1", "plan").status == Exit.REFUSED
    workspace = _claim(call, "code")
    ready.write({"src/answer.txt": "forty-two\n"}, workspace)
    wrong = call("submit", "--summary", "In words", cwd=workspace)
    assert wrong.status == Exit.FAILED
    assert "answer failed" in wrong.out
    assert "  tried 1 time, " in call("why", "c1", "code").out
    again = call("brief", "--json", cwd=workspace / "docs")
    assert again.json["attempt"] == 2
    ready.write({"src/answer.txt": "42 it is\n"}, workspace)
    evidence = call("evidence", "c1", "code", "--json")
    assert (evidence.status, evidence.json["attempt"]) == (Exit.OK, 1)
    assert call("submit", "--summary", "In digits", cwd=workspace).status == Exit.OK

    _until_landed(call)
    assert ready.git("show", "main:src/answer.txt") == "42 it is"
    assert call("verify", "main").status == Exit.OK
    landed = ready.git("rev-parse", "main")
    ready.commit({"gatewright.yaml": f"{PIPELINE}protect: [LICENSE]\n"})
    another = call("verify", landed)
    assert (another.status, "under another policy" in another.out) == (Exit.FAILED, True)
    assert call("claim", "--agent", "bob", "--json").status == Exit.UNDECIDED
    told = call("log", "c1").out
    assert "attempt 1 of 'code' failed: answer" in told
    assert told.rstrip().splitlines()[-1].split("  ")[-1].startswith("landed as ")


@pytest.mark.slow
def test_files_are_handed_in_without_a_workspace(ready: Desk, call: Call, tmp_path: Path) -> None:
    call("start", "Plan it")
    lease = str(call("claim", "--agent", "ada", "--json").json["lease"])
    plan = tmp_path / "plan.txt"
    plan.write_text("# Goal\nFrom afar.\n")

    passed = call("submit", "--lease", lease, "--summary", "Plan", "--file", f"docs/changes/c1.md={plan}")
    read = call("read", "c1", "plan", "docs/changes/c1.md", "--json")

    assert passed.status == Exit.OK
    assert read.json["text"] == "# Goal\nFrom afar.\n"


@pytest.mark.slow
def test_a_lease_comes_from_the_environment_where_no_workspace_is(
    ready: Desk, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("start", "Plan it")
    lease = str(call("claim", "--agent", "ada", "--json").json["lease"])

    without = call("renew", "--json")
    monkeypatch.setenv("GATEWRIGHT_LEASE", lease)
    renewed = call("renew", "--json")
    monkeypatch.setenv("GATEWRIGHT_LEASE", f"{lease[:-1]}x")
    forged = call("renew", "--json")

    assert (without.status, without.json["code"]) == (Exit.REFUSED, "unknown_lease")
    assert (renewed.status, renewed.json["stage"]) == (Exit.OK, "plan")
    assert (forged.status, forged.json["code"]) == (Exit.REFUSED, "unknown_lease")


@pytest.mark.slow
def test_the_same_key_has_one_effect(ready: Desk, call: Call) -> None:
    first = call("start", "Once", "--key", "k1", "--json")
    again = call("start", "Once", "--key", "k1", "--json")
    other = call("start", "Twice", "--key", "k1", "--json")

    assert first.json["change"] == again.json["change"] == "c1"
    assert (other.status, other.json["code"]) == (Exit.REFUSED, "idempotency_conflict")


@pytest.mark.slow
def test_a_status_is_a_table_on_a_terminal_and_what_waits_for_people_stands_first(ready: Desk, call: Call) -> None:
    call("start", "Answer")
    lease = str(call("claim", "--agent", "ada", "--json").json["lease"])
    call("release", "--lease", lease, "needs_decision", "Which answer \x1b[31mis\x1b[0m meant?")

    told = ready.at_terminal("status", "--no-color").out

    assert 0 < told.index("? c1/plan: Which answer is meant?") < told.index("CHANGE  STAGE")
    assert "\x1b[31m" not in told


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"isError": True, "structuredContent": {"code": "lease_held"}}, Exit.REFUSED),
        ({"structuredContent": {"state": "running", "evaluation": "c1.e1"}}, Exit.UNDECIDED),
        ({"structuredContent": {"state": "settled", "outcome": "passed"}}, Exit.OK),
        ({"structuredContent": {"state": "settled", "outcome": "failed"}}, Exit.FAILED),
        ({"structuredContent": {"state": "settled", "outcome": "errored"}}, Exit.ERRORED),
        ({"structuredContent": {"state": "settled", "outcome": "pending"}}, Exit.UNDECIDED),
        ({"structuredContent": {"kind": "none"}}, Exit.UNDECIDED),
        ({"structuredContent": {"kind": "work"}}, Exit.OK),
        ({"structuredContent": {"change": "c1"}}, Exit.OK),
    ],
)
def test_the_exit_status_says_what_the_reply_was(result: dict[str, object], status: Exit) -> None:
    assert exit_of(result) is status


def test_an_outcome_that_nobody_knows_is_never_a_pass() -> None:
    with pytest.raises(KeyError):
        exit_of({"structuredContent": {"state": "settled", "outcome": "splendid"}})


def test_answers_and_findings_are_taken_apart_at_the_first_signs() -> None:
    assert parse_answer("f1=disputed:it is 3:4, a ratio=fine") == {
        "finding": "f1",
        "disposition": "disputed",
        "note": "it is 3:4, a ratio=fine",
    }
    assert parse_finding("blocking:a.py:3:wrong: really")["message"] == "wrong: really"
    assert parse_finding("note:::no place")["path"] is None


@pytest.mark.parametrize("text", ["f1", "=fixed", "f1=", "f1=:note"])
def test_an_answer_without_its_parts_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="FINDING=DISPOSITION:NOTE"):
        parse_answer(text)


def test_a_file_that_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"\xff\xfe")

    with pytest.raises(UsageError, match="UTF-8"):
        read_files([f"a={tmp_path / 'blob'}"], [])
    with pytest.raises(UsageError, match="PATH=LOCALFILE"):
        read_files(["only-a-path"], [])


def test_a_deletion_is_a_file_without_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    assert read_files([f"b={tmp_path / 'a'}"], ["gone.py"]) == {"gone.py": None, "b": "x"}
    assert read_files([], []) is None


def _claim(call: Call, stage: str) -> Path:
    claimed = call("claim", "--agent", "ada", "c1", stage, "--json")
    assert claimed.status == Exit.OK, claimed
    return Path(str(claimed.json["workspace"]))


def _until_landed(call: Call) -> None:
    after = 0
    for _ in range(20):
        if json.loads(call("status", "c1", "--json").out)["changes"][0]["state"] == "landed":
            return
        news = call("wait", "c1", "--after", str(after), "--wait", "10", "--json")
        after = int(str(news.json["position"]))
    raise AssertionError("it has not landed")
