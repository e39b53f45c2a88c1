"""Tokens at the command line: a person issues and revokes them, and whoever asks sees the list."""

import json
import re
from collections.abc import Callable

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import main

from ...postgres import _emptied_database, database_url, postgres
from .conftest import Desk, Ran
from .test_approving import SECRETS

__all__ = ["_emptied_database", "database_url", "postgres"]

Call = Callable[..., Ran]
TOKEN = re.compile(r"gwt_[A-Za-z0-9_-]{43}")


def listed(call: Call, *more: str) -> list[dict[str, str]]:
    told: list[dict[str, str]] = json.loads(call("token", "list", "--json", *more).out)["tokens"]
    return told


@pytest.mark.slow
def test_a_person_issues_a_token_which_is_shown_once_and_revokes_it(ready: Desk, call: Call) -> None:
    assert "No token was issued" in call("token", "list").out

    issued = ready.at_terminal("token", "issue", "ada", "--scope", "work", "--days", "7", answers=["ada"])
    (token,) = set(TOKEN.findall(issued.out))
    (row,) = listed(call)
    revoked = ready.at_terminal("token", "revoke", row["id"], answers=[row["id"]])

    assert (issued.status, revoked.status) == (Exit.OK, Exit.OK), issued.out + revoked.out
    assert (row["subject"], row["scopes"], row["state"]) == ("ada", "work", "good")
    assert "not authenticated" in row["by"]
    assert listed(call)[0]["state"] == "revoked"
    state = ready.top / ".git" / "gatewright"
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert token not in call("token", "list").out


@pytest.mark.slow
def test_where_people_are_registered_one_of_them_issues(ready: Desk, call: Call) -> None:
    ready.at_terminal("people", "add", "ann", answers=["ann", SECRETS["ann"], SECRETS["ann"]])

    wrong = ready.at_terminal("token", "issue", "ada", "--scope", "approve", answers=["ann", "not it at all"])
    right = ready.at_terminal("token", "issue", "ada", "--scope", "work", answers=["bob"])

    assert (wrong.status, right.status) == (Exit.REFUSED, Exit.REFUSED)
    assert listed(call) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--scope", "wrok"), "invalid choice: 'wrok' (choose from"),
        (("--scope", "work", "--days", "0"), "'0' is no number of days from 1 to 366"),
        (("--scope", "work", "--days", "367"), "'367' is no number of days from 1 to 366"),
        (("--scope", "work", "--days", "soon"), "'soon' is no number of days from 1 to 366"),
    ],
)
def test_what_no_token_can_have_is_told_before_anybody_is_asked(call: Call, given: tuple[str, ...], said: str) -> None:
    told = call("token", "issue", "ada", *given)

    assert told.status == Exit.USAGE
    assert said in told.err
    assert "Scope." not in told.err, "how it is called in the source is nobody's business"


def test_no_program_issues_or_revokes_a_token(ready: Desk, call: Call) -> None:
    """An agent that could would be whoever it likes: its own reviewer, or the person who approves."""
    for arguments in (("issue", "eve", "--scope", "approve"), ("revoke", "tk-0123456789")):
        assert call("token", *arguments).status == Exit.REFUSED
        half = ready.at_terminal_output_only("token", *arguments, given="eve\ntk-0123456789\ny\n")
        assert half.status == Exit.REFUSED
    assert listed(call) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("issue",),
        ("issue", "ada", "--scope", "everything"),
        ("issue", "ada", "--days", "soon", "--scope", "work"),
        ("revoke",),
        ("steal", "ada"),
    ],
)
def test_what_says_nothing_is_a_usage_error(ready: Desk, arguments: tuple[str, ...]) -> None:
    assert main(["--repo", str(ready.top), "token", *arguments]) == Exit.USAGE


@pytest.mark.slow
def test_an_id_that_there_is_not_and_a_subject_that_is_none_are_told(ready: Desk) -> None:
    nobody = ready.at_terminal("token", "revoke", "tk-0123456789", answers=["tk-0123456789"])
    nameless = ready.at_terminal("token", "issue", "Ada Lovelace", "--scope", "work", answers=["Ada Lovelace"])

    assert "There is no token 'tk-0123456789'" in nobody.out
    assert "a subject has" in nameless.out
    assert (nobody.status, nameless.status) == (Exit.REFUSED, Exit.REFUSED)


@pytest.mark.slow
def test_tokens_of_a_team_lie_in_its_database(desk: Desk, call: Call, database_url: str) -> None:
    """From any folder: no repository is needed where the store is elsewhere."""
    issued = desk.at_terminal(
        "token", "issue", "ada", "--scope", "work", "--database-url", database_url, answers=["ada"]
    )

    assert issued.status == Exit.OK, issued.out
    assert [row["subject"] for row in listed(call, "--database-url", database_url)] == ["ada"]
    wrong = call("token", "list", "--database-url", "postgresql://ann:secret@127.0.0.1:1/x")
    assert wrong.status == Exit.REFUSED
    assert "secret" not in wrong.out + wrong.err
