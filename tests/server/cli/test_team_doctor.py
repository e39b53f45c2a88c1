"""`gatewright doctor` for a team: what an operator gets wrong is one red line with the command that mends it."""

import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gatewright.gates.remote.problems import RemoteFault, RemoteProblem
from gatewright.gates.remote.remote import Remote
from gatewright.schemas.ids import COMMIT_ID
from gatewright.server import composition
from gatewright.server.cli import team as team_options
from gatewright.server.cli import team_doctor
from gatewright.server.cli.command import Exit
from gatewright.server.engine.queue import STALLED_AFTER_S
from gatewright.server.store import create_database, open_database
from gatewright.server.store.tx import Tx
from tests.acceptance.serve_process import served_with, working
from tests.acceptance.team import Team
from tests.postgres import Cluster, _emptied_database, database_url, new_database_url, postgres

from .conftest import WITHIN_S, Desk, Ran

__all__ = ["_emptied_database", "database_url", "new_database_url", "postgres"]

PIPELINE = """\
version: 1
target: main
stages:
  code:
    goal: Make the change.
    writes: ["*.txt", "broken.txt"]
    gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]
  model:
    goal: Train it.
    writes: ["model/**"]
    gates: [{command: {name: ok, run: "test -e calc.py", runs_on: [gpu]}}]
land: {needs: [code, model]}
"""
NOWHERE = "postgresql://ann:hunter2@127.0.0.1:9/gatewright"


