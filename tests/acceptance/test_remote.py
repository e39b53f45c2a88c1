"""Agents on machines of their own, servers that share nothing but the store and a git remote."""

import shutil
from pathlib import Path

import anyio
import pytest

from gatewright.gates.machine import commands as c
from gatewright.gates.remote import pauses
from gatewright.schemas.records import ChangeState, LandingStep
from gatewright.server.composition import ARTIFACTS_FOLDER
from gatewright.server.store import StoreMissing, open_store

from .house import Agent, Clock, Repository, Server, Told, serving, staged
from .team import Team, commands_of

pytestmark = pytest.mark.anyio

PLAN = "# Goal\n\nSubtract.\n\n# Requirements\n\nR1: it does.\n"
SUB = "def sub(a, b):\n    return a - b\n"


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path / "team")


async def test_a_change_goes_from_its_plan_to_the_target_by_way_of_two_machines(tmp_path: Path) -> None:
    team = Team(tmp_path / "team", staged())
    ada, bob = team.clone("ada"), team.clone("bob")
    async with team.serving() as server, server.agent("ada") as planner, server.agent("bob") as coder:
        change = await planner.start()
        plan = await planner.claim(change, "plan")
        ada.follow(plan, **{"docs/changes/c1.md": PLAN})
        planned = await planner.get("submit_artifact", lease=plan["lease"], summary="The plan.")
        code = await coder.claim(change, "code")
        bob.follow(code, **{"sub.py": SUB})
        coded = await coder.get("submit_artifact", lease=code["lease"], summary="The code.")
        record = await server.landed(change)

    assert (planned["outcome"], coded["outcome"]) == ("passed", "passed")
    assert team.tip() == record.landed_commit
    assert {"sub.py", "docs/changes/c1.md"} <= team.files()
    assert code["workspace"] is None
    assert team.url in code.text


async def test_the_brief_says_what_to_run_and_nothing_that_needs_this_machine(team: Team) -> None:
    async with team.serving(has_engine=False) as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)

    assert commands_of(brief) == [
        f"git fetch origin main && git switch -c gatewright/c1/code-1 {team.tip()}",
        "git push origin HEAD:refs/heads/gatewright/c1/code-1 && git rev-parse HEAD",
    ]
    assert str(team.path / "state-one") not in brief.text


@pytest.mark.slow
async def test_what_was_not_pushed_is_refused_with_the_command_that_pushes_it(team: Team) -> None:
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        early = await ada.call("submit_artifact", lease=brief["lease"], summary="Work.")
        begin, push = commands_of(brief)
        clone.run(begin)
        commit = clone.commit(**{"sub.py": SUB})
        by_id = await ada.call("submit_artifact", lease=brief["lease"], summary="Work.", commit=commit)
        clone.run(push)
        verdict = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", commit=commit)

    assert (early.code, commands_of(early)) == (
        "bad_artifact",
        ["git push origin HEAD:refs/heads/gatewright/c1/code-1"],
    )
    assert by_id.code == "bad_artifact"
    assert f"There is no commit {commit} on the remote" in by_id.text
    assert "workspace" not in by_id["next"]
    assert verdict["outcome"] == "passed"


@pytest.mark.slow
async def test_a_check_looks_at_what_was_pushed_and_costs_no_attempt(team: Team) -> None:
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"broken.txt": "x"})
        checked = await ada.get("check_gates", lease=brief["lease"])
        status = await ada.get("get_status", change=change)

    assert (checked["outcome"], checked["dry_run"]) == ("failed", True)
    assert status["changes"][0]["stages"][0]["attempt"] is None


@pytest.mark.slow
async def test_an_attempt_that_failed_is_mended_by_pushing_more(team: Team) -> None:
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        clone.follow(brief, **{"broken.txt": "x"})
        failed = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        again = await ada.refused("submit_artifact", lease=brief["lease"], summary="Work.")
        clone.git("rm", "-q", "broken.txt")
        clone.commit(**{"sub.py": SUB})
        clone.run(commands_of(brief)[-1])
        passed = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        await server.landed(change)

    assert (failed["outcome"], again, passed["outcome"]) == ("failed", "unchanged_artifact", "passed")


@pytest.mark.slow
async def test_a_client_without_files_hands_in_texts_as_ever(team: Team) -> None:
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        verdict = await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", files={"sub.py": SUB})
        await server.landed(change)

    assert verdict["outcome"] == "passed"
    assert "sub.py" in team.files()


