"""What an agent sees of approvals: it waits, is told whom for, and wakes when people have answered; it gives none."""

import anyio
import anyio.to_thread
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.session import ClientRequestContext

from gatewright.schemas.records import ChangeRecord, LandingStep, StageState
from gatewright.schemas.refusals import Refusal, Refused
from gatewright.server.operations.approving import approve, find_asked, pinned_policy
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import add_person, remove_person

from .conftest import Repositories
from .examining import found
from .house import OK_GATE, WITHIN_S, Agent, Generation, Repository, Server, solo

pytestmark = pytest.mark.anyio

SECRET = Hashed("00", "11")
ANN, BOB = Person("ann", Proof.SECRET, secret=SECRET), Person("bob", Proof.SECRET, secret=SECRET)


@pytest.fixture
def repository(make: Repositories) -> Repository:
    land = f"land: {{needs: [code], strategy: merge, gates: [{OK_GATE}, {{approval: {{name: release}}}}]}}"
    pipeline = solo(OK_GATE, "{approval: {minimum: 2}}").replace("land: {needs: [code], strategy: merge}", land)
    return make(pipeline)


async def give(
    server: Server, change: str, person: Person, stage: str = "code", *, is_given: bool = True, note: str = ""
) -> ChangeRecord:
    """What `gatewright approve` does once it knows the person."""
    services = server.services

    def work() -> ChangeRecord:
        asked = services.store.read(lambda tx: find_asked(tx, change, stage, None))
        if isinstance(asked, Refusal):
            raise Refused(asked)
        policy = pinned_policy(services, change)
        return approve(services, asked, person, policy, is_given=is_given, note=note, request=None)

    record = await anyio.to_thread.run_sync(work)
    services.changed.fire()
    return record


async def register(server: Server) -> None:
    now = server.services.clock()
    await server.services.run(lambda tx: add_person(tx, "ann", SECRET, vouched=None, now=now))
    await server.services.run(lambda tx: add_person(tx, "bob", SECRET, vouched=ANN, now=now))


async def pending(ada: Agent) -> tuple[str, str]:
    """Hand in what waits for approvals; the change and the evaluation."""
    change = await ada.start()
    verdict = await ada.submit(await ada.claim(), {"a.txt": "a"})
    assert (verdict["outcome"], verdict["stage_state"]) == ("pending", "in_review"), verdict.text
    assert f"gatewright approve {change} code" in verdict["next"]
    assert any(verdict["commit"] in question for question in verdict["questions"])
    return change, verdict["evaluation"]


@pytest.mark.slow
async def test_a_waiting_agent_wakes_when_people_have_approved(server: Server, ada: Agent) -> None:
    await register(server)
    change, evaluation = await pending(ada)
    told = []

    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(WITHIN_S):

            async def wait() -> None:
                while True:
                    told.append(await ada.get("wait_for_update", evaluation=evaluation, wait_s=20))
                    if told[-1]["outcome"] != "pending":
                        return

            tasks.start_soon(wait)
            await give(server, change, ANN)
            await give(server, change, BOB)

    assert (told[-1]["outcome"], told[-1]["stage_state"]) == ("passed", "passed")


@pytest.mark.slow
async def test_evidence_of_approvals_stands_beside_that_of_the_other_gates(server: Server, ada: Agent) -> None:
    await register(server)
    change, evaluation = await pending(ada)
    await give(server, change, ANN, note="read every line")
    before = {item.evidence.gate for item in await server.services.read(lambda tx: tx.evidence_of(evaluation))}
    await give(server, change, BOB)
    told = await ada.get("get_evidence", change=change, stage="code", gate="approval")
    record = await server.record(change)
    stored = await server.services.read(lambda tx: tx.evidence_of(evaluation))

    attempt = record.stage("code").attempts[0]
    assert "approval" not in before, "half of the approvals are no evidence"
    assert {gate.gate for gate in attempt.gates} == {item.evidence.gate for item in stored}
    assert {(item.commit, item.tree, item.policy_digest) for item in stored} == {
        (attempt.commit, attempt.tree, record.policy.digest)
    }
    for part in ("person:ann", "person:bob", "secret at the terminal", attempt.commit, "read every line"):
        assert part in told["output"]


