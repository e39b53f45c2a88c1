"""One stage, one holder: races, leases that run out, takeovers, and what nobody may lose by them."""

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from gatewright.gates.machine.commands import KeepOrphan

from .conftest import Repositories
from .house import Clock, Repository, Server, Told, serving, staged, write_all

pytestmark = pytest.mark.anyio

LEASE_S = 15 * 60
AGENTS = 20


async def test_of_twenty_agents_at_once_one_gets_the_stage(desk: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant I2. All twenty claims are in flight together: none reaches the store before the last has arrived."""
    arrived = 0
    everybody = anyio.Event()
    run = desk.services.run

    async def run_together(work: Any, **given: Any) -> Any:  # noqa: ANN401 - in the place of a generic method
        nonlocal arrived
        arrived += 1
        if arrived == AGENTS:
            everybody.set()
        await everybody.wait()
        return await run(work, **given)

    won: list[Told] = []
    lost: list[Told] = []

    async def claim(number: int) -> None:
        async with desk.agent(f"agent-{number}") as agent:
            told = await agent.call("claim_stage", agent=agent.name, change="c1", stage="code")
            (lost if told.is_refused else won).append(told)

    async with desk.agent() as ada:
        await ada.start()
    monkeypatch.setattr(desk.services, "run", run_together)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(AGENTS):
                tasks.start_soon(claim, number)

    assert arrived >= AGENTS
    assert [told["kind"] for told in won] == ["work"]
    assert {told.code for told in lost} == {"lease_held"}
    record = await desk.record("c1")
    assert record.stage("code").fence == 1


async def test_agents_that_take_any_work_share_it_out(desk: Server) -> None:
    """Three changes, three agents at once: each gets one of its own."""
    taken = []

    async def claim(number: int) -> None:
        async with desk.agent(f"agent-{number}") as agent:
            taken.append((await agent.claim())["change"])

    async with desk.agent() as ada:
        for _ in range(3):
            await ada.start()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(claim, number)

    assert sorted(taken) == ["c1", "c2", "c3"]


async def test_two_clients_with_one_name_are_two(desk: Server, repository: Repository) -> None:
    """A name is a label: it opens nothing. The second is told where its lease lies if it is the first after all."""
    async with desk.agent("ada", principal="stdio:1") as one, desk.agent("ada", principal="stdio:2") as two:
        change = await one.start()
        brief = await one.claim()
        other = await two.call("claim_stage", agent="ada", change=change, stage="code")
        own = await one.call("claim_stage", agent="ada", change=change, stage="code")

    assert (other.code, own.code) == ("lease_held", "lease_held")
    assert brief["workspace"] not in other.text
    assert brief["workspace"] in own.text
    assert brief["lease"] not in other.text + own.text


async def test_a_lost_lease_is_found_in_the_private_folder_of_the_workspace(desk: Server) -> None:
    """Rule 2: for an agent that lost its context, and for nobody else on the machine."""
    async with desk.agent() as ada:
        await ada.start()
        brief = await ada.claim()

    place = lease_file(brief)
    assert place.read_text().strip() == brief["lease"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert desk.services.workspaces.find_lease(Path(brief["workspace"])) == brief["lease"]


@pytest.mark.slow
async def test_a_late_holder_may_submit_until_somebody_else_has_claimed(server: Server, clock: Clock) -> None:
    """Rule 1: expiry takes effect only when somebody claims."""
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        clock.advance(LEASE_S * 10)
        verdict = await ada.submit(brief, {"a.txt": "late"})

    assert verdict["outcome"] == "passed"


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("renew_lease", {}),
        ("check_gates", {"gates": ["ok"], "wait_s": 0}),
        ("release_stage", {"because": "spec_conflict", "reason": "x"}),
    ],
)
async def test_any_call_with_the_lease_renews_it(
    desk: Server, clock: Clock, tool: str, more: dict[str, object]
) -> None:
    """Rule 2: a worker that is alive is never fenced out for thinking."""
    async with desk.agent() as ada, desk.agent("bob") as bob:
        change = await ada.start()
        brief = await ada.claim()
        clock.advance(LEASE_S - 60)
        await ada.call(tool, lease=brief["lease"], **more)
        clock.advance(LEASE_S - 60)
        refused = await bob.refused("claim_stage", agent="bob", change=change, stage="code")

    assert refused == "lease_held"


@pytest.mark.slow
async def test_a_takeover_keeps_unsaved_work_and_its_finder_may_adopt_it(server: Server, clock: Clock) -> None:
    async with server.agent() as ada, server.agent("bob") as bob:
        await ada.start()
        first = await ada.claim()
        write_all(Path(first["workspace"]), {"half done.txt": "half", "ü/new line.txt": "x"})
        clock.advance(LEASE_S + 1)
        second = await bob.claim()
        assert second["workspace"] != first["workspace"]
        (orphan,) = second["orphans"]
        adopted = await bob.submit(second, commit=orphan["commit"])
        assert adopted["outcome"] == "passed", adopted.text
        late = await ada.refused("submit_artifact", lease=first["lease"], summary="x")
        await server.landed("c1")

    assert late in {"stage_passed", "change_over", "change_landing"}


async def test_what_a_late_holder_hands_in_after_a_takeover_is_refused_and_kept(desk: Server, clock: Clock) -> None:
    """Rule 1, whatever the new holder is doing at that moment: nothing that anybody made is thrown away."""
    async with desk.agent() as ada, desk.agent("bob") as bob:
        await ada.start()
        first = await ada.claim()
        clock.advance(LEASE_S + 1)
        second = await bob.claim()
        held = await ada.call("submit_artifact", lease=first["lease"], summary="Mine.", files={"mine.txt": "1"})
        await bob.get("submit_artifact", lease=second["lease"], summary="x", files={"b.txt": "b"}, wait_s=0)
        judged = await ada.call("submit_artifact", lease=first["lease"], summary="Mine.", files={"mine.txt": "2"})
        kept = (await desk.record("c1")).stage("code").orphans

    assert held.code == "lease_lost"
    assert kept[0].commit[:10] in held["message"]
    assert judged.is_refused
    assert [desk.services.artifacts.read(orphan.commit, "mine.txt", 99) for orphan in kept] == [b"1", b"2"]


async def test_a_takeover_between_the_look_and_the_decision_loses_no_work(
    desk: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race that no early look can see: the stage is taken over while git makes the late holder's commit."""
    commit_files = desk.services.artifacts.commit_files
    async with desk.agent() as ada, desk.agent("bob") as bob:
        await ada.start()
        first = await ada.claim()

        def take_over_meanwhile(*given: Any, **named: Any) -> str:  # noqa: ANN401 - it stands in for a method
            monkeypatch.undo()
            clock.advance(LEASE_S + 1)
            anyio.from_thread.run(bob.claim)
            return commit_files(*given, **named)

        monkeypatch.setattr(desk.services.artifacts, "commit_files", take_over_meanwhile)
        told = await ada.call("submit_artifact", lease=first["lease"], summary="Mine.", files={"mine.txt": "1"})
        kept = (await desk.record("c1")).stage("code").orphans

    assert told.code == "lease_lost"
    assert [desk.services.artifacts.read(orphan.commit, "mine.txt", 99) for orphan in kept] == [b"1"]


async def test_leases_are_of_one_store(make: Repositories) -> None:
    """The same change, stage and fence elsewhere are another lease."""
    async with serving(make(name="one"), has_engine=False) as one, one.agent() as ada:
        await ada.start()
        lease = (await ada.claim())["lease"]
    async with serving(make(name="two"), has_engine=False) as two, two.agent() as ada:
        await ada.start()
        await ada.claim()
        assert await ada.refused("renew_lease", lease=lease) == "unknown_lease"


@pytest.mark.slow
async def test_a_workspace_that_was_deleted_loses_neither_stage_nor_repository(server: Server) -> None:
    async with server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim(key="k")
        remove(brief["workspace"])
        told = await ada.call("submit_artifact", lease=brief["lease"], summary="x")
        again = await ada.get("claim_stage", agent="ada", key="k")
        verdict = await ada.submit(again, {"a.txt": "a"})

    assert told.code == "bad_artifact"
    assert again["lease"] == brief["lease"]
    assert verdict["outcome"] == "passed"
    assert change == "c1"


async def test_work_released_by_one_is_offered_to_the_next(desk: Server) -> None:
    async with desk.agent() as ada, desk.agent("bob") as bob:
        await ada.start()
        first = await ada.claim()
        write_all(Path(first["workspace"]), {"half.txt": "half"})
        await ada.get("release_stage", lease=first["lease"], because="cannot", reason="No idea how to go on.")
        second = await bob.claim()
        missing = await ada.refused("release_stage", lease=first["lease"], because="cannot", reason="x")

    assert any("No idea how to go on." in note for note in second["notes"])
    (orphan,) = second["orphans"]
    assert desk.services.artifacts.has(orphan["commit"]) or desk.services.repository.resolve(orphan["commit"])
    assert missing == "lease_lost"


async def test_orphans_are_bounded(desk: Server) -> None:
    async with desk.agent() as ada:
        change = await ada.start()
        for number in range(30):
            await desk.decide(change, KeepOrphan("code", 1, f"{number:040x}", "ada", "x" * 20_000))
        brief = await ada.claim()

    assert 0 < len(brief["orphans"]) <= 10


async def test_an_agent_with_a_role_gets_only_work_for_it(make: Repositories) -> None:
    pipeline = staged().replace("  plan:\n", "  plan:\n    role: planner\n")
    async with serving(make(pipeline), has_engine=False) as desk, desk.agent() as ada:
        await ada.start()
        none = await ada.get("claim_stage", agent="ada", role="reviewer")
        some = await ada.claim(role="planner")

    assert none["kind"] == "none"
    assert "reviewer" in none["why"]
    assert some["role"] == "planner"


def lease_file(brief: Told) -> Path:
    admin = Path((Path(brief["workspace"]) / ".git").read_text().removeprefix("gitdir: ").strip())
    (found,) = [place for place in admin.iterdir() if place.is_file() and place.read_bytes().startswith(b"gw1.")]
    return found


def remove(folder: str) -> None:
    shutil.rmtree(folder)
    assert not os.path.lexists(folder)
