"""Each of people's commands on a team, by its database and by a server and a token: what servers see afterwards."""

import os
import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from gatewright.schemas.records import ChangeRecord
from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof
from gatewright.server.store import open_database

from ..postgres import _emptied_database, empty, postgres
from ..server.cli.conftest import Desk, Ran
from .house import OK_GATE, WITHIN_S, Agent, Told
from .serve_process import agent_of, served_with, working
from .team import Team

__all__ = ["_emptied_database", "postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PIPELINE = f"""\
version: 1
target: main
stages:
  code:
    goal: Make the change.
    attempts: 1
    gates: [{OK_GATE}, {{approval: {{}}}}]
land: {{needs: [code]}}
"""
SECRET = "correct horse battery"
ANN = Person("ann", Proof.WORD)


@dataclass
class Place:
    """A team that is served and worked for, and a person's folder on a machine of its own."""

    team: Team
    database_url: str
    server_url: str
    home: Path
    agents_token: str
    persons_token: str
    policy: str = PIPELINE

    @property
    def environment(self) -> Mapping[str, Mapping[str, str]]:
        """What a person sets, by how they reach the team."""
        state = str(self.home / "state")
        database = {"GATEWRIGHT_DATABASE_URL": self.database_url, "GATEWRIGHT_REMOTE": self.team.url}
        server = {"GATEWRIGHT_SERVER": self.server_url, "GATEWRIGHT_TOKEN": self.persons_token}
        return {"database": {**database, "GATEWRIGHT_STATE": state}, "server": server}

    def record(self, change: str) -> ChangeRecord:
        with closing(open_database(self.database_url)) as store:
            found = store.read(lambda tx: tx.find_change(change))
        assert found is not None
        return found


@pytest.fixture(scope="module")
def place(_emptied_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    empty(_emptied_database)
    folder = tmp_path_factory.mktemp("decisions")
    team, home = Team(folder / "team", PIPELINE), folder / "home"
    home.mkdir()
    given = {"GATEWRIGHT_DATABASE_URL": _emptied_database, "GATEWRIGHT_REMOTE": team.url}
    with closing(open_database(_emptied_database)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
        worker = _issue(store.run, "ada", Scope.WORK)
        person = _issue(store.run, "ann", Scope.APPROVE, Scope.ADMIN)
    serving = served_with(**given, GATEWRIGHT_STATE=str(folder / "server"))
    with serving as server, working(**given, GATEWRIGHT_STATE=str(folder / "worker")):
        url = server.url.removesuffix("/mcp")
        place = Place(team, _emptied_database, url, home, worker, person)
        with _set(place.environment["database"]):
            added = Desk(home).at_terminal("people", "add", "ann", answers=["ann", SECRET, SECRET])
        assert added.status == 0, added
        yield place


def _issue(run: Callable[..., object], subject: str, *scopes: Scope) -> str:
    token, now = tokens.new_token(), datetime.now(UTC)
    lifetime = timedelta(days=1)
    run(lambda tx: tokens.issue(tx, token, subject=subject, scopes=scopes, lifetime=lifetime, by=ANN, now=now))
    return token


async def _begun(ada: Agent) -> tuple[str, Told]:
    change = await ada.start("Something")
    return change, await ada.claim(change)


async def _handed_in(ada: Agent, brief: Told, files: dict[str, str]) -> Told:
    return await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", files=files, wait_s=90)


async def asking(place: Place, ada: Agent) -> str:
    change, brief = await _begun(ada)
    await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Tabs or blanks?")
    return change


async def spent(place: Place, ada: Agent) -> str:
    change, brief = await _begun(ada)
    verdict = await _handed_in(ada, brief, {"broken.txt": change})
    assert verdict["stage_state"] == "escalated", verdict.text
    return change


async def awaiting(place: Place, ada: Agent) -> str:
    change, brief = await _begun(ada)
    verdict = await _handed_in(ada, brief, {f"{change}.txt": change})
    assert verdict["stage_state"] == "in_review", verdict.text
    return change


async def working_on(place: Place, ada: Agent) -> str:
    change, brief = await _begun(ada)
    place.team.clone(f"ada-{change}").follow(brief, **{"a.txt": "a"})
    assert place.team.refs(f"refs/heads/gatewright/{change}"), "the agent's branch is on the remote"
    return change


async def behind(place: Place, ada: Agent) -> str:
    change, _ = await _begun(ada)
    _push_policy(place, PIPELINE + f"# since {change}\n")
    return change


async def blocked(place: Place, ada: Agent) -> str:
    """Passed, and the trusted branch's policy cannot be read; what it was is put back when the command was given."""
    change = await awaiting(place, ada)
    place.policy = place.team.git("show", "main:gatewright.yaml") + "\n"
    _push_policy(place, "version: nonsense\n")
    approved = _run(place, "database", "approve", change, "code", answers=["ann", SECRET])
    assert approved.status == 0, approved
    with anyio.fail_after(WITHIN_S):
        while (landing := place.record(change).landing) is None or landing.step != "blocked":  # noqa: ASYNC110 - as below
            await anyio.sleep(0.1)
    return change


def _push_policy(place: Place, text: str) -> None:
    person = place.team.person
    person.git("pull", "-q", "--rebase", "origin", "main")
    person.commit("Policy", **{"gatewright.yaml": text})
    person.git("push", "-q", "origin", "HEAD:main")


def _run(place: Place, by: str, *arguments: str, answers: list[str]) -> Ran:
    with _set(place.environment[by]):
        return Desk(place.home).at_terminal(*arguments, answers=answers)


@contextmanager
def _set(environment: Mapping[str, str]) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@dataclass(frozen=True)
class Case:
    """A command: where the change is before, what is typed to confirm it on a server, and what servers see after."""

    before: Callable[[Place, Agent], Awaitable[str]]
    arguments: tuple[str, ...]
    typed: str
    stage: str
    change: str = "active"


CASES: Mapping[str, Case] = {
    "answer": Case(asking, ("code", "--allow", "--note", "Blanks."), "code", "open"),
    "approve": Case(awaiting, ("code",), "y", "passed", "landed"),
    "reject": Case(awaiting, ("code", "--note", "Not like this."), "y", "escalated"),
    "reopen": Case(spent, ("code", "--reason", "It is wrong."), "CHANGE", "open"),
    "retry-gates": Case(spent, ("code",), "y", "escalated"),
    "grant-attempts": Case(spent, ("code", "2"), "CHANGE", "open"),
    "repin": Case(behind, (), "CHANGE", "open"),
    "cancel": Case(working_on, ("--reason", "No longer wanted."), "y", "open", "cancelled"),
    "land": Case(blocked, (), "y", "passed"),
}


@pytest.mark.parametrize("by", ["database", "server"])
@pytest.mark.parametrize("command", CASES)
async def test_a_command_does_on_a_team_what_it_does_on_one_machine(place: Place, command: str, by: str) -> None:
    case = CASES[command]
    async with agent_of(f"{place.server_url}/mcp", place.agents_token) as ada:
        change = await case.before(place, ada)
        typed = change if case.typed == "CHANGE" else case.typed
        answers = {"database": ["ann", SECRET], "server": [typed]}[by]

        ran = _run(place, by, command, change, *case.arguments, answers=answers)

        assert ran.status == 0, ran.out
        with anyio.fail_after(WITHIN_S):
            while True:
                (seen,) = (await ada.get("get_status", change=change))["changes"]
                stages = [stage["state"] for stage in seen["stages"]]
                if (seen["state"], stages) == (case.change, [case.stage]) or seen["state"] == case.change != "active":
                    break
                await anyio.sleep(0.1)
        await LEFT[command](place, ada, change)


async def _nothing(place: Place, ada: Agent, change: str) -> None: ...


async def _is_recorded(place: Place, ada: Agent, change: str) -> None:
    (attempt,) = place.record(change).stage("code").attempts
    (approval,) = attempt.approvals
    assert (approval.commit, approval.target) == (attempt.commit, "main")
    assert approval.person in ("person:ann", "token:ann")
    assert place.team.files() >= ({f"{change}.txt"} if approval.is_given else set())


async def _is_judged_again(place: Place, ada: Agent, change: str) -> None:
    with anyio.fail_after(WITHIN_S):
        while len(place.record(change).stage("code").attempts) < 2:  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.1)
    first, again = place.record(change).stage("code").attempts
    assert first.commit == again.commit


async def _is_claimable(place: Place, ada: Agent, change: str) -> None:
    assert (await ada.claim(change))["change"] == change


async def _has_policy(place: Place, ada: Agent, change: str) -> None:
    assert place.record(change).policy.commit == place.team.tip()


async def _has_no_branch(place: Place, ada: Agent, change: str) -> None:
    assert place.team.refs(f"refs/heads/gatewright/{change}") == set()


async def _is_tried_again(place: Place, ada: Agent, change: str) -> None:
    assert place.record(change).landings >= 2
    _push_policy(place, place.policy)
    with anyio.fail_after(WITHIN_S):
        while place.record(change).state != "landed":  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.1)
    assert f"{change}.txt" in place.team.files()


LEFT: Mapping[str, Callable[[Place, Agent, str], Awaitable[None]]] = {
    "answer": _is_claimable,
    "approve": _is_recorded,
    "reject": _is_recorded,
    "reopen": _is_claimable,
    "retry-gates": _is_judged_again,
    "grant-attempts": _is_claimable,
    "repin": _has_policy,
    "cancel": _has_no_branch,
    "land": _is_tried_again,
}


def test_what_is_looked_at_on_a_server_is_what_is_looked_at_in_the_database(place: Place) -> None:
    """The same replies, byte for byte, and the same exit status; also of what there is not. Only time goes on."""
    change = "c1"
    looks = [
        ("status", change, "--json"),
        ("status", change),
        ("why", change),
        ("why", change, "code", "--json"),
        ("why", change, "land", "--json"),
        ("log",),
        ("log", change, "--json"),
        ("read", change, "code"),
        ("evidence", change, "code", "--json"),
        ("why", "c999"),
        ("log", "c999"),
        ("status", "c999", "--json"),
        ("approve", "c999", "code"),
        ("answer", change, "land"),
    ]
    person = Desk(place.home)

    for look in looks:
        ran = []
        for environment in place.environment.values():
            with _set(environment):
                ran.append(person.do(*look))
        database, server = ran
        assert (server.status, _timeless(server.out), server.err) == (
            database.status,
            _timeless(database.out),
            database.err,
        ), look
        assert "Traceback" not in server.err
    assert not (place.home / ".git").exists()


def _timeless(text: str) -> str:
    return re.sub(r'(_s"?: |\bfor |, |\(in )\d+( (s|min|h)\b)*', r"\1N", text)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GATEWRIGHT_TOKEN": ""}, "GATEWRIGHT_TOKEN has none"),
        ({"GATEWRIGHT_TOKEN": "gwt_" + "x" * 43}, "knows nobody by this token"),
        ({"GATEWRIGHT_TOKEN": "a token\nwith: more"}, "is no token"),
        ({"GATEWRIGHT_SERVER": "http://gates.example.org"}, "https:// alone"),
        ({"GATEWRIGHT_SERVER": "http://127.0.0.1.example.org"}, "https:// alone"),
        ({"GATEWRIGHT_SERVER": "https://ann:hunter2@gates.example.org"}, "is no http(s) URL"),
        ({"GATEWRIGHT_SERVER": "https://gates.example.org/x"}, "has a path"),
        ({"GATEWRIGHT_SERVER": "ftp://gates.example.org"}, "is no http(s) URL"),
        ({"GATEWRIGHT_SERVER": "http://127.0.0.1:9"}, "did not answer: nobody listens there"),
        ({"GATEWRIGHT_DATABASE_URL": "postgresql://x/y"}, "not by both"),
    ],
)
def test_a_server_that_cannot_be_meant_is_sent_no_token(place: Place, environment: dict[str, str], said: str) -> None:
    with _set({**place.environment["server"], **environment}):
        told = Desk(place.home).do("why", "c1")

    assert told.status in (2, 3, 4), told
    assert said in told.err, told
    assert "hunter2" not in told.err
    assert "Traceback" not in told.err


def test_doctor_by_a_url_alone_says_what_it_has_not_looked_at(place: Place) -> None:
    with _set(place.environment["server"]):
        told = Desk(place.home).do("doctor")

    assert (told.status, "the rest wants GATEWRIGHT_DATABASE_URL" in told.out) == (0, True), told


@pytest.mark.parametrize("command", [("people", "list"), ("fsck",), ("verify", "HEAD"), ("claim", "--agent", "x")])
def test_what_no_server_does_never_falls_back_to_a_repository(place: Place, command: tuple[str, ...]) -> None:
    with _set(place.environment["server"]):
        told = Desk(place.team.person.path).do(*command)

    assert told.status == 3, told
    assert "unset GATEWRIGHT_SERVER" in told.err


def test_a_pipe_decides_nothing_on_a_server(place: Place) -> None:
    """A token in the environment is in the hands of whatever runs there: somebody has to look."""
    with _set(place.environment["server"]):
        told = Desk(place.home).do("cancel", "c1", "--reason", "x")

    assert told.status == 3
    assert "at a terminal" in told.err
    assert os.environ.get("GATEWRIGHT_TOKEN") is None
