"""People's commands on a team's store: which one is meant, what is missing, and what makes no sense there."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.store import open_database
from tests.acceptance.team import Team
from tests.postgres import _emptied_database, database_url, new_database_url, postgres

from .conftest import Desk, Ran

__all__ = ["_emptied_database", "database_url", "new_database_url", "postgres"]

DATABASE, REMOTE, STATE = "GATEWRIGHT_DATABASE_URL", "GATEWRIGHT_REMOTE", "GATEWRIGHT_STATE"
URL = "postgresql://ann:hunter2@127.0.0.1:9/gatewright"


@pytest.fixture
def person(tmp_path: Path) -> Desk:
    """Somebody in a folder that is no repository."""
    top = tmp_path / "home"
    top.mkdir()
    return Desk(top)


@pytest.fixture
def at_team(tmp_path: Path, database_url: str, person: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The same, whose environment names a team."""
    team = Team(tmp_path / "team")
    monkeypatch.setenv(DATABASE, database_url)
    monkeypatch.setenv(REMOTE, team.url)
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    return person


def refused(ran: Ran) -> str:
    assert ran.status in (Exit.USAGE, Exit.REFUSED), ran
    assert "Traceback" not in ran.err
    return ran.err


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((DATABASE,), ("--remote (or GATEWRIGHT_REMOTE)", "--state (or GATEWRIGHT_STATE)")),
        ((DATABASE, REMOTE), ("--state (or GATEWRIGHT_STATE)",)),
        ((REMOTE, STATE), ("--database-url (or GATEWRIGHT_DATABASE_URL)",)),
    ],
)
def test_half_a_team_is_never_taken_for_this_repository(
    ready: Desk, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    for name in given:
        monkeypatch.setenv(name, URL)

    for command in (["status"], ["why", "c1"], ["log"], ["fsck"], ["verify", "HEAD"], ["people", "list"], ["serve"]):
        told = refused(ready.do(*command))
        assert all(name in told for name in (*given, *missing)), told
        assert "hunter2" not in told


@pytest.mark.parametrize("command", ["init", "install", "guard", "uninstall", "claim", "demo", "brief"])
def test_what_works_in_a_repository_alone_says_so(ready: Desk, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    arguments = {"install": ["codex"], "guard": ["status"]}.get(command, [])
    before = sorted(ready.top.iterdir())

    by_option = refused(ready.do(command, *arguments, "--database-url", URL))
    monkeypatch.setenv(DATABASE, URL)
    by_variable = refused(ready.do(command, *arguments))

    assert f"gatewright {command} works in a repository of this machine alone" in by_option
    assert "leave --database-url out" in by_option
    assert f"unset {DATABASE}" in by_variable
    assert "hunter2" not in by_option + by_variable
    assert sorted(ready.top.iterdir()) == before


def test_a_team_that_cannot_be_reached_is_told_without_its_password(
    person: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, URL)
    monkeypatch.setenv(REMOTE, f"file://{tmp_path}/nothing.git")

    told = refused(person.do("status", "--state", str(tmp_path / "state")))
    unexamined = person.do("fsck", "--state", str(tmp_path / "state"), "--json")
    wrong = refused(person.do("status", "--state", str(tmp_path / "state"), "--remote", "no address"))

    assert "Try again when it is back" in told
    assert unexamined.status == Exit.ERRORED, unexamined
    assert unexamined.json["clean"] is None
    assert "hunter2" not in told + wrong
    assert "--remote: The address" in wrong


def test_a_remote_that_does_not_answer_is_told_in_a_sentence(
    at_team: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REMOTE, f"file://{tmp_path}/nothing.git")

    assert "next: Mend that" in refused(at_team.do("status"))


def test_a_person_looks_at_and_opens_a_teams_changes_from_a_folder_that_is_no_repository(at_team: Desk) -> None:
    started = at_team.do("start", "Subtract", "--json")
    status = at_team.do("status", "c1")
    why = at_team.do("why", "c1")
    waited = at_team.do("wait", "c1", "--wait", "0", "--json")
    log = at_team.do("log", "c1", "--json")

    assert started.json["change"] == "c1", started
    assert "Subtract" in status.out, status
    assert "c1 Subtract: active" in why.out, why
    assert waited.status == Exit.OK, waited
    assert json.loads(log.out.splitlines()[0])["event"]["title"] == "Subtract"


@pytest.mark.slow
def test_the_history_needs_the_database_alone(at_team: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_team.do("start", "Subtract")
    monkeypatch.setenv(REMOTE, f"file://{tmp_path}/nothing.git")

    assert "Subtract" in at_team.do("log").out


@pytest.mark.slow
def test_a_commit_of_this_clone_is_verified_against_what_the_team_judged(at_team: Desk, tmp_path: Path) -> None:
    clone = Desk(tmp_path / "team" / "person")
    mine = clone.commit({"sub.py": "def sub(a, b):\n    return a - b\n"})

    told = clone.do("verify", "HEAD")

    assert told.status == Exit.FAILED, told
    assert f"{mine[:10]} has not passed the gates: it was never handed in" in told.out


@pytest.mark.slow
def test_the_same_decision_under_the_same_key_is_one_wherever_its_place_was_said(
    at_team: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_team.do("start", "Subtract")
    command = ["cancel", "c1", "--reason", "Nobody needs it", "--key", "k"]
    first = at_team.at_terminal(*command, answers=["y"])
    monkeypatch.delenv(DATABASE)
    again = at_team.at_terminal(*command, "--database-url", database_url, answers=["y"])

    assert (first.status, again.status) == (Exit.OK, Exit.OK), f"{first}\n{again}"
    assert "c1 is cancelled" in again.out


@pytest.mark.slow
def test_migrate_records_which_branch_is_trusted_once(at_team: Desk, database_url: str) -> None:
    done = at_team.do("migrate", "--target", "trunk")
    same = at_team.do("migrate", "--target", "trunk")
    other = at_team.do("migrate", "--target", "main")
    wrong = at_team.do("migrate", "--target", "a..b")

    assert (done.status, same.status) == (Exit.OK, Exit.OK), done
    assert "Trusted branch: trunk" in done.out
    assert "trusted branch is 'trunk'" in refused(other)
    assert "no name of a branch" in refused(wrong)
    with closing(open_database(database_url)) as store:
        assert store.read(lambda tx: tx.meta_get("target")) == "trunk"
