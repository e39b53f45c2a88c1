"""`workspace: here`: one agent in the person's own checkout, which keeps its HEAD, its index and every byte.

Our decision: docs/decisions/0016-workspace-here.md.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatewright.gates.machine.commands import Cancel
from gatewright.schemas.records import LandingStep

from .conftest import Repositories
from .house import PLAN, Agent, Clock, Repository, Server, Told, serving, solo, staged, write_all

pytestmark = pytest.mark.anyio

HERE = "target: main\nworkspace: here"


def here(pipeline: str) -> str:
    return pipeline.replace("target: main", HERE)


@pytest.fixture
def repository(make: Repositories) -> Repository:
    return make(here(staged()))


def in_checkout(repository: Repository, brief: Told) -> bool:
    return bool(brief["workspace"] == str(repository.path))


def persons(repository: Repository) -> dict[str, bytes | str]:
    """All that is the person's besides files: HEAD, index, branches, stash, settings, and what git status says."""
    status = repository.git("-c", "core.fsmonitor=", "status", "--porcelain", "-uall")
    own = {name: (repository.common_dir / name) for name in ("HEAD", "index", "config", "logs/HEAD", "packed-refs")}
    bytes_of: dict[str, bytes | str] = {name: place.read_bytes() for name, place in own.items() if place.exists()}
    refs = repository.git("for-each-ref", "refs/heads", "refs/tags", "refs/stash", "refs/remotes")
    return {**bytes_of, "refs": refs, "status": status}


def files(repository: Repository) -> dict[str, tuple[int, str]]:
    """Time and digest of every file of the checkout."""
    found = {}
    for parent, folders, names in os.walk(repository.path):
        folders[:] = [name for name in folders if name not in {".git", ".gatewright"}]
        for name in names:
            place = Path(parent) / name
            found[str(place)] = (place.stat().st_mtime_ns, hashlib.sha256(place.read_bytes()).hexdigest())
    return found


def at(repository: Repository, commit: str, path: str) -> str:
    return repository.git("show", f"{commit}:{path}")


@pytest.mark.slow
async def test_a_change_goes_through_both_stages_in_the_checkout_and_lands_there(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    plan = await ada.claim()
    await ada.submit(plan, {"docs/changes/c1.md": PLAN})
    code = await ada.claim()
    verdict = await ada.submit(code, {"calc.py": "def sub(a, b):\n    return a - b\n"})
    await server.landed("c1")

    assert in_checkout(repository, plan)
    assert in_checkout(repository, code)
    assert verdict["outcome"] == "passed", verdict.text
    assert repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]) == "calc.py"
    assert repository.git("status", "--porcelain") == "", "the checkout follows what landed"
    assert repository.workspaces() == []
    assert server.services.workspaces.here.occupation() is None


@pytest.mark.slow
async def test_nothing_but_files_of_inputs_is_touched_by_claiming_checking_and_submitting(
    repository: Repository, server: Server, ada: Agent
) -> None:
    repository.write("staged.txt", "staged\n")
    repository.git("add", "staged.txt")
    repository.write("notes.txt", "mine\n")
    await ada.start()
    before, files_before = persons(repository), files(repository)

    brief = await ada.claim()
    assert (persons(repository), files(repository)) == (before, files_before)
    write_all(repository.path, {"docs/changes/c1.md": PLAN})
    worked, files_worked = persons(repository), files(repository)
    await ada.get("check_gates", lease=brief["lease"])
    verdict = await ada.submit(brief)

    assert verdict["outcome"] == "passed", verdict.text
    assert (persons(repository), files(repository)) == (worked, files_worked)


async def test_what_was_uncommitted_before_stays_out_until_the_agent_changes_it(
    repository: Repository, server: Server, ada: Agent
) -> None:
    repository.write("notes.txt", "mine\n")
    repository.write("half.py", "half = \n")
    repository.write("calc.py", "def add(a, b):\n    return b + a\n")
    await ada.start()
    brief = await ada.claim()
    plan = await ada.submit(brief, {"docs/changes/c1.md": PLAN})
    code = await ada.claim()
    verdict = await ada.submit(code, {"half.py": "half = 1\n", "new.py": "n = 1\n"})

    assert any("calc.py, half.py, notes.txt had uncommitted changes before" in note for note in brief["notes"])
    assert plan["outcome"] == "passed", plan.text
    names = repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]).split()
    assert names == ["half.py", "new.py"]
    assert repository.read("calc.py") == "def add(a, b):\n    return b + a\n"


