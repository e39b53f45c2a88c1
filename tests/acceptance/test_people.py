"""Where a machine must not decide alone a person is asked, and no agent's call can stand in for the answer."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from gatewright.gates.machine.commands import Answer, Reopen
from gatewright.schemas.records import StageState
from gatewright.schemas.refusals import RefusalCode, Refused
from gatewright.server.operations import people
from gatewright.server.operations.answering import answer, find_asked
from gatewright.server.operations.changes import cancel, repin
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import add_person, remove_person

from .conftest import Repositories
from .house import PLAN, Agent, Repository, Server, serving, solo, staged

pytestmark = pytest.mark.anyio

EVE = "person:eve"


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make(solo() + 'protect: ["secrets/**"]\n')


def allow(gate: str | None = None) -> Answer:
    return Answer("code", gate, True, EVE, "Fine.")


async def asked(ada: Agent, files: dict[str, str | None], **given: object) -> str:
    """Hand in what changes a protected path; the verdict's commit."""
    verdict = await ada.submit(await ada.claim(), files, **given)
    assert (verdict["outcome"], verdict["stage_state"]) == ("pending", "in_review"), verdict.text
    assert "gatewright answer" in verdict["next"]
    assert any("secrets/key.txt" in question for question in verdict["questions"])
    return str(verdict["commit"])


async def test_a_protected_path_waits_for_a_person_and_passes_with_the_same_commit(server: Server, ada: Agent) -> None:
    change = await ada.start()
    commit = await asked(ada, {"secrets/key.txt": "1", "a.txt": "a"})
    status = await ada.get("get_status", change=change)
    record = await server.decide(change, allow("scope"))
    landed = await server.landed(change)

    assert "gate 'scope' asks" in status["waiting_for_people"][0]
    assert record.stage("code").state is StageState.PASSED
    assert [attempt.commit for attempt in landed.stage("code").attempts] == [commit]
    assert not any(landing for landing in [landed.landing] if landing is not None and landing.asked), "not asked twice"


@pytest.mark.slow
async def test_a_refusal_fails_the_attempt_with_the_reason_and_the_holder_goes_on(server: Server, ada: Agent) -> None:
    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    await server.decide(change, Answer("code", "scope", False, EVE, "Keys do not belong here."))
    lease = server.services.leases.token(change, "code", 1)
    status = await ada.get("get_status", change=change)
    brief = await ada.refused("claim_stage", agent="ada", change=change, stage="code")
    verdict = await ada.get("submit_artifact", lease=lease, summary="x", files={"secrets/key.txt": None, "a.txt": "a"})
    await server.landed(change)

    assert status["changes"][0]["stages"][0]["state"] == "claimed"
    assert brief == "lease_held"
    assert (verdict["outcome"], verdict["attempt"]) == ("passed", 2)


@pytest.mark.slow
async def test_what_a_person_refused_is_told_to_the_next_holder(server: Server, ada: Agent) -> None:
    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    await server.decide(change, Answer("code", "scope", False, EVE, "Keys do not belong here."))
    lease = server.services.leases.token(change, "code", 1)
    await ada.get("release_stage", lease=lease, because="cannot", reason="x")
    brief = await ada.claim()

    assert any("Keys do not belong here." in note for note in brief["notes"])


@pytest.mark.slow
async def test_what_was_allowed_is_not_asked_again_and_other_content_is(make: Repositories) -> None:
    """An answer is for the content that was shown, not for the path."""
    gates = ("{command: {name: ok, run: 'test ! -e broken.txt'}}",)
    repository = make(staged(*gates) + 'protect: ["secrets/**"]\n')
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        await asked(ada, {"secrets/key.txt": "1"})
        await server.decide(change, allow())
        await server.landed(change)
        other = await ada.start()
        await ada.pass_stage({f"docs/changes/{other}.md": PLAN}, other)
        brief = await ada.claim(other)
        first = await ada.submit(brief, {"secrets/other.txt": "1"})
        assert first["outcome"] == "pending"
        lease = brief["lease"]
        await ada.get("release_stage", lease=lease, because="withdraw", reason="One more thing.")
        again = await ada.submit(brief, {"a.txt": "a"})
        assert again["outcome"] == "pending", "nobody has answered yet"
        await server.decide(other, allow())
        record = await server.landed(other)

    assert record.landed_commit == repository.tip()


@pytest.mark.slow
async def test_an_allowed_change_of_a_protected_file_does_not_allow_the_next_one(server: Server, ada: Agent) -> None:
    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    lease = server.services.leases.token(change, "code", 1)
    await ada.get("release_stage", lease=lease, because="withdraw", reason="x")
    first = await ada.get("submit_artifact", lease=lease, summary="x", files={"secrets/key.txt": "2"})
    assert first["outcome"] == "pending"
    await server.decide(change, allow())
    await server.landed(change)
    second = await ada.start()
    brief = await ada.claim(second)
    changed = await ada.submit(brief, {"secrets/key.txt": "3"})

    assert changed["outcome"] == "pending"


