"""Reviews by agents, as stories: somebody else looks, the verdict follows from what was found, and nothing is lost."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest

from .conftest import Repositories
from .examining import altering, found
from .house import Agent, Clock, Generation, Repository, Server, Told, serving, solo, staged, write_all

pytestmark = pytest.mark.anyio

OK = '{command: {name: ok, run: "test ! -e broken.txt"}}'
REVIEWED = solo(OK, '{review: {ask: "Is it right?"}}')
SUB = {"sub.py": "def sub(a, b):\n    return a - b\n"}
WRONG = {"severity": "blocking", "path": "sub.py", "line": 2, "message": "It does not subtract."}
MINOR = {"severity": "minor", "path": "sub.py", "line": 1, "message": "No docstring."}
LEASE_S = 900.0


def quorum(number: int, **options: str) -> str:
    more = "".join(f", {name}: {value}" for name, value in options.items())
    return solo(OK, f"{{review: {{quorum: {number}{more}}}}}")


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make(REVIEWED)


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[Agent]:
    async with server.agent("ada") as agent:
        yield agent


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Agent]:
    async with server.agent("bob") as agent:
        yield agent


async def hand_in(agent: Agent, files: Mapping[str, str | None] | None = None, **given: object) -> tuple[Told, Told]:
    """Start a change and hand its code in; the brief and the verdict."""
    brief = await agent.claim(await agent.start())
    return brief, await agent.submit(brief, SUB if files is None else files, **given)


async def review(agent: Agent, **given: object) -> Told:
    """Claim the review that there is."""
    brief = await agent.get("claim_stage", agent=agent.name, role="reviewer", **given)
    assert brief["kind"] == "review", brief.text
    return brief


async def judge(agent: Agent, brief: Told, *findings: object, **given: object) -> Told:
    inspected = [] if findings else ["sub.py"]
    told = {"findings": list(findings), "inspected": inspected, **given}
    return await agent.get("review_artifact", lease=brief["lease"], **told)


async def test_a_change_lands_once_somebody_else_has_looked(
    repository: Repository, clock: Clock, generation: Generation
) -> None:
    async with serving(repository, clock=clock) as server, server.agent("ada", generation) as ada:
        _, verdict = await hand_in(ada, summary="SECRET-TALK: trust me, it is fine.")
        assert (verdict["state"], verdict["outcome"], verdict["stage_state"]) == ("pending", "pending", "in_review")
        assert "1 more review by 'review'" in verdict["waits_for"]

        async with server.agent("bob", generation) as bob:
            asked = await review(bob)
            diff = await bob.get("read_artifact", change="c1", stage="code", attempt=1, path="diff")
            given = await judge(bob, asked)
            evidence = await bob.get("get_evidence", change="c1", stage="code", gate="review")
        settled = await ada.get("wait_for_update", evaluation=verdict["evaluation"])
        record = await server.landed("c1")

    assert asked["artifact"] == {"commit": verdict["commit"], "diff_stat": "1 file: adds sub.py", "ask": "Is it right?"}
    assert asked["workspace"] is None
    assert "SECRET-TALK" not in asked.text
    assert "+def sub(a, b):" in diff["text"]
    assert (given["verdict"], given["reviews"], given["quorum"], given["stage_state"]) == ("accepted", 1, 1, "passed")
    assert settled["outcome"] == "passed"
    assert record.landed_commit == repository.tip()
    assert [(g["gate"], g["outcome"], g["count"], g["unit"]) for g in evidence["gates"]] == [
        ("review", "passed", 1, "reviews")
    ]
    known = evidence["environment"]["review 1"]
    assert known == "declared: the name 'bob'; authenticated: the principal stdio:bob"
    assert "inspected: sub.py" in evidence["output"]


async def test_a_rejection_is_answered_and_a_second_reviewer_sees_both(server: Server, ada: Agent, bob: Agent) -> None:
    brief, verdict = await hand_in(ada)
    given = await judge(bob, await review(bob), WRONG, MINOR)
    failed = await ada.get("wait_for_update", evaluation=verdict["evaluation"])
    write_all(Path(brief["workspace"]), {"sub.py": "def sub(a, b):\n    return (a - b)\n"})
    unanswered = await ada.call("submit_artifact", lease=brief["lease"], summary="Mended.")
    wrong, minor = (finding["id"] for finding in failed["findings"])
    answers = [
        {"finding": wrong, "disposition": "disputed", "note": "It does: see the test."},
        {"finding": minor, "disposition": "fixed", "note": ""},
    ]
    second = await ada.get("submit_artifact", lease=brief["lease"], summary="Mended.", answers=answers)

    asked = await review(bob)

    assert given["verdict"] == "rejected"
    assert (failed["state"], failed["outcome"], failed["stage_state"]) == ("settled", "failed", "claimed")
    assert [f["where"] for f in failed["findings"]] == ["sub.py:2", "sub.py:1"]
    assert failed["attempts_left"] == 2
    assert unanswered.code == "findings_unanswered"
    assert second["outcome"] == "pending"
    assert [f["id"] for f in asked["findings"]] == [wrong, minor]
    assert [(a["finding"], a["disposition"], a["note"]) for a in asked["answers"]] == [
        (wrong, "disputed", "It does: see the test."),
        (minor, "fixed", ""),
    ]
    assert asked["attempt"] == 2


@pytest.mark.slow
async def test_the_same_finding_keeps_its_id_and_is_told_as_no_progress(server: Server, ada: Agent, bob: Agent) -> None:
    brief, first = await hand_in(ada)
    await judge(bob, await review(bob), WRONG)
    failed = await ada.get("wait_for_update", evaluation=first["evaluation"])
    answers = [{"finding": failed["findings"][0]["id"], "disposition": "fixed", "note": "Now it does."}]
    second = await ada.submit(brief, {"more.py": "x = 1\n"}, answers=answers)
    await judge(bob, await review(bob), WRONG)
    again = await ada.get("wait_for_update", evaluation=second["evaluation"])
    await ada.get("release_stage", lease=brief["lease"], because="cannot", reason="I see no way.")

    async with server.agent("cleo") as cleo:
        packet = await cleo.claim("c1")

    assert again["findings"] == failed["findings"]
    assert "same findings as last time" in again["warning"]
    assert packet["findings"] == failed["findings"]
    assert packet["warning"] == again["warning"]
    assert [(t["attempt"], t["holder"], t["outcome"], t["stuck"]) for t in packet["tried"]] == [
        (1, "ada", "failed", 1),
        (2, "ada", "failed", 2),
    ]


@pytest.mark.slow
async def test_what_is_disputed_stands_in_the_packet_of_the_next_attempt(ada: Agent, bob: Agent) -> None:
    brief, first = await hand_in(ada)
    await judge(bob, await review(bob), WRONG)
    failed = await ada.get("wait_for_update", evaluation=first["evaluation"])
    wrong = failed["findings"][0]["id"]
    answers = [{"finding": wrong, "disposition": "disputed", "note": "It does."}]
    second = await ada.submit(brief, {"more.py": "x = 1\n"}, answers=answers)
    await judge(bob, await review(bob), {**WRONG, "message": "Still wrong."})
    await ada.get("wait_for_update", evaluation=second["evaluation"])
    await ada.get("release_stage", lease=brief["lease"], because="done_for_now", reason="Enough.")

    packet = await bob.claim("c1")

    assert packet["disputed"] == [{"finding": wrong, "disposition": "disputed", "note": "It does."}]


@pytest.mark.slow
async def test_nobody_reviews_their_own_work(server: Server, ada: Agent) -> None:
    await hand_in(ada)

    assert await ada.refused("claim_stage", agent="somebody-else", change="c1", stage="code") == "own_work"
    best = await ada.get("claim_stage", agent="ada")
    update = await ada.get("wait_for_update", wait_s=0)

    assert best["kind"] == "none"
    assert update["claimable"] == []


@pytest.mark.slow
async def test_nobody_counts_twice(make: Repositories, clock: Clock) -> None:
    async with (
        serving(make(quorum(2)), clock=clock) as server,
        server.agent("ada") as ada,
        server.agent("bob") as bob,
        server.agent("cleo") as cleo,
    ):
        _, verdict = await hand_in(ada)
        first = await judge(bob, await review(bob))
        twice = await bob.refused("claim_stage", agent="bobby", change="c1", stage="code")
        waiting = await ada.get("wait_for_update", evaluation=verdict["evaluation"], wait_s=0)
        second = await judge(cleo, await review(cleo))

    assert (first["reviews"], first["quorum"], first["stage_state"]) == (1, 2, "in_review")
    assert twice == "already_reviewed"
    assert "1 more review" in waiting["waits_for"]
    assert (second["reviews"], second["stage_state"]) == (2, "passed")


@pytest.mark.slow
async def test_by_agent_the_declared_name_counts_and_by_family_the_model(make: Repositories, clock: Clock) -> None:
    by_agent = make(quorum(1, independence="agent"), name="by-agent")
    by_family = make(quorum(1, independence="family"), name="by-family")
    async with serving(by_agent, clock=clock) as server, server.agent("ada") as ada:
        await hand_in(ada)
        async with server.agent("other", principal="stdio:2") as other:
            same_name = await other.refused("claim_stage", agent="ada", change="c1", stage="code")
            another = await other.get("claim_stage", agent="bob", change="c1", stage="code")
    async with serving(by_family, clock=clock) as server, server.agent("ada") as ada:
        brief = await ada.claim(await ada.start(), model="anthropic/claude-opus-4")
        await ada.submit(brief, SUB)
        async with server.agent("bob") as bob:
            asked = {"agent": "bob", "change": "c1", "stage": "code"}
            unsaid = await bob.refused("claim_stage", **asked)
            same_family = await bob.refused("claim_stage", **asked, model="Claude Sonnet")
            other_family = await bob.get("claim_stage", **asked, model="gpt-5")
            await judge(bob, other_family)
            evidence = await bob.get("get_evidence", change="c1", stage="code", gate="review")

    assert (same_name, another["kind"]) == ("own_work", "review")
    assert (unsaid, same_family, other_family["kind"]) == ("bad_argument", "own_work", "review")
    assert "the model 'gpt-5'; authenticated: the principal" in evidence["environment"]["review 1"]


@pytest.mark.slow
async def test_a_review_is_void_when_what_it_is_about_is_taken_back(ada: Agent, bob: Agent) -> None:
    brief, _ = await hand_in(ada)
    asked = await review(bob)
    await ada.get("release_stage", lease=brief["lease"], because="withdraw", reason="I saw a mistake.")
    late = await bob.call("review_artifact", lease=asked["lease"], findings=[WRONG], inspected=[])
    second = await ada.submit(brief, {"sub.py": "def sub(a, b):\n    return a + -b\n"})
    still = await bob.refused("review_artifact", lease=asked["lease"], findings=[], inspected=["sub.py"])

    fresh = await judge(bob, await review(bob))

    assert (late.code, still) == ("review_stale", "review_stale")
    assert (fresh["commit"], fresh["attempt"], fresh["stage_state"]) == (second["commit"], 2, "passed")


@pytest.mark.slow
async def test_an_expired_review_lease_lets_another_review_and_the_late_one_is_told(
    server: Server, clock: Clock, ada: Agent, bob: Agent
) -> None:
    await hand_in(ada)
    slow = await review(bob)
    async with server.agent("cleo") as cleo:
        held = await cleo.refused("claim_stage", agent="cleo", change="c1", stage="code")
        clock.advance(LEASE_S + 1)
        await judge(cleo, await review(cleo))
    late = await bob.refused("review_artifact", lease=slow["lease"], findings=[WRONG], inspected=[])

    assert (held, late) == ("lease_held", "review_stale")


@pytest.mark.slow
async def test_an_expired_review_still_counts_while_nobody_has_taken_over(clock: Clock, ada: Agent, bob: Agent) -> None:
    await hand_in(ada)
    slow = await review(bob)
    clock.advance(LEASE_S + 1)

    assert (await judge(bob, slow))["stage_state"] == "passed"


NOWHERE: Mapping[str, Mapping[str, object]] = {
    "no such path": {**WRONG, "path": "lib/sub.py"},
    "no such line": {**WRONG, "line": 3},
    "out of the tree": {**WRONG, "path": "../secret"},
    "a folder": {**WRONG, "path": "."},
    "no path": {**WRONG, "path": None, "line": None},
    "a line of nothing": {"severity": "note", "line": 1, "message": "Here."},
}


@pytest.mark.slow
async def test_findings_that_point_nowhere_and_empty_reviews_are_refused_and_the_lease_stays(
    ada: Agent, bob: Agent
) -> None:
    await hand_in(ada)
    asked = await review(bob)

    codes = {
        name: await bob.refused("review_artifact", lease=asked["lease"], findings=[finding], inspected=["x"])
        for name, finding in NOWHERE.items()
    }
    nothing = await bob.refused("review_artifact", lease=asked["lease"], findings=[], inspected=[])
    blanks = await bob.refused("review_artifact", lease=asked["lease"], findings=[], inspected=["  "])

    assert set(codes.values()) == {"review_inconsistent"}
    assert (nothing, blanks) == ("review_inconsistent", "review_inconsistent")
    assert (await judge(bob, asked))["verdict"] == "accepted"


@pytest.mark.slow
async def test_a_finding_may_be_about_a_file_that_was_taken_away(ada: Agent, bob: Agent) -> None:
    await hand_in(ada, {"calc.py": None, **SUB})

    given = await judge(bob, await review(bob), {**WRONG, "path": "calc.py", "line": 1})

    assert [f["where"] for f in given["findings"]] == ["calc.py:1"]


@pytest.mark.slow
async def test_a_review_lease_is_no_lease_of_the_stage_and_the_other_way_round(ada: Agent, bob: Agent) -> None:
    brief, _ = await hand_in(ada)
    asked = await review(bob)
    forged = asked["lease"].replace(".r1.", ".1.")
    exits = {"because": "spec_conflict", "reason": "The plan is wrong.", "stage": "code"}

    assert await bob.refused("submit_artifact", lease=asked["lease"], summary="Mine.") == "not_allowed"
    assert await bob.refused("check_gates", lease=asked["lease"]) == "not_allowed"
    assert await bob.refused("submit_artifact", lease=forged, summary="Mine.") == "unknown_lease"
    assert await bob.refused("release_stage", lease=asked["lease"], **exits) == "bad_argument"
    assert await ada.refused("review_artifact", lease=brief["lease"], findings=[], inspected=["x"]) == "not_allowed"


@pytest.mark.slow
async def test_any_call_with_a_review_lease_renews_it_and_it_can_be_let_go(
    server: Server, clock: Clock, ada: Agent, bob: Agent
) -> None:
    await hand_in(ada)
    asked = await review(bob)
    clock.advance(LEASE_S / 2)
    renewed = await bob.get("renew_lease", lease=asked["lease"])
    clock.advance(LEASE_S * 0.7)
    async with server.agent("cleo") as cleo:
        assert await cleo.refused("claim_stage", agent="cleo", change="c1", stage="code") == "lease_held"
        # Refused, and renewed all the same.
        assert await bob.refused("submit_artifact", lease=asked["lease"], summary="Mine.") == "not_allowed"
        clock.advance(LEASE_S * 0.7)
        assert await cleo.refused("claim_stage", agent="cleo", change="c1", stage="code") == "lease_held"
        released = await bob.get("release_stage", lease=asked["lease"], because="cannot", reason="Not my field.")
        assert (await review(cleo))["kind"] == "review"

    assert renewed["expires_in_s"] == LEASE_S
    assert released["stage_state"] == "in_review"
    assert await bob.refused("renew_lease", lease=asked["lease"]) == "review_stale"


@pytest.mark.slow
async def test_a_waiting_reviewer_wakes_when_there_is_something_to_review(
    server: Server, ada: Agent, bob: Agent
) -> None:
    change = await ada.start()
    brief = await ada.claim(change)
    asked: list[Told] = []

    async def wait() -> None:
        asked.append(await bob.get("claim_stage", agent="bob", role="reviewer", wait_s=30))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await ada.submit(brief, SUB)
    update = await ada.get("wait_for_update", change=change, wait_s=0)
    async with server.agent("cleo") as cleo:
        others = await cleo.get("wait_for_update", change=change, wait_s=0)

    assert asked[0]["kind"] == "review"
    assert update["claimable"] == []
    assert others["claimable"] == [], "the only seat is taken"


@pytest.mark.slow
async def test_a_waiter_is_told_of_a_review_that_it_may_give(ada: Agent, bob: Agent) -> None:
    await hand_in(ada)

    assert (await bob.get("wait_for_update", wait_s=0))["claimable"] == ["c1/code (review)"]


@pytest.mark.slow
async def test_work_that_is_furthest_on_comes_first_and_reviews_count_as_their_stage_does(
    server: Server, ada: Agent, bob: Agent
) -> None:
    await hand_in(ada)
    await ada.start("Another")

    first = await bob.get("claim_stage", agent="bob")
    second = await bob.get("claim_stage", agent="bob")
    async with server.agent("cleo") as cleo:
        no_seat = await cleo.get("claim_stage", agent="cleo", role="reviewer")

    assert [(brief["kind"], brief["change"]) for brief in (first, second)] == [("review", "c1"), ("work", "c2")]
    assert no_seat["kind"] == "none"


@pytest.mark.slow
async def test_a_claim_and_a_review_repeated_with_their_keys_have_one_effect(
    server: Server, ada: Agent, bob: Agent
) -> None:
    await hand_in(ada)
    asked = [await review(bob, key="claim") for _ in range(2)]
    lease = asked[0]["lease"]
    given = [await judge(bob, asked[0], WRONG, key="review") for _ in range(2)]
    other = await bob.refused("review_artifact", lease=lease, findings=[MINOR], inspected=[], key="review")
    told_again = await review(bob, key="claim")

    record = await server.record("c1")
    assert asked[1]["lease"] == lease
    assert given[0].content == given[1].content
    assert other == "idempotency_conflict"
    assert len(record.stage("code").attempts[0].reviews) == 1
    assert "has ended" in told_again["why"]


@pytest.mark.slow
async def test_leases_and_reviews_outlive_the_server(make: Repositories, clock: Clock) -> None:
    repository = make(quorum(2))
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        _, verdict = await hand_in(ada)
        asked = await review(bob)
        first = await judge(bob, asked, MINOR, key="r")
    async with serving(repository, clock=clock) as server, server.agent("bob") as bob, server.agent("cleo") as cleo:
        again = await judge(bob, asked, MINOR, key="r")
        last = await judge(cleo, await review(cleo))
        evidence = await cleo.get("get_evidence", change="c1", stage="code", gate="review")
        await server.landed("c1")

    assert again.content == first.content
    assert (last["reviews"], last["stage_state"]) == (2, "passed")
    assert [f["severity"] for f in evidence["tolerated"]] == ["minor"]
    assert evidence["commit"] == verdict["commit"]


@pytest.mark.slow
async def test_evidence_of_reviewers_that_was_taken_away_is_missed_by_fsck(make: Repositories, clock: Clock) -> None:
    """I4: every gate of the policy, those too that no program judges."""
    repository = make(REVIEWED)
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        await hand_in(ada)
        await judge(bob, await review(bob))
        await server.landed("c1")
    whole = await anyio.to_thread.run_sync(found, repository)
    with altering(repository) as store:
        store.execute("DELETE FROM evidence WHERE change = 'c1' AND gate = 'review'")
    [(kind, what)] = await anyio.to_thread.run_sync(found, repository)

    assert whole == []
    assert kind == "evidence"
    assert "gate 'review' has no evidence" in what


@pytest.mark.slow
async def test_inputs_of_a_review_are_the_spec_and_not_what_its_author_says(make: Repositories, clock: Clock) -> None:
    plan = {"docs/changes/c1.md": "# Goal\n\nSubtract.\n\n# Requirements\n\nR1: `sub(a, b)` is a minus b.\n"}
    repository = make(staged(OK, "review"))
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        await ada.start()
        await ada.submit(await ada.claim(), plan, summary="TALK about the plan")
        await ada.submit(await ada.claim(), SUB, summary="TALK about the code")
        asked = await review(bob)
        read = await bob.get("read_artifact", change="c1", stage="plan", path="docs/changes/c1.md")

    assert [(i["stage"], i["summary"], i["paths"]) for i in asked["inputs"]] == [("plan", "", ["docs/changes/c1.md"])]
    assert "TALK" not in asked.text
    assert "R1: `sub(a, b)`" in read["text"]


@pytest.mark.slow
async def test_what_a_reviewer_is_told_fits_whatever_was_said(make: Repositories, clock: Clock) -> None:
    """Held by every reply that an agent gets here; here all of them are as long as they may be."""
    text = "Said at length, \N{SNOWMAN} and more. " * 100
    page = solo(OK, f"{{review: {{ask: {text[:1900]!r}}}}}").replace("Make the change.", text[:2000])
    repository = make(page)
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        started = await ada.get("start_change", title="Add sub", intent=text[:4000])
        brief = await ada.claim(started["change"])
        first = await ada.submit(brief, {**SUB, **{f"many/{number:03d}.py": "x = 1\n" for number in range(60)}})
        findings = [{**MINOR, "severity": "blocking", "message": f"{n} {text[:590]}"} for n in range(40)]
        await judge(bob, await review(bob), *findings, note=text)
        await ada.get("wait_for_update", evaluation=first["evaluation"])
        answers = [
            {"finding": found.id, "disposition": "disputed", "note": text[:2000]}
            for found in (await server.record("c1")).stage("code").attempts[0].review_findings
        ]
        await ada.submit(brief, {"sub.py": "x = 2\n"}, answers=answers)

        asked = await review(bob)

    assert len(answers) == 40
    assert asked["findings"]
    assert asked["answers"]
