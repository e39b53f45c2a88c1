"""What only people decide: at a terminal, about the question that they were shown, and confirmed by typing."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.opening import user_name
from gatewright.server.people.hashing import hashed
from gatewright.server.people.register import add_person

from .conftest import Desk, Ran, set_up
from .test_approving import with_store

Call = Callable[..., Ran]

DECIDING = [
    ("answer", "c1", "plan"),
    ("answer", "c1", "plan", "--allow"),
    ("reopen", "c1", "plan", "--reason", "it is wrong"),
    ("retry-gates", "c1", "plan"),
    ("grant-attempts", "c1", "plan", "3"),
    ("repin", "c1"),
    ("cancel", "c1", "--reason", "no longer wanted"),
    ("land", "c1"),
    ("guard", "remove"),
    ("uninstall",),
]


def _ask(desk: Desk, change: str) -> Path:
    """Bring a change so far that its attempt, which changed a protected file, makes the scope gate ask a person."""
    desk.do("start", "Change a setting")
    workspace = _claim(desk, change)
    desk.write({f"docs/changes/{change}.md": "# Goal\nA setting.\n"}, workspace)
    assert desk.do("submit", "--summary", "Plan", cwd=workspace).status == Exit.OK
    workspace = _claim(desk, change)
    desk.write({"ruff.toml": "line-length = 100\n"}, workspace)
    pending = desk.do("submit", "--summary", "Settings \x1b[2Jof ruff", cwd=workspace)
    assert pending.status == Exit.UNDECIDED, pending
    return workspace


def _claim(desk: Desk, change: str) -> Path:
    return Path(str(desk.do("claim", "--agent", "ada", change, "--json").json["workspace"]))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A repository in which c1 waits for an answer about its code, and c2 for one about its plan; no server runs."""
    desk = set_up(Desk(tmp_path_factory.mktemp("asked") / "repository"))
    _ask(desk, "c1")
    desk.do("start", "Indent")
    workspace = _claim(desk, "c2")
    assert desk.do("release", "needs_decision", "Tabs or blanks?", cwd=workspace).status == Exit.OK
    desk.stop_server()
    return desk


@pytest.fixture
def desk(asked: Desk, tmp_path: Path) -> Iterator[Desk]:
    """A copy of it."""
    shutil.copytree(asked.top, tmp_path / "copy", symlinks=True)
    desk = Desk(tmp_path / "copy")
    yield desk
    desk.stop_server()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", DECIDING, ids=" ".join)
def test_no_decision_is_taken_on_a_pipe(call: Call, arguments: tuple[str, ...]) -> None:
    """An agent's shell has no terminal; the refusal names the people's channel."""
    before = call("log", "c1", "--json").out

    refused = call(*arguments)

    assert refused.status == Exit.REFUSED
    assert "at a terminal" in refused.err
    assert f"next: A person runs `gatewright {arguments[0]}" in refused.err
    assert call("log", "c1", "--json").out == before


@pytest.mark.slow
def test_a_terminal_on_one_side_is_not_enough(desk: Desk) -> None:
    """Typed by a program into a pipe, however the output looks."""
    refused = desk.at_terminal_output_only("cancel", "c1", "--reason", "x", given="y\n")

    assert refused.status == Exit.REFUSED


def test_a_person_reads_the_question_and_allows_it_by_typing_the_stage(desk: Desk, call: Call) -> None:
    answered = desk.at_terminal("answer", "c1", "code", "--note", "fine", answers=["allow", "code"])

    assert answered.status == Exit.OK, answered.out
    assert "Gate 'scope' asks" in answered.out
    assert "ruff.toml" in answered.out
    assert "+line-length = 100" in answered.out
    [event] = [event for event in _events(call) if event["kind"] == "question_answered"]
    assert (event["allowed"], event["by"], event["note"]) == (
        True,
        f"person:{user_name()} (at the terminal, not authenticated)",
        "fine",
    )
    assert _stage(call, "code")["state"] == "passed"


def test_a_person_refuses_and_the_attempt_fails(desk: Desk, call: Call) -> None:
    answered = desk.at_terminal("answer", "c1", "code", "--refuse", answers=["code"])

    assert answered.status == Exit.OK, answered.out
    assert _stage(call, "code")["state"] == "claimed"


@pytest.mark.parametrize("answers", [["allow", "yes"], ["maybe"], ["allow", "plan"]])
def test_anything_but_the_stage_s_name_decides_nothing(desk: Desk, call: Call, answers: list[str]) -> None:
    answered = desk.at_terminal("answer", "c1", "code", answers=answers)

    assert answered.status == Exit.REFUSED
    assert "Nothing was decided." in answered.out
    assert _stage(call, "code")["state"] == "in_review"


