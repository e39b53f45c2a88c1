"""Agents on machines of their own, servers that share nothing but the store and a git remote."""

import shutil
from pathlib import Path

import pytest

from gatewright.server.composition import ARTIFACTS_FOLDER
from gatewright.server.store import StoreMissing, open_store

from .house import Clock, Repository, serving, staged
from .team import SUB, Team, commands_of

pytestmark = pytest.mark.anyio

PLAN = "# Goal\n\nSubtract.\n\n# Requirements\n\nR1: it does.\n"


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