@pytest.mark.slow
async def test_what_a_former_holder_pushed_is_offered_with_commands_that_bring_it(team: Team) -> None:
    clock, ada, bob = Clock(), team.clone("ada"), team.clone("bob")
    async with team.serving(clock=clock) as server, server.agent("ada") as first, server.agent("bob") as second:
        change = await first.start()
        ada.follow(await first.claim(change), **{"sub.py": SUB})
        clock.advance(24 * 3600)
        brief = await second.claim(change)
        orphan = brief["orphans"][0]
        bob.run(commands_of(brief)[0])
        for command in commands_of({"next": orphan["adopt"]}):
            bob.run(command)
        adopted = bob.git("show", f"{orphan['commit']}:sub.py")
        verdict = await second.get(
            "submit_artifact", lease=brief["lease"], summary="As it is.", commit=orphan["commit"]
        )

    assert "gatewright/c1/code-1" in orphan["note"]
    assert adopted == SUB.strip()
    assert (bob.path / "sub.py").read_text() == SUB
    assert verdict["outcome"] == "passed"
    assert "gatewright/c1/code-2" in commands_of(brief)[-1]


async def test_late_work_of_who_was_taken_over_is_kept(team: Team) -> None:
    clock, ada = Clock(), team.clone("ada")
    async with (
        team.serving(clock=clock, has_engine=False) as server,
        server.agent("ada") as first,
        server.agent("bob") as second,
    ):
        change = await first.start()
        brief = await first.claim(change)
        clock.advance(24 * 3600)
        await second.claim(change)
        commit = ada.follow(brief, **{"sub.py": SUB})
        late = await first.call("submit_artifact", lease=brief["lease"], summary="Late.")

    assert late.code == "lease_lost"
    assert f"{commit[:10]} is kept" in late.text


@pytest.mark.slow
async def test_losing_the_state_folder_loses_nothing(tmp_path: Path) -> None:
    team = Team(tmp_path / "team", staged())
    ada, bob = team.clone("ada"), team.clone("bob")
    async with team.serving() as server, server.agent("ada") as planner:
        change = await planner.start()
        plan = await planner.claim(change, "plan")
        ada.follow(plan, **{"docs/changes/c1.md": PLAN})
        await planner.get("submit_artifact", lease=plan["lease"], summary="The plan.")
    # Not even the branch that it was pushed to is there any more.
    ada.git("push", "-q", "origin", ":refs/heads/gatewright/c1/plan-1")
    shutil.rmtree(team.path / "state-one")

    async with team.serving() as server, server.agent("bob") as coder:
        code = await coder.claim(change, "code")
        read = await coder.get("read_artifact", change=change, stage="plan", path="docs/changes/c1.md")
        bob.follow(code, **{"sub.py": SUB})
        await coder.get("submit_artifact", lease=code["lease"], summary="The code.")
        await server.landed(change)

    assert "Subtract." in read["text"]
    assert {"sub.py", "docs/changes/c1.md"} <= team.files()


@pytest.mark.slow
async def test_another_server_reads_judges_and_lands_what_one_took_in(team: Team) -> None:
    clone = team.clone("ada")
    async with (
        team.serving("one", has_engine=False) as one,
        team.serving("two") as two,
        one.agent("ada") as ada,
        two.agent("bob") as bob,
    ):
        change = await ada.start()
        brief = await ada.claim(change)
        commit = clone.follow(brief, **{"sub.py": SUB})
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", wait_s=0)
        record = await two.landed(change)
        read = await bob.get("read_artifact", change=change, stage="code", path="sub.py")

    assert (read["commit"], read["text"]) == (commit, SUB)
    assert team.tip() == record.landed_commit


async def test_a_change_begins_where_the_target_is_now(team: Team) -> None:
    async with team.serving(has_engine=False) as server, server.agent("ada") as ada:
        await ada.start("First")
        team.person.commit("Meanwhile", **{"notes.txt": "A person's.\n"})
        team.person.git("push", "-q", "origin", "HEAD:main")
        second = await ada.get("start_change", title="Second", intent="Second.")

    assert second["base_commit"] == team.tip()


