"""A person's command under a key has one effect, however often it is given; rule 11, invariant I8."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit

from .conftest import Desk, Ran

Call = Callable[..., Ran]

pytestmark = pytest.mark.slow


@pytest.fixture
def escalated(ready: Desk) -> Desk:
    """c1/plan waits for a person's decision."""
    ready.do("start", "Indent")
    workspace = Path(str(ready.do("claim", "--agent", "ada", "c1", "--json").json["workspace"]))
    assert ready.do("release", "needs_decision", "Tabs or blanks?", cwd=workspace).status == Exit.OK
    return ready


def kinds(call: Call) -> list[str]:
    return [str(json.loads(line)["event"]["kind"]) for line in call("log", "c1", "--json").out.splitlines()]


def test_attempts_are_granted_once_for_each_key(escalated: Desk, call: Call) -> None:
    grant = ["grant-attempts", "c1", "plan"]

    first = escalated.at_terminal(*grant, "3", "--key", "k1", answers=["c1"])
    again = escalated.at_terminal(*grant, "3", "--key", "k1", answers=["c1"])
    more = escalated.at_terminal(*grant, "4", "--key", "k1", answers=["c1"])
    unkeyed = escalated.at_terminal(*grant, "3", answers=["c1"])

    assert [ran.status for ran in (first, again, more, unkeyed)] == [Exit.OK, Exit.OK, Exit.REFUSED, Exit.REFUSED]
    assert "already used" in more.out
    assert "nothing escalated" in unkeyed.out
    assert kinds(call).count("attempts_granted") == 1


def test_an_answer_under_a_key_is_given_once_and_another_answer_is_not_the_same(escalated: Desk, call: Call) -> None:
    answer = ["answer", "c1", "plan", "--key", "k1", "--allow", "--note"]

    first = escalated.at_terminal(*answer, "blanks", answers=["plan"])
    again = escalated.at_terminal(*answer, "blanks", answers=["plan"])
    other = escalated.at_terminal(*answer, "tabs", answers=["plan"])

    assert [ran.status for ran in (first, again, other)] == [Exit.OK, Exit.OK, Exit.REFUSED]
    assert kinds(call).count("decision_given") == 1


def test_a_key_that_was_used_about_another_question_says_so(escalated: Desk, call: Call) -> None:
    answer = ["answer", "c1", "plan", "--key", "k1", "--allow", "--note", "yes"]
    escalated.at_terminal(*answer, answers=["plan"])
    workspace = Path(str(call("claim", "--agent", "ada", "c1", "--json").json["workspace"]))
    assert call("release", "needs_decision", "And the licence?", cwd=workspace).status == Exit.OK

    other = escalated.at_terminal(*answer, answers=["plan"])

    assert other.status == Exit.REFUSED
    assert "already used" in other.out
    assert kinds(call).count("decision_given") == 1


def test_a_key_that_was_never_used_makes_nothing_out_of_nothing(escalated: Desk, call: Call) -> None:
    before = kinds(call)

    nothing = escalated.at_terminal("answer", "c1", "code", "--key", "k1", "--allow", answers=["code"])
    empty = escalated.at_terminal("cancel", "c1", "--reason", "x", "--key", "", answers=["y"])

    assert (nothing.status, empty.status) == (Exit.REFUSED, Exit.USAGE)
    assert "no open question" in nothing.out
    assert kinds(call) == before


@pytest.mark.parametrize(
    "arguments", [("answer", "c1", "plan", "--note"), ("cancel", "c1", "--reason"), ("approve", "c1", "plan", "--note")]
)
def test_what_is_kept_is_text(ready: Desk, call: Call, arguments: tuple[str, ...]) -> None:
    """Bytes that are none would be kept by no store."""
    ran = call(*arguments, "caf\udce9")

    assert ran.status == Exit.USAGE
    assert "not UTF-8 text" in ran.err
