"""Every refusal that a client can meet, in the order in which the rules are held against a request."""

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from gatewright.gates.machine.commands import Because, Cancel, Reopen, Settle
from gatewright.schemas.records import GateOutcome, Outcome

from .conftest import Repositories
from .house import PLAN, Clock, Repository, Server, serving, staged

pytestmark = pytest.mark.anyio

PASSED = (GateOutcome("scope", Outcome.PASSED), GateOutcome("ok", Outcome.PASSED))
PENDING = (GateOutcome("scope", Outcome.PENDING), GateOutcome("ok", Outcome.PASSED))
FAILED = (GateOutcome("scope", Outcome.PASSED), GateOutcome("ok", Outcome.FAILED))
FORGED = "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA"


async def settle(desk: Server, change: str, gates: tuple[GateOutcome, ...], stage: str = "code") -> None:
    current = (await desk.record(change)).stage(stage).current
    assert current is not None
    await desk.decide(change, Settle(stage, current.evaluation, gates))


async def test_each_state_refuses_in_the_order_of_precedence(desk: Server) -> None:
    """One stage goes through its states; whoever calls is told the first rule that forbids, and what to do."""
    async with desk.agent("ada") as ada, desk.agent("bob") as bob:
        change = await ada.start()
        named = {"change": change, "stage": "code"}

        assert await bob.refused("claim_stage", agent="bob", change="c9", stage="code") == "unknown_change"
        assert await bob.refused("get_status", change="c9") == "unknown_change"
        assert await bob.refused("wait_for_update", change="c9", wait_s=0) == "unknown_change"
        assert await bob.refused("get_evidence", change="c9", stage="code") == "unknown_change"
        assert await bob.refused("claim_stage", agent="bob", change=change, stage="cod") == "unknown_stage"
        assert await bob.refused("get_status", change=change, stage="cod") == "unknown_stage"
        assert await bob.refused("read_artifact", change=change, stage="cod") == "unknown_stage"
        for lease in (FORGED, "", "gw1", FORGED.replace("c1", "c9"), "../../etc/passwd", "x" * 200):
            assert await bob.refused("submit_artifact", lease=lease, summary="x") == "unknown_lease"
        for tool, more in LEASE_TOOLS.items():
            assert await bob.refused(tool, lease=FORGED, **more) == "unknown_lease"

        brief = await ada.claim()
        assert await bob.refused("claim_stage", agent="bob", **named) == "lease_held"
        held = await bob.call("claim_stage", agent="bob", **named)
        assert "'ada'" in held["message"]
        assert "15 more minutes" in held["message"]

        await ada.get("submit_artifact", lease=brief["lease"], summary="x", files={"a.txt": "a"}, wait_s=0)
        assert await bob.refused("claim_stage", agent="bob", **named) == "stage_evaluating"
        assert await ada.refused("submit_artifact", lease=brief["lease"], summary="x") == "stage_evaluating"
        assert await ada.refused("check_gates", lease=brief["lease"]) == "stage_evaluating"
        await settle(desk, change, PENDING)
        assert await bob.refused("claim_stage", agent="bob", **named) == "stage_in_review"
        assert await ada.refused("submit_artifact", lease=brief["lease"], summary="x") == "stage_in_review"
        await ada.get("release_stage", lease=brief["lease"], because="withdraw", reason="Forgot a file.")

        assert (await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason="Which?"))[
            "stage_state"
        ] == "escalated"
        told = await bob.call("claim_stage", agent="bob", **named)
        assert told.code == "stage_escalated"
        assert "Which?" in told["message"]
        assert await ada.refused("submit_artifact", lease=brief["lease"], summary="x") == "stage_escalated"

        await desk.decide(change, Reopen("code", "person:eve", "Try again."))
        assert await ada.refused("submit_artifact", lease=brief["lease"], summary="x") == "lease_lost"
        assert await ada.refused("renew_lease", lease=brief["lease"]) == "lease_lost"
        assert await ada.refused("release_stage", lease=brief["lease"], because="cannot", reason="x") == "lease_lost"

        again = await bob.claim()
        await bob.get("submit_artifact", lease=again["lease"], summary="x", files={"a.txt": "a"}, wait_s=0)
        await settle(desk, change, PASSED)
        assert await ada.refused("claim_stage", agent="ada", **named) == "stage_passed"
        assert await bob.refused("submit_artifact", lease=again["lease"], summary="x") == "stage_passed"
        assert (
            await bob.refused("release_stage", lease=again["lease"], because="withdraw", reason="x") == "stage_passed"
        )

        await desk.decide(change, Cancel("person:eve", "Not needed."))
        for tool, more in {**LEASE_TOOLS, "check_gates": {}}.items():
            if tool != "review_artifact":
                assert await bob.refused(tool, lease=again["lease"], **more) == "change_over", tool
        assert await bob.refused("claim_stage", agent="bob", **named) == "change_over"
        assert await bob.refused("claim_stage", agent="bob", change=change) == "change_over"


