"""`repin` moves a running change to the policy of now: every stage is judged again in order, what is known stays."""

from collections.abc import Callable

import pytest

from gatewright.schemas.events import LandingAbandoned, LandingStarted, PolicyRepinned, StagePassed
from gatewright.schemas.records import ChangeRecord, LandingStep, StageState
from gatewright.server.operations.changes import repin
from gatewright.server.people.known import Person, Proof

from .conftest import Repositories
from .house import OK_GATE, PLAN, Repository, Server, Told, serving, staged

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EVE = Person("eve", Proof.WORD)

HELD = '{command: {name: held, run: "test ! -e held.txt"}}'


def change_policy(repository: Repository, alter: Callable[[str], str]) -> None:
    repository.commit("Another policy", gatewright__yaml=alter(repository.read("gatewright.yaml")))


async def cached(server: Server, change: str, stage: str) -> dict[str, bool]:
    """Which gates of the newest attempt were known, by name."""
    current = (await server.record(change)).stage(stage).current
    assert current is not None
    stored = await server.services.read(lambda tx: tx.evidence_of(current.evaluation))
    assert {item.policy_digest for item in stored} == {(await server.record(change)).policy.digest}
    return {item.evidence.gate: item.evidence.cached for item in stored}


def is_judged_again(record: ChangeRecord) -> bool:
    """The plan has passed under the new policy, and the code is where it was: not yet handed in."""
    return record.stage("plan").state is StageState.PASSED and record.stage("code").state is StageState.OPEN


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text.replace("goal: Say what will change.", "goal: Say it in other words.\n    attempts: 7"),
        lambda text: text.replace(OK_GATE, f"{OK_GATE}, {HELD}"),
    ],
    ids=["a goal and a budget", "a gate of another stage"],
)
async def test_verdicts_that_the_new_policy_leaves_as_they_were_are_served_from_the_cache(
    make: Repositories, alter: Callable[[str], str]
) -> None:
    repository = make(staged())
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN}, change, "plan")
        before = await server.record(change)
        change_policy(repository, alter)
        repinned = await repin(server.services, change, by=EVE, reason="it was too strict")
        after = await server.until(change, is_judged_again)
        known = await cached(server, change, "plan")

    assert known == {"scope": True, "document": True}
    assert repinned.policy.digest != before.policy.digest
    assert after.stage("plan").attempts[0].commit == after.stage("plan").attempts[1].commit
    assert after.stage("plan").failed == 0


@pytest.mark.parametrize(
    ("change_text", "expected"),
    [
        pytest.param(
            lambda text: text.replace("      - document", f"      - {HELD[1:-1]}\n      - document"),
            {"scope": True, "document": True, "held": False},
            id="of a gate that was added, only that one",
        ),
        pytest.param(
            lambda text: text.replace("[Goal, Requirements]", "[Goal]"),
            {"scope": True, "document": False},
            id="of a rule that was altered, that one",
        ),
        pytest.param(
            lambda text: f'{text}protect: ["secrets/**"]\n',
            {"scope": False, "document": False},
            id="of more that is protected, all",
        ),
    ],
)
async def test_a_new_policy_has_judged_again_what_it_changes_and_takes_the_rest_from_the_cache(
    make: Repositories, change_text: Callable[[str], str], expected: dict[str, bool]
) -> None:
    repository = make(staged())
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN}, change, "plan")
        change_policy(repository, change_text)
        await repin(server.services, change, by=EVE, reason="other rules")
        await server.until(change, is_judged_again)
        known = await cached(server, change, "plan")

    assert known == expected


async def test_stages_are_judged_again_in_order_and_the_claim_waits(make: Repositories) -> None:
    repository = make(staged())
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN}, change, "plan")
        brief = await ada.claim(change, "code")
        change_policy(repository, lambda text: text.replace("goal: Make the change.", "goal: Make it well."))
        repinned = await repin(server.services, change, by=EVE, reason="better")
        late: Told = await ada.call("renew_lease", lease=brief["lease"])
        await server.until(change, is_judged_again)

    assert repinned.stage("code").state is StageState.WAITING
    assert repinned.stage("plan").state is StageState.EVALUATING
    assert late.is_refused
    assert (
        "Your lease ended because the change is judged by another policy now: "
        "person:eve (at the terminal, not authenticated): better."
    ) in late.text


async def test_a_landing_that_was_under_way_is_told_to_be_given_up(make: Repositories) -> None:
    """It waits for a checkout that is in the way, and not for ever under the policy of before."""
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        repository.write("a.txt", "mine")
        await ada.pass_stage({"a.txt": "a"}, change)
        await server.until(change, lambda record: record.landing and record.landing.step is LandingStep.BLOCKED)
        yaml = repository.read("gatewright.yaml").replace("goal: Make the change.", "goal: Make it well.")
        repository.write("gatewright.yaml", yaml)
        repository.git("commit", "-q", "-m", "Another policy", "gatewright.yaml")
        await repin(server.services, change, by=EVE, reason="better")
        await server.until(change, lambda record: record.landing and record.landing.step is LandingStep.BLOCKED)
        events = [event for _, event in await server.services.read(lambda tx: tx.events(change, limit=99))]

    told = [
        event for event in events if isinstance(event, LandingStarted | LandingAbandoned | PolicyRepinned | StagePassed)
    ]
    assert [type(event) for event in told][:5] == [
        StagePassed,
        LandingStarted,
        LandingAbandoned,
        PolicyRepinned,
        StagePassed,
    ]
    assert isinstance(told[2], LandingAbandoned)
    assert told[2].because == "the change is judged by another policy now"