@dataclass
class Place:
    """A team, and an operator who looks at it from a folder that is no repository."""

    team: Team
    database_url: str
    desk: Desk
    monkeypatch: pytest.MonkeyPatch

    def given(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(f"GATEWRIGHT_{name}", value)

    def look(self, *arguments: str) -> Ran:
        return self.desk.do("doctor", "--json", "--no-gates", *arguments)

    def do(self, statement: str) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def place(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    team, home = Team(tmp_path / "team", PIPELINE), tmp_path / "home"
    home.mkdir()
    with closing(open_database(database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
    place = Place(team, database_url, Desk(home), monkeypatch)
    place.given(DATABASE_URL=database_url, REMOTE=team.url, STATE=str(tmp_path / "state"))
    return place


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """In this process, which does not become another one."""

    def handed() -> object:
        return team_options.find_team(Namespace())

    monkeypatch.setattr(team_doctor, "handed_team", handed)
    monkeypatch.setattr(team_doctor, "keep_others_out", lambda: None)
    return place


def red(ran: Ran) -> dict[str, dict[str, str]]:
    """The red items by name; each says what to do."""
    assert ran.status == Exit.FAILED, ran
    assert "hunter2" not in ran.out + ran.err
    items = json.loads(ran.out)["items"]
    found = {item["name"]: item for item in items if item["is_good"] is False}
    assert all(item["text"] and item["mend"] for item in found.values()), found
    return found


def good(ran: Ran) -> set[str]:
    return {item["name"] for item in json.loads(ran.out)["items"] if item["is_good"]}


@pytest.mark.slow
def test_a_team_that_is_well_is_green_and_nothing_of_it_was_moved(place: Place, tmp_path: Path) -> None:
    """By real processes: a server, a worker with a label, and the gates that this machine can try."""
    before = place.team.refs()
    tip = place.team.tip()
    worker = working("--labels", "gpu", GATEWRIGHT_STATE=str(tmp_path / "worker"))
    with served_with(GATEWRIGHT_STATE=str(tmp_path / "server")) as server, worker as process:
        _until(place, lambda tx: tx.workers(STALLED_AFTER_S) and tx.cache_find("labels of worker "))
        url = server.url.removesuffix("/mcp")
        ran = place.desk.run("doctor", "--json", "--server", url)
        shown = place.desk.run("doctor", "--no-gates")
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    _until(place, lambda tx: not tx.workers(STALLED_AFTER_S))
    gone = place.desk.run("doctor", "--json", "--no-gates")

    assert ran.status == Exit.OK, ran
    items = {item["name"]: item for item in json.loads(ran.out)["items"]}
    looked = {"database", "clock", "remote", "target", "keeping", "fetch by id", "landing", "policy", "workers"}
    assert looked | {"server", "ready", "tokens", "code/ok"} <= good(ran)
    assert "(gpu)" in items["workers"]["text"]
    assert "not tried" in items["model/ok"]["text"]
    assert "ok   workers" in shown.out
    assert "All green." in shown.out
    assert place.database_url.encode() not in environment
    assert (place.team.refs() - before, place.team.tip()) == (set(), tip)
    assert red(gone).keys() == {"workers", "model", "land"}, "a worker that was killed is not alive"


def _until(place: Place, is_so: Callable[[Tx], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    with closing(open_database(place.database_url)) as store:
        while not store.read(is_so):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_without_workers_nothing_is_judged_and_whoever_lacks_a_label_is_named(here: Place) -> None:
    told = red(here.look())

    assert told.keys() == {"workers", "model", "land"}
    assert told["model"]["mend"].endswith("--labels gpu")
    assert "gpu" in told["model"]["text"]


def _no_database(place: Place) -> None:
    place.given(DATABASE_URL=NOWHERE)


def _no_remote(place: Place) -> None:
    place.given(REMOTE="https://ann:hunter2@127.0.0.1:9/shop.git")


def _declines_ours(place: Place) -> None:
    place.team.hook("grep -q refs/gatewright/ && exit 1; exit 0")


def _declines_deletion(place: Place) -> None:
    place.team.hook("grep -q ' 0000000000000000000000000000000000000000 refs/gatewright/' && exit 1; exit 0")


def _bad_policy(place: Place) -> None:
    place.team.person.commit("Break it", **{"gatewright.yaml": "version: nonsense\n"})
    place.team.person.git("push", "-q", "origin", "HEAD:main")


def _other_target(place: Place) -> None:
    with closing(open_database(place.database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "elsewhere"))


def _no_server(place: Place) -> None:
    place.given(SERVER="http://127.0.0.1:9")


def _no_fetch(place: Place) -> None:
    fetch = Remote.fetch

    def by_branch_alone(remote: Remote, into: Path, refspecs: Sequence[str], **more: Any) -> None:  # noqa: ANN401 - as given
        if COMMIT_ID.fullmatch(refspecs[0]):
            raise RemoteProblem(RemoteFault.MISSING, "The git remote gives nothing by its id.")
        fetch(remote, into, refspecs, **more)

    place.monkeypatch.setattr(Remote, "fetch", by_branch_alone)


def _late_clock(place: Place) -> None:
    now = composition.system_clock
    place.monkeypatch.setattr(composition, "system_clock", lambda: now() - timedelta(minutes=1))


FAULTS: dict[str, tuple[Callable[[Place], None], str, str]] = {
    "no database": (_no_database, "database", "psql"),
    "no remote": (_no_remote, "remote", "git ls-remote"),
    "declined": (_declines_ours, "keeping", "refs/gatewright/*"),
    "not deleted": (_declines_deletion, "deleting", "--delete refs/gatewright/doctor/"),
    "no fetch": (_no_fetch, "fetch by id", "allowAnySHA1InWant"),
    "bad policy": (_bad_policy, "policy", "check-pipeline"),
    "no target": (_other_target, "target", "gatewright migrate --target"),
    "no server": (_no_server, "server", "curl"),
    "late clock": (_late_clock, "clock", "timedatectl"),
}


FAST = ("declined", "late clock")


@pytest.mark.parametrize("fault", [f if f in FAST else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS])
def test_what_is_wrong_is_red_and_the_rest_is_looked_at_all_the_same(here: Place, fault: str) -> None:
    make, name, mend = FAULTS[fault]
    make(here)

    ran = here.look()

    assert mend in red(ran)[name]["mend"], ran.out
    others = {"database", "remote", "keeping"} - {name} - ({"keeping"} if name == "remote" else set())
    assert others <= good(ran)
    left = here.team.refs("refs/gatewright/doctor")
    assert len(left) == (1 if fault == "not deleted" else 0), left


def test_a_database_without_a_store_says_how_to_make_one(here: Place, new_database_url: str) -> None:
    here.given(DATABASE_URL=new_database_url)

    told = red(here.look())

    assert "gatewright migrate" in told["database"]["mend"]


@pytest.fixture
def roles(here: Place, postgres: Cluster) -> Iterator[Callable[[str], str]]:
    """The database by a role of its own: `bare` may connect and no more, `worker` what a worker may."""
    made = []

    def address(role: str) -> str:
        name = f"doctor_{role}_{os.getpid()}"
        postgres.do(f"CREATE ROLE {name} LOGIN")
        made.append(name)
        if role == "worker":
            create_database(here.database_url, worker_role=name)
        return here.database_url.replace("//gatewright@", f"//{name}@")

    yield address
    for name in made:
        here.do(f"DROP OWNED BY {name}")
        postgres.do(f"DROP ROLE {name}")


def test_a_role_that_lacks_rights_is_red_and_that_of_a_worker_is_told_for_what_it_is(
    here: Place, roles: Callable[[str], str]
) -> None:
    here.given(DATABASE_URL=roles("bare"))
    bare = red(here.look())
    here.given(DATABASE_URL=roles("worker"))
    worker = here.look()

    assert "migrate" in bare["database"]["mend"] or "psql" in bare["database"]["mend"]
    assert red(worker).keys() == {"workers", "model", "land"}
    (role,) = [item for item in json.loads(worker.out)["items"] if item["name"] == "role"]
    assert "what a worker does, and not what a server does" in role["text"]


def test_half_a_team_and_files_to_mend_are_refused(here: Place) -> None:
    fix = here.desk.do("doctor", "--fix")
    here.monkeypatch.delenv("GATEWRIGHT_STATE")
    half = here.desk.do("doctor")

    assert (fix.status, half.status) == (Exit.USAGE, Exit.USAGE)
    assert "--state (or GATEWRIGHT_STATE)" in half.err


def test_of_this_repository_the_same_can_be_had_as_data(ready: Desk) -> None:
    ran = ready.do("doctor", "--no-gates", "--json")

    names = [item["name"] for item in json.loads(ran.out)["items"]]
    assert ran.status == Exit.OK, ran
    assert {"git", "store", "trusted branch", "pipeline"} <= set(names)