@pytest.mark.slow
async def test_a_pipeline_that_is_changed_by_an_agent_does_not_judge_it(server: Server, ada: Agent) -> None:
    """The policy is read from the trusted branch, never from the artifact."""
    change = await ada.start()
    weak = solo('{command: {name: ok, run: "test -e gatewright.yaml"}}')
    verdict = await ada.submit(await ada.claim(), {"gatewright.yaml": weak, "broken.txt": "x"})
    told = await ada.get("get_evidence", change=change, stage="code", gate="ok")

    assert verdict["outcome"] == "failed"
    assert told["gates"][0]["outcome"] == "failed"


async def test_no_tool_answers_for_a_person(server: Server, ada: Agent) -> None:
    """Whatever an agent calls while a person is asked, the stage stays where it is."""
    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    lease = server.services.leases.token(change, "code", 1)
    answers = [{"finding": "f1", "disposition": "fixed", "note": "allowed by eve"}]
    await ada.call("review_artifact", lease=lease, findings=[], inspected=["all"], note="approve")
    await ada.call("submit_artifact", lease=lease, summary="approved", answers=answers)
    await ada.call("release_stage", lease=lease, because="needs_decision", reason="yes")
    await ada.call("release_stage", lease=lease, because="spec_conflict", stage="code", reason="yes")
    await ada.call("renew_lease", lease=lease)
    await ada.call("check_gates", lease=lease)
    stage = (await server.record(change)).stage("code")

    assert stage.state is StageState.IN_REVIEW
    assert [attempt.allowed for attempt in stage.attempts] == [()]


@pytest.mark.slow
async def test_a_question_about_an_attempt_that_was_withdrawn_is_no_longer_open(server: Server, ada: Agent) -> None:
    from gatewright.schemas.refusals import Refused

    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    lease = server.services.leases.token(change, "code", 1)
    await ada.get("release_stage", lease=lease, because="withdraw", reason="x")
    with pytest.raises(Refused, match="no open question"):
        await server.decide(change, allow())


async def test_cancelling_takes_the_workspaces_away_and_keeps_what_was_in_them(
    server: Server, ada: Agent, repository: Repository
) -> None:
    change = await ada.start()
    workspace = Path((await ada.claim())["workspace"])
    (workspace / "half.txt").write_text("done\n")

    await cancel(server.services, change, by=Person("eve", Proof.WORD), reason="Not wanted.")

    assert repository.workspaces() == []
    assert repository.git("show", f"refs/gatewright/saved/{change}-code-1:half.txt") == "done"


@pytest.mark.slow
async def test_reopening_takes_the_lease_of_every_consumer_and_judges_it_again(make: Repositories) -> None:
    """Invariant I7: after a reopen nobody works or passes on the old artifact."""
    async with serving(make(staged())) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        code = await ada.claim()
        await server.decide(change, Reopen("plan", EVE, "R2 is missing."))
        late = await ada.refused("submit_artifact", lease=code["lease"], summary="x", files={"a.txt": "a"})
        plan = await ada.claim()
        verdict = await ada.submit(plan, {f"docs/changes/{change}.md": PLAN + "\nR2: It is tested.\n"})
        again = await ada.claim()

    assert late == "stage_waiting"
    assert any("R2 is missing." in note for note in plan["notes"])
    assert again["base_commit"] == verdict["commit"]


@pytest.mark.slow
async def test_nobody_decides_anything_who_is_not_known_any_more_when_it_is_done(server: Server, ada: Agent) -> None:
    """Between the secret and the deed lie a prompt and other people; each deed looks again where it is done."""
    change = await ada.start()
    await asked(ada, {"secrets/key.txt": "1"})
    services, now = server.services, server.services.clock()
    ann, bob = (Person(name, Proof.SECRET, secret=Hashed(name, "11")) for name in ("ann", "bob"))
    for person, vouched in ((ann, None), (bob, ann)):
        kept = person.secret
        assert kept is not None
        await services.run(partial(add_person, name=person.name, secret=kept, vouched=vouched, now=now))
    question = await services.read(lambda tx: find_asked(tx, change, "code", None))
    before = await server.record(change)
    await services.run(lambda tx: remove_person(tx, "ann", by=bob, now=services.clock()))
    deeds: list[Callable[[], Awaitable[object]]] = [
        lambda: people.reopen(services, change, "code", by=ann, reason="Why not."),
        lambda: people.retry_gates(services, change, "code", by=ann),
        lambda: people.grant_attempts(services, change, "code", by=ann, count=1),
        lambda: people.land(services, change, by=ann),
        lambda: cancel(services, change, by=ann, reason="No."),
        lambda: repin(services, change, by=ann, reason="No."),
        lambda: services.act(lambda: answer(services, change, question, ann, allow("scope"), request=None)),
    ]

    for deed in deeds:
        with pytest.raises(Refused) as refused:
            await deed()
        assert refused.value.refusal.code is RefusalCode.NOT_ALLOWED, refused.value

    assert await server.record(change) == before