@pytest.mark.slow
async def test_what_is_merged_for_a_stage_can_be_fetched_by_its_holder(tmp_path: Path) -> None:
    """Two needs come together in a commit that only the server has made."""
    pipeline = """\
version: 1
target: main
stages:
  api: {goal: G, writes: ["api/**"], gates: [{command: {name: ok, run: "test -e api/a"}}]}
  web: {goal: G, writes: ["web/**"], gates: [{command: {name: ok, run: "test -e web/b"}}]}
  both: {needs: [api, web], goal: G, gates: [{command: {name: ok, run: "test -e api/a && test -e web/b"}}]}
land: {needs: [both]}
"""
    team = Team(tmp_path / "team", pipeline)
    clone = team.clone("ada")
    async with team.serving() as server, server.agent("ada") as ada:
        change = await ada.start()
        for stage, name in (("api", "api/a"), ("web", "web/b")):
            brief = await ada.claim(change, stage)
            clone.follow(brief, **{name: "x\n"})
            await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        both = await ada.claim(change, "both")
        clone.follow(both, c="x\n")
        verdict = await ada.get("submit_artifact", lease=both["lease"], summary="Both.")
        await server.landed(change)

    assert f"refs/gatewright/bases/{both['base_commit']}" in commands_of(both)[0]
    assert verdict["outcome"] == "passed"


@pytest.mark.slow
async def test_a_conflict_with_the_target_comes_back_merged_to_whoever_claims(team: Team) -> None:
    ada, bob = team.clone("ada"), team.clone("bob")
    async with team.serving() as server, server.agent("ada") as first:
        change = await first.start()
        brief = await first.claim(change)
        ada.follow(brief, **{"calc.py": "def add(a, b):\n    return b + a\n"})
        team.person.commit("Meanwhile", **{"calc.py": "def add(a, b):\n    return sum((a, b))\n"})
        team.person.git("push", "-q", "origin", "HEAD:main")
        await first.get("submit_artifact", lease=brief["lease"], summary="Work.")
        await server.until(change, lambda record: record.stage("code").state == "open")
        again = await first.claim(change)
        bob.follow(again, **{"calc.py": "def add(a, b):\n    return sum((b, a))\n"})
        await first.get("submit_artifact", lease=again["lease"], summary="Resolved.")
        await server.landed(change)

    assert "calc.py" in again.text
    assert team.git("show", "main:calc.py") == "def add(a, b):\n    return sum((b, a))"


@pytest.mark.slow
async def test_branches_of_a_change_that_is_over_go_and_unsubmitted_work_is_kept(team: Team) -> None:
    clock, ada, bob = Clock(), team.clone("ada"), team.clone("bob")
    async with team.serving(clock=clock) as server, server.agent("ada") as first, server.agent("bob") as second:
        change = await first.start()
        abandoned = ada.follow(await first.claim(change), **{"idea.py": "x = 1\n"})
        clock.advance(24 * 3600)
        brief = await second.claim(change)
        bob.follow(brief, **{"sub.py": SUB})
        await second.get("submit_artifact", lease=brief["lease"], summary="Work.")
        await server.landed(change)
        record = await server.record(change)
        await server.services.act(lambda: server.services.places.clear(server.services, record))

    assert team.refs("refs/heads/") == {"refs/heads/main"}
    assert team.tip("refs/gatewright/saved/c1-code-1") == abandoned


@pytest.mark.slow
async def test_the_first_server_takes_the_remotes_default_branch_and_the_store_keeps_it(tmp_path: Path) -> None:
    team = Team(tmp_path / "team")
    shutil.rmtree(team.store)
    open_store(team.store, create=True).close()
    team.git("branch", "-m", "main", "trunk")
    team.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    first = team.services("one")
    first.store.close()
    team.git("branch", "other", "trunk")
    team.git("symbolic-ref", "HEAD", "refs/heads/other")
    second = team.services("two")
    second.store.close()

    assert (first.policies.target, second.policies.target) == ("trunk", "trunk")


@pytest.mark.slow
async def test_a_remote_without_a_branch_cannot_be_served(tmp_path: Path) -> None:
    team = Team(tmp_path / "team")
    shutil.rmtree(team.store)
    open_store(team.store, create=True).close()
    team.git("update-ref", "-d", "refs/heads/main")

    with pytest.raises(StoreMissing, match="names no default branch"):
        team.services()