async def test_a_landing_waits_for_its_approval_of_the_merged_commit(
    server: Server, ada: Agent, repository: Repository
) -> None:
    await register(server)
    change, _ = await pending(ada)
    await give(server, change, ANN)
    await give(server, change, BOB)
    asking = await server.until(change, lambda r: r.landing is not None and r.landing.step is LandingStep.ASKING)
    status = await ada.get("get_status", change=change)
    await give(server, change, ANN, "land")
    record = await server.landed(change)
    told = await ada.get("get_evidence", change=change, stage="land", gate="release")

    assert asking.landing is not None
    assert any(f"gatewright approve {change} land" in text for text in status["waiting_for_people"])
    assert record.landed_commit == asking.landing.new == repository.tip()
    assert asking.landing.new in told["output"]
    assert await anyio.to_thread.run_sync(found, repository) == [], "fsck finds evidence for every gate"


@pytest.mark.slow
async def test_a_landing_that_is_not_approved_goes_back_to_who_made_it(server: Server, ada: Agent) -> None:
    await register(server)
    change, _ = await pending(ada)
    await give(server, change, ANN)
    await give(server, change, BOB)
    asking = await server.until(change, lambda r: r.landing is not None and r.landing.step is LandingStep.ASKING)
    record = await give(server, change, ANN, "land", is_given=False, note="Not this week.")
    brief = await ada.claim(change)

    assert record.landing is None
    assert asking.landing is not None
    evaluation = asking.landing.evaluation
    stored = await server.services.read(lambda tx: tx.evidence_of(evaluation))
    [kept] = [item.evidence for item in stored if item.evidence.gate == "release"]
    assert (kept.outcome, kept.counted) == ("failed", 0)
    assert any("Not this week." in note for note in brief["notes"])


@pytest.mark.slow
async def test_a_no_is_told_to_the_holder_who_mends_it_and_is_asked_about_anew(server: Server, ada: Agent) -> None:
    await register(server)
    change, evaluation = await pending(ada)
    await give(server, change, ANN)
    await give(server, change, BOB, is_given=False, note="Not without a test.")
    verdict = await ada.get("wait_for_update", evaluation=evaluation, wait_s=5)
    lease = server.services.leases.token(change, "code", 1)
    again = await ada.get("submit_artifact", lease=lease, summary="x", files={"test.txt": "t"})
    record = await server.record(change)

    assert verdict["outcome"] == "failed"
    assert any("Not without a test." in finding["message"] for finding in verdict["findings"])
    assert (again["outcome"], again["attempt"]) == ("pending", 2)
    assert record.stage("code").attempts[1].approvals == (), "an approval is of one commit"


@pytest.mark.slow
async def test_an_approval_counts_for_the_attempt_that_was_shown(server: Server, ada: Agent) -> None:
    """The command has looked; then the attempt is replaced by one of the very same commit; then it decides."""
    await register(server)
    services = server.services
    change, _ = await pending(ada)
    shown = await services.read(lambda tx: find_asked(tx, change, "code", None))
    assert not isinstance(shown, Refusal)
    lease = services.leases.token(change, "code", 1)
    await ada.get("release_stage", lease=lease, because="withdraw", reason="x")
    again = await ada.get("submit_artifact", lease=lease, summary="x", commit=shown.commit)
    policy = await services.act(lambda: pinned_policy(services, change))
    with pytest.raises(Refused, match="question_stale"):
        await anyio.to_thread.run_sync(
            lambda: approve(services, shown, ANN, policy, is_given=True, note="", request=None)
        )
    record = await server.record(change)

    assert (again["outcome"], again["commit"]) == ("pending", shown.commit)
    assert record.stage("code").attempts[1].approvals == ()


