"""What can be wrong with the remote that a team shares, and what becomes of work meanwhile."""

from pathlib import Path

import anyio
import pytest

from gatewright.gates.machine import commands as c
from gatewright.gates.remote import pauses
from gatewright.schemas.records import ChangeState, LandingStep

from .house import Agent, Clock, Server, Told
from .team import SUB, Team, commands_of

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_while_the_remote_is_down_nothing_begins_and_everything_is_told(team: Team) -> None:
    clone, gone = team.clone("ada"), team.remote.with_name("gone.git")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        team.remote.rename(gone)
        begun = await ada.call("start_change", title="Another", intent="Another.")
        handed = await ada.call("submit_artifact", lease=brief["lease"], summary="Work.", key="k")
        status = await ada.get("get_status")
        gone.rename(team.remote)
        with_patience = await _persist(ada, "submit_artifact", lease=brief["lease"], summary="Work.", key="k")
        await server.landed(change)

    for told in (begun, handed):
        assert told.code == "store_unavailable"
        assert "cannot be reached" in told.text
        assert "Call again" in told["next"]
    assert status["changes"][0]["change"] == change
    assert with_patience["outcome"] == "passed"


async def test_a_claim_while_the_remote_is_down_stands_and_is_told_again(tmp_path: Path) -> None:
    team = Team(tmp_path / "team")
    gone = team.remote.with_name("gone.git")
    async with team.serving(has_engine=False) as server, server.agent("ada") as ada:
        change = await ada.start()
        team.remote.rename(gone)
        first = await ada.get("claim_stage", agent="ada", change=change, key="mine")
        gone.rename(team.remote)
        second = await ada.get("claim_stage", agent="ada", change=change, key="mine")

    assert first["lease"] == second["lease"]
    assert commands_of(second)


@pytest.mark.slow
async def test_a_target_that_moved_between_judging_and_pushing_is_merged_again(team: Team) -> None:
    """The race is lost on the remote itself, once."""
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        theirs = team.person.commit("Meanwhile", **{"notes.txt": "A person's.\n"})
        team.person.git("push", "-q", "origin", "HEAD:refs/heads/meanwhile")
        team.hook(
            "read old new ref; [ $ref = refs/heads/main ] || exit 0; rm hooks/pre-receive; unset GIT_QUARANTINE_PATH; "
            f"git update-ref refs/heads/main {theirs}"
        )
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        record = await server.landed(change)

    assert record.landing_failures == 1
    assert {"sub.py", "notes.txt"} <= team.files()


@pytest.mark.slow
async def test_a_remote_that_declines_says_why_and_takes_it_when_it_changes_its_mind(team: Team) -> None:
    clone = team.clone("ada")
    team.hook(
        "while read old new ref; do [ $ref = refs/heads/main ] && echo frozen until Monday && exit 1; done; exit 0"
    )
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        held = await server.until(change, lambda record: record.landing is not None and record.landing.because)
        status = await ada.get("get_status", change=change)
        refused = await ada.call("claim_stage", agent="ada", change=change, stage="code")
        before = team.tip()
        team.hook(None)
        record = await server.landed(change)

    assert held.state is ChangeState.LANDING
    assert "frozen until Monday" in status.text
    assert "frozen until Monday" in refused.text
    assert before == record.base
    assert team.tip() == record.landed_commit


@pytest.mark.slow
async def test_a_remote_that_declines_for_good_is_left_and_people_are_asked(team: Team) -> None:
    clock, clone = Clock(), team.clone("ada")
    team.hook("while read old new ref; do [ $ref = refs/heads/main ] && echo protected && exit 1; done; exit 0")
    async with team.serving(clock=clock) as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        for number in range(1, 6):
            await server.until(
                change,
                lambda record, number=number: (
                    record.landing is not None
                    and (record.landing.number, bool(record.landing.because)) == (number, True)
                ),
            )
            clock.advance(3600)
        asked = await server.until(change, lambda record: record.stage("code").escalation is not None)
        cancelled = await server.decide(change, c.Cancel("person:eve", "it may not land"))

    assert asked.stage("code").escalation is not None
    assert "protected" in asked.stage("code").escalation.question  # type: ignore[union-attr]  # asserted above
    assert cancelled.state is ChangeState.CANCELLED
    assert team.tip() == asked.base


@pytest.mark.slow
async def test_a_remote_that_is_down_holds_the_landing_until_it_is_back(team: Team) -> None:
    clone, gone = team.clone("ada"), team.remote.with_name("gone.git")
    async with team.serving(has_engine=False) as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=0)
    team.remote.rename(gone)
    async with team.serving() as server, server.agent("ada") as ada:
        held = await server.until(
            change, lambda record: record.landing is not None and record.landing.step is LandingStep.BLOCKED
        )
        why = await ada.get("get_status", change=change, stage="land")
        gone.rename(team.remote)
        record = await server.landed(change)

    assert held.landing is not None
    assert "cannot be reached" in why.text
    assert team.tip() == record.landed_commit


