"""Several agents, several changes, several servers: nothing waits for what it need not, and nothing happens twice."""

import anyio
import pytest

from gatewright.schemas.events import ArtifactSubmitted, ChangeLanded, StagePassed

from .conftest import Repositories
from .house import Repository, Server, serving, solo

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_two_servers_of_one_repository_judge_and_land_everything_once(repository: Repository) -> None:
    """Correctness never depends on there being one server: the store is the truth."""
    one, two = serving(repository), serving(repository)
    async with one as first, two as second, first.agent("ada") as ada, second.agent("bob") as bob:
        await ada.start("First")
        await bob.start("Second")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ada.pass_stage, {"a.txt": "a"}, "c1")
            tasks.start_soon(bob.pass_stage, {"b.txt": "b"}, "c2")
        for change in ("c1", "c2"):
            await first.landed(change)
            happened = [type(event) for _, event in await events(second, change)]
            for once in (ArtifactSubmitted, StagePassed, ChangeLanded):
                assert happened.count(once) == 1, (change, once)

    assert {"a.txt", "b.txt"} <= repository.files()
    landed = repository.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert sorted(landed) == ["Begin", "Land c1: First", "Land c2: Second"]


async def events(server: Server, change: str) -> tuple[tuple[int, object], ...]:
    return await server.services.read(lambda tx: tx.events(change, limit=1_000))


@pytest.mark.slow
@pytest.mark.usefixtures("unconfined")
async def test_evaluations_of_two_changes_run_at_the_same_time(make: Repositories) -> None:
    """Each gate ends only when the other has begun; one after the other neither would."""
    repository = make()
    places = repository.path.parent
    run = f"touch {places}/$(cat name.txt); while test $(ls {places} | grep -c begun) -lt 2; do sleep 0.02; done"
    repository.commit("Meet", gatewright__yaml=solo(f'{{command: {{name: meet, run: "{run}", timeout: 20s}}}}'))
    async with serving(repository) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        await ada.start()
        await ada.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ada.pass_stage, {"name.txt": "begun-1"}, "c1")
            tasks.start_soon(bob.pass_stage, {"name.txt": "begun-2"}, "c2")
        both = [(await server.record(change)).stage("code").state for change in ("c1", "c2")]

    assert both == ["passed", "passed"]


async def test_a_lease_opens_its_own_fence_and_no_other(desk: Server) -> None:
    """What a token says in clear cannot be turned into another right."""
    async with desk.agent() as ada:
        await ada.start()
        await ada.start()
        lease = str((await ada.claim("c1"))["lease"])
        await ada.claim("c2")
        for forged in (
            lease.replace(".c1.", ".c2."),
            lease.replace(".code.1.", ".code.2."),
            lease.replace(".code.", ".plan."),
            lease[:-1] + ("A" if lease[-1] != "A" else "B"),
            f"{lease} ",
            lease.upper(),
            lease + "=",
        ):
            assert await ada.refused("renew_lease", lease=forged) == "unknown_lease", forged
            assert await ada.refused("submit_artifact", lease=forged, summary="x") == "unknown_lease", forged
        await ada.get("renew_lease", lease=lease)


async def test_a_stale_claim_is_never_honoured_after_the_stage_went_on(server: Server) -> None:
    """The lease of an opening that is over stays over: after a release, a pass and a reopen."""
    from gatewright.gates.machine.commands import Reopen

    async with server.agent() as ada, server.agent("bob") as bob:
        change = await ada.start()
        first = await ada.claim()
        await ada.get("release_stage", lease=first["lease"], because="done_for_now", reason="x")
        second = await bob.claim()
        await bob.submit(second, {"broken.txt": "x"})
        await bob.get("release_stage", lease=second["lease"], because="needs_decision", reason="x")
        await server.decide(change, Reopen("code", "person:eve", "Again."))
        third = await ada.claim()
        for stale in (first["lease"], second["lease"]):
            assert await ada.refused("submit_artifact", lease=stale, summary="x", files={"s.txt": "s"}) == "lease_lost"
            assert await ada.refused("check_gates", lease=stale) == "lease_lost"
            assert await ada.refused("renew_lease", lease=stale) == "lease_lost"
            assert await ada.refused("release_stage", lease=stale, because="cannot", reason="x") == "lease_lost"
        record = await server.record(change)

    assert record.stage("code").lease is not None
    assert record.stage("code").fence == 3
    assert third["lease"]
    assert len({first["lease"], second["lease"], third["lease"]}) == 3