@pytest.mark.slow
async def test_a_change_that_began_on_one_machine_goes_on_in_a_team(tmp_path: Path) -> None:
    """What is pushed once by hand (docs/team.md) is all that a team's server needs of the machine before."""
    repository = Repository(tmp_path / "repository", staged())
    async with serving(repository) as server, server.agent("ada") as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN}, change, "plan")
    team = Team.found(tmp_path / "team")
    team.path.mkdir()
    team.store = repository.state
    repository.git("clone", "-q", "--bare", str(repository.path), str(team.remote))
    artifacts = repository.state / ARTIFACTS_FOLDER
    repository.git("push", "-q", team.url, "refs/gatewright/*:refs/gatewright/*", cwd=artifacts)

    clone = team.clone("bob")
    async with team.serving() as server, server.agent("bob") as bob:
        brief = await bob.claim(change, "code")
        clone.follow(brief, **{"sub.py": SUB})
        verdict = await bob.get("submit_artifact", lease=brief["lease"], summary="The code.")
        await server.landed(change)

    assert verdict["outcome"] == "passed"
    assert {"sub.py", f"docs/changes/{change}.md"} <= team.files()


# -- what can be wrong with the remote --------------------------------------------------------------------------------


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
async def test_what_the_server_itself_makes_is_had_by_others(tmp_path: Path) -> None:
    pipeline = """\
version: 1
target: main
stages:
  code: {goal: G, writes: ["*.py"], gates: [{command: {name: ok, run: "test -e sub.py"}}]}
  list:
    needs: [code]
    run: "ls *.py > list.txt"
    writes: ["list.txt"]
    gates: [{command: {name: ok, run: "test -e list.txt"}}]
land: {needs: [list]}
"""
    team = Team(tmp_path / "team", pipeline)
    async with team.serving("one") as one, one.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", files={"sub.py": SUB})
        await one.landed(change)
    async with team.serving("two", has_engine=False) as two, two.agent("bob") as bob:
        read = await bob.get("read_artifact", change=change, stage="list", path="list.txt")

    assert read["text"].split() == ["calc.py", "sub.py"]
    assert "list.txt" in team.files()


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


# -- what is hostile --------------------------------------------------------------------------------------------------


async def test_a_commit_is_a_full_id_and_nothing_else(team: Team) -> None:
    named = ["--upload-pack=touch x", "main", "refs/heads/main", "HEAD~1", "../../x", "ext::sh -c x", "0" * 39]
    async with team.serving(has_engine=False) as server, server.agent("ada") as ada:
        lease = (await ada.claim(await ada.start()))["lease"]
        codes = {await ada.refused("submit_artifact", lease=lease, summary="W.", commit=commit) for commit in named}

    assert codes == {"bad_argument"}


@pytest.mark.slow
async def test_a_commit_that_somebody_slipped_onto_the_branch_is_not_what_its_holder_hands_in(team: Team) -> None:
    ada, eve = team.clone("ada"), team.clone("eve")
    async with team.serving() as server, server.agent("ada") as agent:
        brief = await agent.claim(await agent.start())
        commit = ada.follow(brief, **{"sub.py": SUB})
        eve.commit(**{"backdoor.py": "x = 1\n"})
        eve.git("push", "-q", "--force", "origin", "HEAD:refs/heads/gatewright/c1/code-1")
        verdict = await agent.get("submit_artifact", lease=brief["lease"], summary="Work.", commit=commit)
        await server.landed("c1")

    assert (verdict["outcome"], verdict["commit"]) == ("passed", commit)
    assert "backdoor.py" not in team.files()


@pytest.mark.slow
async def test_branches_that_only_look_like_ours_are_left_alone(team: Team) -> None:
    names = ("gatewright/c1/code-1/x", "gatewright/c1/code-0", "gatewright/c1/Code-1", "gatewright/c99999/code-1")
    for name in names:
        team.person.git("push", "-q", "origin", f"HEAD:refs/heads/{name}")
    async with team.serving() as server, server.agent("ada") as ada:
        brief = await ada.claim(await ada.start())
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.", files={"sub.py": SUB})
        record = await server.landed("c1")
        server.services.places.clear(server.services, record)

    assert team.refs("refs/heads/") == {"refs/heads/main", *(f"refs/heads/{name}" for name in names)}


async def test_what_opens_the_remote_stands_in_no_reply(tmp_path: Path) -> None:
    """`file://ada:hunter2@/...` is as good as any: git does not look at who."""
    team = Team(tmp_path / "team")
    url = team.url.replace("file://", "file://ada:hunter2@localhost")
    gone = team.remote.with_name("gone.git")
    async with team.serving(url=url) as server, server.agent("ada") as ada:
        brief = await ada.claim(await ada.start())
        team.remote.rename(gone)
        down = await ada.call("start_change", title="Another", intent="Another.")
        gone.rename(team.remote)

    assert "hunter2" not in brief.text + down.text
    assert "shared.git" in brief.text


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