@pytest.mark.slow
async def test_what_another_server_cannot_fetch_to_judge_is_judged_when_it_can(team: Team) -> None:
    clone, gone = team.clone("ada"), team.remote.with_name("gone.git")
    async with team.serving("one", has_engine=False) as one, one.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        two = team.services("two")
        two.store.close()
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=0)
        team.remote.rename(gone)
        async with team.serving("two") as server:
            with anyio.fail_after(20):
                while (await _tries(server)) < 6:  # noqa: ASYNC110 - a heartbeat is no news
                    await anyio.sleep(0.1)
            during = await server.record(change)
            gone.rename(team.remote)
            record = await server.landed(change)

    assert during.stage("code").state == "evaluating"
    assert not during.stage("code").current.error_retries  # type: ignore[union-attr]  # it is evaluating
    assert team.tip() == record.landed_commit


@pytest.mark.slow
async def test_a_remote_that_lets_pushes_wait_keeps_no_other_change_from_being_judged(team: Team) -> None:
    clone, go_on = team.clone("ada"), team.path / "go-on"
    team.hook(
        "while read old new ref; do [ $ref = refs/heads/main ] && n=0 && "
        f"while [ ! -e {go_on} ] && [ $n -lt 400 ]; do n=$((n+1)); sleep 0.1; done; done; exit 0"
    )
    async with team.serving() as server, server.agent("ada") as ada:
        first, second = await ada.start("First"), await ada.start("Second")
        brief = await ada.claim(first)
        clone.follow(brief, **{"sub.py": SUB})
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        await server.until(first, lambda record: record.state is ChangeState.LANDING)
        other = await ada.claim(second)
        judged = await ada.get("submit_artifact", lease=other["lease"], summary="W.", files={"x.py": "x = 1\n"})
        still = await server.record(first)
        go_on.touch()
        await server.landed(first)
        await server.landed(second)

    assert judged["outcome"] == "passed"
    assert still.state is ChangeState.LANDING
    assert {"sub.py", "x.py"} <= team.files()


@pytest.mark.slow
async def test_two_servers_with_engines_land_each_of_many_changes_once(team: Team) -> None:
    async with (
        team.serving("one") as one,
        team.serving("two") as two,
        one.agent("ada") as ada,
        two.agent("bob") as bob,
    ):
        changes = []
        for number, agent in enumerate((ada, bob, ada, bob)):
            change = await agent.start(f"Change {number}")
            brief = await agent.claim(change)
            files = {f"f{number}.py": f"x = {number}\n"}
            await agent.get("submit_artifact", lease=brief["lease"], summary="Work.", files=files, wait_s=0)
            changes.append(change)
        landed = [(await one.landed(change)).landed_commit for change in changes]

    assert {f"f{number}.py" for number in range(4)} <= team.files()
    subjects = team.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert sum(subject.startswith("Land ") for subject in subjects) == len(set(landed)) == 4


@pytest.mark.slow
async def test_a_remote_that_fails_at_every_other_moment_gets_everything_once(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the pushes every third is declined and every fifth takes a while; two servers and two agents go on."""
    monkeypatch.setattr(pauses, "PAUSE_MAX_S", 2.0)
    team.hook(
        "echo x >> pushes; n=$(wc -l < pushes); [ $((n % 3)) -eq 0 ] && echo not now && exit 1; "
        "[ $((n % 5)) -eq 0 ] && sleep 0.5; exit 0"
    )
    async with (
        team.serving("one") as one,
        team.serving("two") as two,
        one.agent("ada") as ada,
        two.agent("bob") as bob,
    ):
        changes = []
        for number, agent in enumerate((ada, bob, ada, bob)):
            begun = await _persist(agent, "start_change", title=f"Change {number}", intent="I.", key=f"start {number}")
            mine = {"agent": agent.name, "change": begun["change"], "key": f"claim {number}"}
            brief = await _persist(agent, "claim_stage", **mine)
            work = {"lease": brief["lease"], "files": {f"f{number}.py": "x = 1\n"}, "key": f"submit {number}"}
            await _persist(agent, "submit_artifact", summary="Work.", wait_s=0, **work)
            changes.append(begun["change"])
        landed = {(await one.landed(change)).landed_commit for change in changes}

    assert {f"f{number}.py" for number in range(4)} <= team.files()
    subjects = team.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert sum(subject.startswith("Land ") for subject in subjects) == len(landed) == 4


@pytest.mark.slow
async def test_a_remote_that_takes_no_refs_of_ours_takes_no_work_and_says_so(team: Team) -> None:
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"sub.py": SUB})
        team.git("config", "receive.hideRefs", "refs/gatewright")
        told = await ada.call("submit_artifact", lease=brief["lease"], summary="Work.")
        record = await server.record(change)

    assert told.code == "store_unavailable"
    assert "did not take refs/gatewright/attempts" in told.text
    assert not record.stage("code").attempts


async def _persist(client: Agent, tool: str, /, **given: object) -> Told:
    """Call again as long as the refusal says so, as the agent is told to."""
    with anyio.fail_after(20):
        while True:
            told = await client.call(tool, **given)
            if told.code != "store_unavailable":
                assert not told.is_refused, told.text
                return told
            await anyio.sleep(0.2)


async def _tries(server: Server) -> int:
    rows = await server.services.read(lambda tx: tx.evaluations(change="c1"))
    return max(row.tries for row in rows)