LEASE_TOOLS: Mapping[str, Mapping[str, Any]] = {
    "renew_lease": {},
    "check_gates": {},
    "submit_artifact": {"summary": "x"},
    "release_stage": {"because": "cannot", "reason": "x"},
    "review_artifact": {"findings": [], "inspected": []},
}


async def test_a_waiting_stage_names_what_it_waits_for_and_who_holds_that(make: Repositories) -> None:
    async with serving(make(staged()), has_engine=False) as desk, desk.agent("ada") as ada, desk.agent("bob") as bob:
        change = await ada.start()
        before = await bob.call("claim_stage", agent="bob", change=change, stage="code")
        await ada.claim()
        after = await bob.call("claim_stage", agent="bob", change=change, stage="code")
        nothing = await bob.get("claim_stage", agent="bob")

    assert (before.code, after.code) == ("stage_waiting", "stage_waiting")
    assert "'plan', which is open" in before["message"]
    assert "'plan', which agent 'ada' holds for 15 more minutes" in after["message"]
    assert nothing["kind"] == "none"
    assert "'code' of c1 waits for 'plan'" in nothing["why"]


async def test_reviews_are_refused_with_a_sentence_until_they_exist(desk: Server) -> None:
    async with desk.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        told = await ada.call("review_artifact", lease=brief["lease"], findings=[], inspected=["everything"])

    assert told.code == "not_allowed"
    assert 'claim_stage(role="reviewer")' in told["next"]


@pytest.mark.slow
async def test_a_spec_conflict_names_an_earlier_stage_and_reopens_it(make: Repositories) -> None:
    async with serving(make(staged())) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        code = await ada.claim()
        given = {"lease": code["lease"], "because": str(Because.SPEC_CONFLICT), "reason": "R1 is wrong."}
        for wrong in ({}, {"stage": "code"}, {"stage": "nonsense"}):
            assert await ada.refused("release_stage", **given, **wrong) == "bad_argument"
        released = await ada.get("release_stage", **given, stage="plan")
        plan = await ada.claim()
        late = await ada.refused("submit_artifact", lease=code["lease"], summary="x")

    assert released["stage_state"] == "waiting"
    assert plan["stage"] == "plan"
    assert any("R1 is wrong." in finding["message"] for finding in plan["findings"])
    assert late == "stage_waiting"


# What a client may write where a commit belongs, and what it is refused with.
NOT_COMMITS = ("abc1234", "HEAD", "main", "v1", "-h", "--output=x", "", " ", "A" * 40, "0" * 39, "g" * 40, "0" * 41)


async def test_whatever_is_not_a_full_commit_id_is_no_commit(desk: Server, repository: Repository) -> None:
    repository.git("tag", "v1")
    async with desk.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        for given in (*NOT_COMMITS, repository.tip()[:12], repository.tip().upper(), f"{repository.tip()}\n"):
            refused = await ada.refused("submit_artifact", lease=brief["lease"], summary="x", commit=given)
            assert refused == "bad_argument", given
        status = await ada.get("get_status", change=change)

    assert status["changes"][0]["stages"][0]["state"] == "claimed", "nothing was handed in"


async def test_ids_that_name_no_fit_commit_are_bad_artifacts(desk: Server, make: Repositories) -> None:
    """Full ids, and yet: no such object, a tree, a blob, a tag object, unrelated history, another repository's."""
    async with desk.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        git = make(name="elsewhere").git
        other = git("commit-tree", "HEAD^{tree}", "-m", "Elsewhere")
        mine = _bad_commits(desk)
        for about, commit in {**mine, "another repository's commit": other, "no such object": "0" * 39 + "1"}.items():
            told = await ada.call("submit_artifact", lease=brief["lease"], summary="x", commit=commit)
            assert told.code == "bad_artifact", f"{about}: {told.text}"
        both = await ada.refused(
            "submit_artifact", lease=brief["lease"], summary="x", commit=brief["base_commit"], files={"a": "b"}
        )

    assert both == "bad_argument"