@pytest.mark.slow
def test_an_answer_is_for_the_attempt_that_was_shown(tmp_path: Path) -> None:
    """An agent that swaps the artifact while the person reads does not get the other one allowed."""
    desk = set_up(Desk(tmp_path / "swapped"))
    workspace = _ask(desk, "c1")

    def swap() -> None:
        assert desk.do("release", "withdraw", "Something better", cwd=workspace).status == Exit.OK
        desk.write({"conftest.py": "import os\n"}, workspace)
        assert desk.do("submit", "--summary", "Swapped", cwd=workspace).status == Exit.UNDECIDED

    try:
        answered = desk.at_terminal("answer", "c1", "code", "--allow", answers=["code"], before_answer=swap)
        log = desk.do("log", "c1", "--json").out
    finally:
        desk.stop_server()

    assert answered.status == Exit.REFUSED
    assert "nothing was decided" in answered.out
    assert '"kind": "question_answered"' not in log


def test_why_shows_the_question_and_the_command_that_answers_it(call: Call) -> None:
    told = call("why", "c1")

    assert told.status == 0
    assert "Gate 'scope' asks" in told.out
    assert told.out.count("May these protected files be changed: ruff.toml?") == 1
    assert "protected: ruff.toml is protected" not in told.out
    assert "attempt 1 by 'ada'" in told.out
    assert "gatewright answer c1 code" in call("why", "c1", "--json").out


@pytest.mark.slow
def test_a_question_that_is_not_open_cannot_be_answered(desk: Desk, call: Call) -> None:
    answered = desk.at_terminal("answer", "c1", "plan", "--allow")
    unknown = desk.at_terminal("answer", "c1", "build", "--allow")

    assert (answered.status, unknown.status) == (Exit.REFUSED, Exit.REFUSED)
    assert "no open question" in answered.out
    assert "no stage 'build'" in unknown.out


def test_an_escalated_question_is_answered_in_words(desk: Desk, call: Call) -> None:
    answered = desk.at_terminal("answer", "c2", "plan", answers=["blanks", "plan"])

    assert answered.status == Exit.OK, answered.out
    assert "Tabs or blanks?" in answered.out
    assert _stage(call, "plan", "c2")["state"] == "open"
    assert "blanks" in call("why", "c2", "plan").out


@pytest.mark.slow
def test_a_person_cancels_a_change_and_reopens_a_stage(desk: Desk, call: Call) -> None:
    reopened = desk.at_terminal("reopen", "c1", "plan", "--reason", "too vague", answers=["c1"])
    assert reopened.status == Exit.OK, reopened.out
    assert (_stage(call, "plan")["state"], _stage(call, "code")["state"]) == ("open", "waiting")

    no = desk.at_terminal("cancel", "c1", "--reason", "enough", answers=["n"])
    yes = desk.at_terminal("cancel", "c1", "--reason", "enough", answers=["y"])

    assert (no.status, yes.status) == (Exit.REFUSED, Exit.OK)
    assert _events(call)[-1]["kind"] == "change_cancelled"

    over = desk.at_terminal("reopen", "c1", "plan", "--reason", "x")

    assert over.status == Exit.REFUSED
    assert "cancelled" in over.out
    assert "Type c1" not in over.out


def test_a_stage_that_is_not_there_is_refused_before_anybody_is_asked(desk: Desk) -> None:
    refused = desk.at_terminal("reopen", "c1", "build", "--reason", "x")

    assert refused.status == Exit.REFUSED
    assert "no stage 'build'" in refused.out
    assert "Type c1" not in refused.out


@pytest.mark.slow
def test_a_word_typed_at_a_prompt_from_before_somebody_registered_decides_nothing(desk: Desk, call: Call) -> None:
    """Otherwise a prompt that an agent keeps open for days would outlive the first registration."""

    def register() -> None:
        secret, now = hashed("correct horse battery"), datetime.now(UTC)
        with_store(desk, lambda store: store.run(lambda tx: add_person(tx, "ann", secret, vouched=None, now=now)))

    ran = desk.at_terminal("reopen", "c1", "plan", "--reason", "x", answers=["c1"], before_answer=register)

    assert ran.status == Exit.REFUSED, ran.out
    assert "Somebody is registered by now" in ran.out
    assert _stage(call, "plan")["state"] == "passed"


def _stage(call: Call, name: str, change_id: str = "c1") -> dict[str, object]:
    change = json.loads(call("why", change_id, "--json").out)["changes"][0]
    [stage] = [stage for stage in change["stages"] if stage["stage"] == name]
    assert isinstance(stage, dict)
    return stage


def _events(call: Call) -> list[dict[str, object]]:
    return [json.loads(line)["event"] for line in call("log", "c1", "--json").out.splitlines()]
