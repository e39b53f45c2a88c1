"""A person of a team decides at a terminal on a machine of their own: no server, no repository, an address of each."""

import json
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from gatewright.server.store import open_database

from ..postgres import _emptied_database, database_url, postgres
from ..server.cli.conftest import Desk
from .house import OK_GATE, WITHIN_S, Agent, solo
from .serve_process import agent_of, issue_in, served_with, working
from .team import Team

__all__ = ["_emptied_database", "database_url", "postgres"]

pytestmark = pytest.mark.anyio

SECRET = "correct horse battery"


@pytest.mark.slow
async def test_what_waits_for_a_person_is_approved_from_a_third_machine_and_lands(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = Team(tmp_path / "team", solo(OK_GATE, "{approval: {}}"))
    machine = tmp_path / "third machine"
    machine.mkdir()
    person = Desk(machine)
    monkeypatch.setenv("GATEWRIGHT_DATABASE_URL", database_url)
    monkeypatch.setenv("GATEWRIGHT_REMOTE", team.url)
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.delenv("GATEWRIGHT_REMOTE")
        made = person.run("migrate", "--target", "main")
    with closing(open_database(database_url)) as store:
        token = issue_in(store)
    with (
        served_with(GATEWRIGHT_STATE=str(tmp_path / "server")) as server,
        working(GATEWRIGHT_STATE=str(tmp_path / "worker")),
    ):
        monkeypatch.setenv("GATEWRIGHT_STATE", str(machine / "state"))
        registered = person.at_terminal("people", "add", "ann", answers=["ann", SECRET, SECRET])
        async with agent_of(server.url, token) as ada:
            change = await ada.start("Subtract")
            brief = await ada.claim(change)
            team.clone("ada").follow(brief, **{"sub.py": "def sub(a, b):\n    return a - b\n"})
            handed_in = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=60)
            status, why = person.run("status"), person.run("why", change)
            diff = person.run("approve", change, "code", "--diff")
            on_a_pipe = person.run("approve", change, "code")
            approved = person.at_terminal("approve", change, "code", answers=["ann", SECRET])
            landed = await _landed(ada, change)
        told = person.run("log", change, "--json")
        merged = Desk(team.clone("ci").path).run("verify", "HEAD")
        sound = person.run("fsck")

    assert made.status == 0, made
    assert registered.status == 0, registered
    assert handed_in["state"] == "pending", handed_in.text
    assert f"gatewright approve {change} code" in status.out, status
    assert "unlock" in why.out, why
    assert "+def sub(a, b):" in diff.out, diff
    assert "terminal" in on_a_pipe.err, on_a_pipe
    assert f"Approved. {change}: code passed" in approved.out, approved
    assert landed == f"landed on 'main' as {team.tip()}"
    events = [json.loads(line)["event"] for line in told.out.splitlines()]
    assert [event["approval"]["person"] for event in events if event["kind"] == "approval_given"] == ["person:ann"]
    assert (merged.status, sound.status) == (0, 0), f"{merged}\n{sound}"
    assert "all is well" in sound.out


async def _landed(agent: Agent, change: str) -> str:
    position = (await agent.get("wait_for_update", change=change, wait_s=0))["position"]
    with anyio.fail_after(3 * WITHIN_S):
        while True:
            (status,) = (await agent.get("get_status", change=change))["changes"]
            if status["state"] == "landed":
                return str(status["landing"])
            position = (await agent.get("wait_for_update", change=change, after=position, wait_s=20))["position"]