@pytest.mark.slow
async def test_what_landed_leaves_the_persons_own_changes_where_they_are(make: Repositories) -> None:
    repository = make(here(solo()))
    repository.write("notes.txt", "mine\n")
    repository.write("calc.py", "mine = 1\n")
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        await ada.submit(await ada.claim(), {"new.py": "n = 1\n"})
        await server.landed("c1")

    assert repository.git("status", "--porcelain").split("\n") == ["M calc.py", "?? notes.txt"]
    assert (repository.read("calc.py"), repository.read("notes.txt")) == ("mine = 1\n", "mine\n")
    assert repository.files() >= {"new.py"}


@pytest.mark.slow
async def test_inputs_that_were_made_elsewhere_are_put_there_and_read_as_no_deletions(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    plan = await ada.claim()
    await ada.get("submit_artifact", lease=plan["lease"], summary="Plan.", files={"docs/changes/c1.md": PLAN})
    before = persons(repository)
    code = await ada.claim()
    verdict = await ada.submit(code, {"new.py": "n = 1\n"})

    assert in_checkout(repository, code)
    assert repository.read("docs/changes/c1.md") == PLAN
    assert persons(repository)["index"] == before["index"]
    assert verdict["outcome"] == "passed", verdict.text
    assert repository.git("diff", "--name-status", f"{verdict['commit']}^", verdict["commit"]) == "A\tnew.py"


@pytest.mark.slow
async def test_an_input_whose_place_is_taken_by_the_persons_file_is_left_alone(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    plan = await ada.claim()
    await ada.get("submit_artifact", lease=plan["lease"], summary="Plan.", files={"docs/changes/c1.md": PLAN})
    repository.write("docs/changes/c1.md", "my own\n")
    await ada.start("Other")
    await ada.claim("c2")  # another change was there, so what lies about now is not c1's
    await server.decide("c2", Cancel("paula", "no"))
    code = await ada.claim("c1")
    verdict = await ada.submit(code, {"new.py": "n = 1\n"})

    assert in_checkout(repository, code)
    assert repository.read("docs/changes/c1.md") == "my own\n"
    assert repository.git("diff", "--name-status", f"{verdict['commit']}^", verdict["commit"]) == "A\tnew.py"


@pytest.mark.slow
async def test_an_input_that_the_agent_deletes_is_deleted(repository: Repository, server: Server, ada: Agent) -> None:
    await ada.start()
    await ada.submit(await ada.claim(), {"docs/changes/c1.md": PLAN})
    verdict = await ada.submit(await ada.claim(), {"docs/changes/c1.md": None, "new.py": "n\n"})

    names = repository.git("diff", "--name-status", f"{verdict['commit']}^", verdict["commit"]).split("\n")
    assert names == ["D\tdocs/changes/c1.md", "A\tnew.py"]


async def test_one_lease_at_a_time_works_there_and_the_next_gets_a_worktree(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start("First")
    await ada.start("Second")
    first = await ada.claim("c1")
    async with server.agent("bob") as bob:
        second = await bob.claim("c2", key="k")
        await ada.get("release_stage", lease=first["lease"], because="done_for_now", reason="Later.")
        again = await bob.claim("c2", key="k")

    assert in_checkout(repository, first)
    assert second["workspace"].endswith(".gatewright/work/c2-plan-1")
    assert any("is in use for 'plan' of c1" in note for note in second["notes"])
    assert again["workspace"] == second["workspace"], "who works stays where they are"


@pytest.mark.slow
async def test_who_takes_over_finds_the_work_in_the_checkout_and_a_copy_is_kept(
    repository: Repository, server: Server, ada: Agent, clock: Clock
) -> None:
    await ada.start()
    await ada.submit(await ada.claim(), {"docs/changes/c1.md": PLAN})
    first = await ada.claim()
    write_all(repository.path, {"half.py": "half\n"})
    clock.advance(3_600)
    async with server.agent("bob") as bob:
        second = await bob.claim()
        write_all(repository.path, {"done.py": "done\n"})
        late = await ada.refused("submit_artifact", lease=first["lease"], summary="Late.")
        verdict = await bob.submit(second)

    saved = repository.tip("refs/gatewright/saved/c1-code-1")
    assert in_checkout(repository, second)
    assert [orphan["commit"] for orphan in second["orphans"]] == [saved]
    assert at(repository, saved, "half.py") == "half"
    assert late == "lease_lost"
    names = repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]).split()
    assert names == ["done.py", "half.py"]


@pytest.mark.slow
async def test_a_stage_that_is_opened_again_upstream_is_mended_there_and_the_work_below_goes_on(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    await ada.submit(await ada.claim(), {"docs/changes/c1.md": PLAN})
    code = await ada.claim()
    write_all(repository.path, {"half.py": "half\n"})
    lease = code["lease"]
    await ada.get("release_stage", lease=lease, because="spec_conflict", stage="plan", reason="R1 contradicts itself.")
    plan = await ada.claim()
    replanned = await ada.submit(plan, {"docs/changes/c1.md": f"{PLAN}\nR2: more.\n"})
    again = await ada.claim()
    verdict = await ada.submit(again, {"whole.py": "whole\n"})

    assert [in_checkout(repository, brief) for brief in (code, plan, again)] == [True] * 3
    assert replanned["outcome"] == "passed", replanned.text
    names = repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]).split()
    assert names == ["half.py", "whole.py"]


