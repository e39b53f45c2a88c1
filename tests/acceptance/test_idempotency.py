"""The same request again has one effect (rule 11, invariant I8): by key, across connections' calls and restarts."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from gatewright.gates.machine import commands as c
from gatewright.schemas.records import GateOutcome, Outcome
from gatewright.server.store import EvaluationState

from .conftest import Repositories
from .house import PLAN, Repository, Server, serving, staged, write_all

pytestmark = pytest.mark.anyio

LEASE_S = 15 * 60


async def test_a_change_is_started_once_per_key(desk: Server) -> None:
    async with desk.agent() as ada, desk.agent("bob") as bob:
        one = await ada.get("start_change", title="t", intent="i", key="k")
        two = await ada.get("start_change", title="t", intent="i", key="k")
        other = await ada.refused("start_change", title="u", intent="i", key="k")
        bobs = await bob.get("start_change", title="t", intent="i", key="k")
        status = await ada.get("get_status")

    assert one.content == two.content
    assert other == "idempotency_conflict"
    assert bobs["change"] != one["change"], "a key is its principal's own"
    assert len(status["changes"]) == 2


async def test_twenty_equal_calls_at_once_have_one_effect(desk: Server) -> None:
    told = []

    async def start() -> None:
        told.append((await ada.get("start_change", title="t", intent="i", key="k"))["change"])

    async with desk.agent() as ada, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(start)

    assert told == ["c1"] * 20


async def test_keys_of_different_tools_are_one_namespace(desk: Server) -> None:
    async with desk.agent() as ada:
        await ada.start(key="k")
        refused = await ada.refused("claim_stage", agent="ada", key="k")

    assert refused == "idempotency_conflict"


@pytest.mark.slow
async def test_a_key_is_looked_at_before_anything_else(server: Server) -> None:
    """The stage has long passed; the call that passed it is still answered as it was, not with a refusal."""
    async with server.agent() as ada:
        change = await ada.start(key="1")
        brief = await ada.claim(key="2")
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        given = {"lease": brief["lease"], "summary": "x", "key": "3"}
        verdict = await ada.get("submit_artifact", **given)
        await server.landed(change)
        again = await ada.get("submit_artifact", **given)
        waited = await ada.get("submit_artifact", **given, wait_s=0)
        conflict = await ada.refused("submit_artifact", lease=brief["lease"], summary="other", key="3")
        record = await server.record(change)

    assert again.content == waited.content
    assert (again["evaluation"], again["commit"], again["outcome"]) == (
        verdict["evaluation"],
        verdict["commit"],
        "passed",
    )
    assert conflict == "idempotency_conflict"
    assert len(record.stage("code").attempts) == 1


@pytest.mark.slow
async def test_two_equal_submissions_at_once_are_one_attempt(server: Server) -> None:
    told = []
    async with server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        write_all(Path(brief["workspace"]), {"a.txt": "a"})

        async def submit() -> None:
            told.append((await ada.get("submit_artifact", lease=brief["lease"], summary="x", key="k"))["evaluation"])

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(submit)
        record = await server.record(change)

    assert len(set(told)) == 1
    assert len(record.stage("code").attempts) == 1


async def test_a_claim_and_a_release_are_answered_again_after_a_restart(make: Repositories) -> None:
    repository = make()
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        change = await ada.start(key="1")
        brief = await ada.claim(change, key="2")
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        assert await ada.start(key="1") == change
        again = await ada.claim(change, key="2")
        assert (again["lease"], again["workspace"]) == (brief["lease"], brief["workspace"])
        given = {"lease": brief["lease"], "because": "done_for_now", "reason": "Lunch.", "key": "3"}
        await ada.get("release_stage", **given)
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada, desk.agent("bob") as bob:
        await bob.claim(change)
        await ada.get("release_stage", **given)
        ended = await ada.get("claim_stage", agent="ada", change=change, key="2")
        record = await desk.record(change)

    assert record.stage("code").lease is not None, "the repeated release released nobody else's lease"
    assert record.stage("code").fence == 2
    assert "ended" in ended["why"]


async def test_the_bridges_stamp_makes_a_call_that_it_sends_again_one_effect(desk: Server) -> None:
    async with desk.agent() as ada:
        for _ in range(2):
            stamp: Any = {"gatewright/call": "abc"}  # Any: the SDK types only its own names
            result = await ada.client.call_tool("start_change", {"title": "t", "intent": "i"}, meta=stamp)
            assert result.structured_content is not None
            assert result.structured_content["change"] == "c1"
        other = await ada.start()

    assert other == "c2"


async def test_a_check_asked_for_again_while_it_runs_is_the_same_one(desk: Server) -> None:
    """It has no key, and what a bridge sent again to the next server was refused as a second check."""
    async with desk.agent() as ada:
        brief = await ada.claim(await ada.start())
        write_all(Path(brief["workspace"]), {"a.txt": "a"})
        one = await ada.get("check_gates", lease=brief["lease"], wait_s=0)
        two = await ada.get("check_gates", lease=brief["lease"], wait_s=0)
        write_all(Path(brief["workspace"]), {"a.txt": "b"})
        other = await ada.call("check_gates", lease=brief["lease"], wait_s=0)

    assert one["evaluation"] == two["evaluation"]
    assert other.is_refused


async def test_a_call_that_waited_at_an_earlier_server_waits_only_for_the_rest(desk: Server) -> None:
    """No client gives a call more time because a server was killed under it."""
    async with desk.agent() as ada:
        verdict = await ada.submit(await ada.claim(await ada.start()), {"a.txt": "a"}, wait_s=0)
        given = {"evaluation": verdict["evaluation"], "wait_s": 45}
        waited: Any = {"gatewright/waited_s": 45}  # Any: the SDK types only its own names
        with anyio.fail_after(20):
            result = await ada.client.call_tool("wait_for_update", given, meta=waited)

    assert result.structured_content is not None
    assert result.structured_content["state"] == "running"


async def test_what_a_lost_runner_says_later_changes_nothing(desk: Server) -> None:
    """Invariant I3: of two who judge one evaluation, only the present holder of its token settles it."""
    services = desk.services
    async with desk.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"a.txt": "a"}, wait_s=0)
    evaluation, now = verdict["evaluation"], services.clock()
    begun = await services.run(lambda tx: tx.start_evaluation(evaluation, "1.old", now, stale_before=now))
    later = services.clock()
    taken = await services.run(lambda tx: tx.start_evaluation(evaluation, "2.new", later, stale_before=later))
    late = await services.run(lambda tx: tx.finish_evaluation(evaluation, "1.old", later))
    right = await services.run(lambda tx: tx.finish_evaluation(evaluation, "2.new", later))
    twice = await services.run(lambda tx: tx.finish_evaluation(evaluation, "2.new", later))
    row = await services.read(lambda tx: tx.find_evaluation(evaluation))

    assert (begun, taken, late, right, twice) == (True, True, False, True, False)
    assert row is not None
    assert (row.state, row.tries) == (EvaluationState.SETTLED, 2)
    assert (await desk.record(change)).stage("code").state == "evaluating"


@pytest.mark.slow
async def test_events_replay_to_the_stored_record(repository: Repository) -> None:
    """Invariant I9, after a story with a failure, a release and a landing."""
    from gatewright.gates.machine.evolve import replay

    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        await ada.submit(brief, {"broken.txt": "x"})
        await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="x")
        again = await ada.claim()
        assert again["attempt"] == 2
        await ada.submit(again, {"broken.txt": None, "a.txt": "a"})
        record = await server.landed(change)
        events = await server.services.read(lambda tx: tx.events(change, limit=1_000))

    assert replay([event for _, event in events]) == record
    assert [version for version, _ in events] == list(range(1, record.version + 1))


@pytest.mark.parametrize("by", ["reopening", "cancelling"])
async def test_a_claim_asked_for_again_when_its_stage_waits_again_says_that_it_has_ended(
    make: Repositories, by: str
) -> None:
    """There is no base to brief about; it was told as a defect of ours."""
    async with serving(make(staged()), has_engine=False) as desk, desk.agent() as ada:
        change = await ada.start()
        brief = await ada.claim(change, "plan")
        verdict = await ada.submit(brief, {f"docs/changes/{change}.md": PLAN}, wait_s=0)
        plan = (GateOutcome("scope", Outcome.PASSED), GateOutcome("document", Outcome.PASSED))
        await desk.decide(change, c.Settle("plan", verdict["evaluation"], plan))
        await ada.claim(change, "code", key="k")
        undone = c.Reopen("plan", "person:eve", "x") if by == "reopening" else c.Cancel("person:eve", "x")
        await desk.decide(change, undone)

        again = await ada.get("claim_stage", agent="ada", change=change, stage="code", key="k")

    assert again["kind"] == "none"
    assert "has ended" in again["why"]
