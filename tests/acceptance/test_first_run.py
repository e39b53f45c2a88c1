"""First-run states and odd repositories: each one clear sentence, nothing lost, and no restart once it is mended."""

from pathlib import Path

import anyio
import pytest

from gatewright.schemas.arguments import TOOLS

from .conftest import Repositories
from .house import Generation, Repository, serving

pytestmark = pytest.mark.anyio

LEASE = "gw1.c1.code.1.AAAAAAAAAAAAAAAAAAAAAA"
CALLS: dict[str, dict[str, object]] = {
    "start_change": {"title": "t", "intent": "i"},
    "claim_stage": {"agent": "ada"},
    "renew_lease": {"lease": LEASE},
    "check_gates": {"lease": LEASE},
    "submit_artifact": {"lease": LEASE, "summary": "x"},
    "wait_for_update": {"wait_s": 0},
    "read_artifact": {"change": "c1"},
    "review_artifact": {"lease": LEASE, "findings": [], "inspected": []},
    "release_stage": {"lease": LEASE, "because": "cannot", "reason": "x"},
    "get_status": {},
    "get_evidence": {"change": "c1", "stage": "code"},
}


class Bare(Repository):
    """A repository known by its git folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def common_dir(self) -> Path:
        return self.path


@pytest.mark.slow
async def test_without_init_every_tool_says_so_and_after_it_works_without_a_restart(
    make: Repositories, generation: Generation
) -> None:
    repository = make(is_set_up=False)
    async with serving(repository) as server, server.agent("ada", generation) as ada:
        assert set(CALLS) == set(TOOLS)
        for tool, given in CALLS.items():
            told = await ada.call(tool, **given)
            assert told.code == "policy_missing", told.text
            assert told["message"] == "gatewright is not set up in this repository."
            assert "`gatewright init`" in told["next"]
        assert not repository.state.exists(), "looking makes no second, empty store"
        repository.set_up()
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        services = await server.application.services()
        with anyio.fail_after(20):
            while (await ada.get("get_status", change=change))["changes"][0]["state"] != "landed":
                await ada.get("wait_for_update", change=change, wait_s=1)
        await services.run(lambda tx: None)

    assert repository.files() >= {"a.txt"}


async def test_a_malformed_call_is_told_so_before_anything_else(make: Repositories, generation: Generation) -> None:
    async with serving(make(is_set_up=False)) as server, server.agent("ada", generation) as ada:
        assert (await ada.call("get_status", stagee="code")).code == "bad_argument"


async def test_a_branch_without_a_commit_has_no_policy(tmp_path: Path) -> None:
    await anyio.run_process(["git", "init", "-q", "-b", "main", str(tmp_path / "empty")])
    repository = Bare(tmp_path / "empty/.git")
    repository.set_up()
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        told = await ada.call("start_change", title="t", intent="i")
        status = await ada.get("get_status")

    assert told.code == "policy_missing"
    assert "'main'" in told["message"]
    assert status["changes"] == []


@pytest.mark.slow
async def test_a_detached_head_and_a_dirty_tree_do_not_matter(make: Repositories) -> None:
    repository = make()
    repository.git("checkout", "-q", "--detach")
    repository.write("calc.py", "# half a thought\n")
    repository.write("new.py", "# untracked\n")
    before = repository.checkout_bytes(), repository.git("status", "--porcelain")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        await server.landed(change)

    assert (repository.checkout_bytes(), repository.git("status", "--porcelain")) == before
    assert "a.txt" in repository.files("main")
    assert not repository.has("a.txt")


@pytest.mark.slow
async def test_a_bare_repository_has_workspaces_and_landings_too(make: Repositories, tmp_path: Path) -> None:
    make().git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    shared = Bare(tmp_path / "bare.git")
    shared.set_up()
    async with serving(shared) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        record = await server.landed(change)

    assert record.landed_commit == shared.git("rev-parse", "main")


async def test_every_worktree_finds_the_same_store(make: Repositories) -> None:
    """Never a second, empty store, whichever checkout a client was started in."""
    repository = make()
    repository.git("worktree", "add", "-q", "-b", "side", "../side")
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        change = await ada.start()
    found = await anyio.run_process(["git", "rev-parse", "--git-common-dir"], cwd=repository.path.parent / "side")
    common_dir = Path(found.stdout.decode().strip())
    elsewhere = Bare(common_dir)
    async with serving(elsewhere, has_engine=False) as desk, desk.agent("bob") as bob:
        status = await bob.get("get_status")

    assert [told["change"] for told in status["changes"]] == [change]
    assert common_dir == repository.common_dir


@pytest.mark.slow
async def test_a_target_that_is_checked_out_elsewhere_is_brought_along_there(make: Repositories) -> None:
    repository = make()
    repository.git("switch", "-q", "-c", "mine")
    repository.git("worktree", "add", "-q", "../main", "main")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        await server.landed(change)

    side = repository.path.parent / "main"
    assert (side / "a.txt").read_text() == "a"
    assert repository.git("status", "--porcelain", cwd=side) == ""
    assert repository.git("status", "--porcelain", "--branch") == "## mine"


async def test_a_trusted_branch_that_is_gone_is_told_and_nothing_is_lost(make: Repositories) -> None:
    repository = make()
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        change = await ada.start()
        repository.git("switch", "-q", "-c", "other")
        repository.git("branch", "-q", "-D", "main")
        told = await ada.call("start_change", title="t", intent="i")
        brief = await ada.claim(change)

    assert told.code == "policy_missing"
    assert brief["stage"] == "code"


async def test_a_database_of_somebody_else_is_told_in_a_sentence(make: Repositories) -> None:
    repository = make(is_set_up=False)
    repository.state.mkdir()
    (repository.state / "state.db").write_bytes(b"This is no database at all, but it is long enough to be one." * 99)
    async with serving(repository, has_engine=False) as desk, desk.agent() as ada:
        told = await ada.call("get_status")

    assert told.code == "store_unavailable"
    assert "state.db" in told["message"]