@pytest.mark.slow
async def test_what_another_change_left_there_is_kept_before_the_next_one_works_there(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start("First")
    await ada.start("Second")
    first = await ada.claim("c1")
    write_all(repository.path, {"docs/changes/c1.md": "half"})
    await ada.get("release_stage", lease=first["lease"], because="done_for_now", reason="Later.")
    second = await ada.claim("c2")
    verdict = await ada.submit(second, {"docs/changes/c2.md": PLAN})

    assert in_checkout(repository, second)
    assert at(repository, "refs/gatewright/saved/c1-plan-1", "docs/changes/c1.md") == "half"
    assert verdict["outcome"] == "passed", verdict.text


STANDS_ELSEWHERE: Mapping[str, list[list[str]]] = {
    "another branch ahead": [["switch", "-q", "-c", "feature"], ["commit", "-q", "--allow-empty", "-m", "mine"]],
    "an unrelated branch": [["switch", "-q", "--orphan", "other"], ["commit", "-q", "--allow-empty", "-m", "x"]],
    "detached behind": [["switch", "-q", "--detach", "main~1"]],
    "a branch without a commit": [["switch", "-q", "--orphan", "empty"]],
}


@pytest.mark.parametrize("steps", STANDS_ELSEWHERE.values(), ids=STANDS_ELSEWHERE)
@pytest.mark.slow
async def test_a_checkout_that_does_not_stand_at_the_base_is_left_alone(
    repository: Repository, server: Server, ada: Agent, steps: list[list[str]]
) -> None:
    repository.commit("Second")
    await ada.start()
    for step in steps:
        repository.git(*step)
    before, files_before = persons(repository), files(repository)
    brief = await ada.claim()

    assert not in_checkout(repository, brief)
    assert any("and c1 starts from" in note for note in brief["notes"]), brief.text
    assert (persons(repository), files(repository)) == (before, files_before)


@pytest.mark.parametrize("branch", ["new branch", "detached"])
@pytest.mark.slow
async def test_a_checkout_at_the_same_commit_will_do(
    repository: Repository, server: Server, ada: Agent, branch: str
) -> None:
    repository.git("switch", "-q", *(["-c", "mine"] if branch == "new branch" else ["--detach"]))
    await ada.start()
    plan = await ada.claim()
    verdict = await ada.submit(plan, {"docs/changes/c1.md": PLAN})

    assert in_checkout(repository, plan)
    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_a_checkout_in_the_middle_of_a_merge_is_left_alone_and_none_is_taken_as_work(
    repository: Repository, server: Server, ada: Agent
) -> None:
    repository.git("switch", "-q", "-c", "side")
    repository.commit("Side", calc__py="side\n")
    repository.git("switch", "-q", "main")
    repository.commit("Main", calc__py="main\n")
    await ada.start()
    first = await ada.claim()
    write_all(repository.path, {"docs/changes/c1.md": PLAN})
    with pytest.raises(Exception, match="merge"):
        repository.git("merge", "side")
    refused = await ada.call("submit_artifact", lease=first["lease"], summary="Half a merge.")
    await ada.get("release_stage", lease=first["lease"], because="done_for_now", reason="Merge first.")
    second = await ada.claim()

    assert (refused.code, "A merge is unfinished" in refused.text) == ("bad_artifact", True)
    assert not in_checkout(repository, second)
    assert any("A merge is unfinished" in note for note in second["notes"])


@pytest.mark.slow
async def test_another_landing_meanwhile_is_no_part_of_the_work(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start("First")
    await ada.start("Second")
    await ada.submit(await ada.claim("c1"), {"docs/changes/c1.md": PLAN})
    first = await ada.claim("c1")
    write_all(repository.path, {"mine.py": "mine\n"})
    async with server.agent("bob") as bob:
        plan = await bob.claim("c2")
        await bob.submit(plan, {"docs/changes/c2.md": PLAN})
        await bob.submit(await bob.claim("c2"), {"theirs.py": "theirs\n"})
        await server.landed("c2")
    verdict = await ada.submit(first)
    await server.landed("c1")

    names = repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]).split()
    assert names == ["mine.py"]
    assert repository.files() >= {"mine.py", "theirs.py", "docs/changes/c1.md", "docs/changes/c2.md"}
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
async def test_what_the_agent_committed_in_the_checkout_is_judged_like_the_rest(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    await ada.submit(await ada.claim(), {"docs/changes/c1.md": PLAN})
    code = await ada.claim()
    repository.git("switch", "-q", "-c", "work")
    write_all(repository.path, {"one.py": "1\n"})
    repository.git("add", "one.py")
    repository.git("commit", "-q", "-m", "one")
    verdict = await ada.submit(code, {"two.py": "2\n"})

    names = repository.git("diff", "--name-only", f"{verdict['commit']}^", verdict["commit"]).split()
    assert names == ["one.py", "two.py"]


@pytest.mark.slow
async def test_a_checkout_that_was_switched_away_is_refused_with_the_way_back(
    repository: Repository, server: Server, ada: Agent
) -> None:
    repository.git("branch", "old")
    repository.commit("Second")
    await ada.start()
    brief = await ada.claim()
    repository.git("switch", "-q", "old")
    refused = await ada.call("submit_artifact", lease=brief["lease"], summary="Elsewhere.")
    repository.git("switch", "-q", "main")
    verdict = await ada.submit(brief, {"docs/changes/c1.md": PLAN})

    assert (refused.code, "does not build on it" in refused.text) == ("bad_artifact", True)
    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_what_git_ignored_does_not_enter_when_the_agent_changes_gitignore(
    repository: Repository, server: Server, ada: Agent
) -> None:
    repository.commit("Ignore", __gitignore=".env\nbuild/\n")
    repository.write(".env", "SECRET=1\n")
    repository.write("build/deep/key.pem", "secret\n")
    await ada.start()
    await ada.submit(await ada.claim(), {"docs/changes/c1.md": PLAN})
    code = await ada.claim()
    write_all(repository.path, {".gitignore": "\n", "new.py": "n\n"})
    refused = await ada.call("submit_artifact", lease=code["lease"], summary="Publishes.")
    verdict = await ada.submit(code, {".gitignore": ".env\nbuild/\n*.log\n"})

    assert refused.code == "bad_artifact"
    assert ".env, build/deep/key.pem was there before and git ignored it" in refused.text
    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_a_local_change_over_what_landed_holds_the_landing_and_loses_nothing(make: Repositories) -> None:
    repository = make(here(solo()))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        write_all(repository.path, {"new.py": "judged\n"})
        await ada.get("submit_artifact", lease=brief["lease"], summary="x", wait_s=0)
        repository.write("new.py", "edited since\n")
        record = await server.until("c1", lambda r: r.landing and r.landing.step is LandingStep.BLOCKED)
        kept = repository.read("new.py")
        repository.write("new.py", "judged\n")
        await server.landed("c1")

    assert kept == "edited since\n"
    assert record.landing is not None
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
async def test_a_bare_repository_has_no_checkout_to_work_in(tmp_path: Path, make: Repositories) -> None:
    repository = make(here(solo()))
    repository.git("config", "core.bare", "true")
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()

    assert not in_checkout(repository, brief)
    assert any("has no checkout of its own" in note for note in brief["notes"])


@pytest.mark.slow
async def test_a_claim_repeated_stays_in_the_checkout_and_the_lease_is_found_there(
    repository: Repository, server: Server, ada: Agent
) -> None:
    await ada.start()
    first = await ada.claim(key="k")
    write_all(repository.path, {"docs/changes/c1.md": PLAN})
    again = await ada.claim(key="k")

    assert in_checkout(repository, again)
    found = server.services.workspaces.find_lease(repository.path)
    assert found == first["lease"] == again["lease"]