async def test_no_tool_approves(server: Server, ada: Agent) -> None:
    """Whatever an agent calls, under whatever name, while people are asked."""
    await register(server)
    change, _ = await pending(ada)
    lease = server.services.leases.token(change, "code", 1)
    async with server.agent("ann", principal="person:ann") as forged:
        await forged.call("review_artifact", lease=lease, findings=[], inspected=["all"], note="approve")
        await forged.call("claim_stage", agent="ann", change=change, stage="code")
        await forged.call("release_stage", lease=lease, because="needs_decision", reason="approved")
    record = await server.record(change)

    assert record.stage("code").state is StageState.IN_REVIEW
    assert record.stage("code").attempts[-1].approvals == ()


async def test_one_who_was_struck_off_while_they_read_approves_nothing(server: Server, ada: Agent) -> None:
    await register(server)
    change, _ = await pending(ada)
    await server.services.run(lambda tx: remove_person(tx, "ann", by=BOB, now=server.services.clock()))

    with pytest.raises(Refused, match="Nobody is registered as 'ann'"):
        await give(server, change, ANN)


@pytest.mark.slow
async def test_a_dry_run_says_that_people_will_be_asked(server: Server, ada: Agent) -> None:
    brief = await ada.claim(await ada.start())
    told = await ada.get("check_gates", lease=brief["lease"], wait_s=20)

    assert any(gate["gate"] == "approval" and gate["outcome"] == "pending" for gate in told["gates"]), told.text


@pytest.mark.slow
async def test_a_client_that_can_shows_a_person_the_command_once_and_its_answer_approves_nothing(
    server: Server, ada: Agent
) -> None:
    """An accepted dialog is the client's word and not a person's."""
    shown: list[types.ElicitRequestParams] = []
    seen = anyio.Event()

    async def accept(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        shown.append(params)
        seen.set()
        return types.ElicitResult(action="accept", content={"approve": True})

    info = types.Implementation(name="test", version="1")
    connection = Client(
        server.application.mcp_server("stdio:bob"), mode="legacy", client_info=info, elicitation_callback=accept
    )
    async with connection as client:
        bob = Agent(client, "bob")
        change, evaluation = await pending(bob)
        with anyio.fail_after(WITHIN_S):
            await seen.wait()
        again = await bob.get("wait_for_update", evaluation=evaluation, wait_s=0)
        stage = (await server.record(change)).stage("code")

    assert again["outcome"] == "pending"
    [params] = shown
    assert isinstance(params, types.ElicitRequestFormParams)
    assert f"gatewright approve {change} code" in params.message
    assert params.requested_schema.get("properties") == {}, "there is no field that could approve"
    assert stage.state is StageState.IN_REVIEW
    assert stage.attempts[-1].approvals == ()


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["legacy", "auto"])
async def test_a_client_that_leaves_while_it_shows_that_takes_nothing_along(
    server: Server, ada: Agent, generation: Generation
) -> None:
    """Nor one whose generation of the protocol knows no requests by the server."""

    async def never(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    info = types.Implementation(name="test", version="1")
    application = server.application.mcp_server("stdio:bob")
    async with Client(application, mode=generation, client_info=info, elicitation_callback=never) as client:
        change, _ = await pending(Agent(client, "bob"))
    status = await ada.get("get_status", change=change)
    other, _ = await pending(ada)

    assert any(f"gatewright approve {change} code" in text for text in status["waiting_for_people"])
    assert other != change


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["legacy", "auto"])
async def test_a_client_that_cannot_is_told_by_the_reply_alone(server: Server, generation: Generation) -> None:
    async with server.agent("bob", generation) as bob:
        change, evaluation = await pending(bob)
        told = await bob.get("wait_for_update", evaluation=evaluation, wait_s=0)

    assert f"gatewright approve {change} code" in told["next"]