def _bad_commits(desk: Server) -> Mapping[str, str]:
    folder = desk.services.repository.common_dir

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("tag", "-a", "v2", "-m", "A tag", "main")
    return {
        "a tree": git("rev-parse", "main^{tree}"),
        "a blob": git("rev-parse", "main:calc.py"),
        "a tag": git("rev-parse", "v2"),
        "an unrelated root": git("commit-tree", "main^{tree}", "-m", "Unrelated"),
    }


@pytest.mark.slow
async def test_an_unchanged_tree_is_refused_unless_every_finding_is_disputed(server: Server) -> None:
    """Rule 5; a dispute of the floor goes to a person."""
    async with server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        failed = await ada.submit(brief, {"broken.txt": "x"})
        assert failed["outcome"] == "failed", failed.text
        again = {"lease": brief["lease"], "summary": "Same again."}
        assert await ada.refused("submit_artifact", **again) == "unchanged_artifact"
        assert await ada.refused("submit_artifact", **again, commit=failed["commit"]) == "unchanged_artifact"
        wrong = [{"finding": "f0", "disposition": "disputed", "note": "No."}]
        assert await ada.refused("submit_artifact", **again, answers=wrong) == "unchanged_artifact"
        fixed = [{"finding": f["id"], "disposition": "fixed", "note": "Did."} for f in failed["findings"]]
        assert await ada.refused("submit_artifact", **again, answers=fixed) == "unchanged_artifact"
        disputed = [{**answer, "disposition": "disputed"} for answer in fixed]
        await ada.get("submit_artifact", **again, answers=disputed)
        status = await ada.get("get_status", change=change)

    assert status["changes"][0]["stages"][0]["state"] == "escalated"
    assert "disputes" in status["waiting_for_people"][0]


@pytest.mark.slow
async def test_an_artifact_that_changes_nothing_fails(server: Server) -> None:
    """Rule 7: empty means refused, also for a commit of the agent's own and for files that say the same."""
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief)
        assert verdict["outcome"] == "failed", verdict.text
        assert verdict["findings"][0]["rule"] == "nothing"
        same = await ada.refused("submit_artifact", lease=brief["lease"], summary="x", commit=brief["base_commit"])

    assert same == "unchanged_artifact"


async def test_an_unknown_evaluation_attempt_or_gate_is_named(server: Server) -> None:
    async with server.agent() as ada:
        change = await ada.start()
        assert await ada.refused("wait_for_update", evaluation=f"{change}.e7") == "bad_argument"
        assert await ada.refused("get_evidence", change=change, stage="code") == "bad_argument"
        assert await ada.refused("get_evidence", change=change, stage="land") == "bad_argument"
        assert await ada.refused("read_artifact", change=change, stage="code", attempt=1) == "bad_argument"
        brief = await ada.claim()
        assert await ada.refused("check_gates", lease=brief["lease"], gates=["tests"]) == "bad_argument"


async def test_a_policy_that_is_not_committed_is_missing_and_one_that_is_wrong_says_where(make: Repositories) -> None:
    repository = make()
    repository.git("rm", "-q", "--cached", "gatewright.yaml")
    repository.git("commit", "-q", "-m", "Forget the pipeline")
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        missing = await ada.call("start_change", title="t", intent="i")
        repository.commit("Misspell", gatewright__yaml=staged().replace("gates:", "gatez:"))
        invalid = await ada.call("start_change", title="t", intent="i")
        repository.commit("Mend", gatewright__yaml=staged())
        await ada.start()

    assert missing.code == "policy_missing"
    assert "not committed" in missing["message"]
    assert invalid.code == "policy_invalid"
    assert "gatewright.yaml:7" in invalid["message"]
    assert "gates" in invalid["message"]


async def test_files_of_a_client_without_a_file_system_stay_inside_the_tree(desk: Server, clock: Clock) -> None:
    """Nothing outside of the tree, nothing of git's, nothing that no checkout could hold."""
    async with desk.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        for name in (
            "../out.txt",
            "/etc/passwd",
            "a/../../b",
            ".git/config",
            "a/.GIT/hooks/x",
            "",
            "a//b",
            "./a",
            "a/",
        ):
            told = await ada.call("submit_artifact", lease=brief["lease"], summary="x", files={name: "x"})
            assert told.code in {"bad_artifact", "bad_argument"}, (name, told.text)
        gone = await ada.refused("submit_artifact", lease=brief["lease"], summary="x", files={"nothing.txt": None})

    assert gone in {"bad_artifact", "bad_argument"}
