"""Landing: what lands is what was judged, on the target as it is at that moment, and whatever crashes in between."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from gatewright.gates.machine.commands import Cancel
from gatewright.gates.machine.decision import LANDING_FAILURES_MAX
from gatewright.schemas.records import ChangeState, LandingStep, StageState
from gatewright.schemas.refusals import Refused
from gatewright.server.engine import landing

from .conftest import Repositories
from .house import OK_GATE, PLAN, Agent, Repository, Server, Told, serving, solo, staged, write_all

pytestmark = pytest.mark.anyio

# Finds nothing wrong with one text alone.
TOGETHER = (
    "{command: {name: together, report: lines, "
    "run: \"if test $(ls | grep -c txt) -gt 1; then echo 'b.txt:1: red together'; exit 1; fi\"}}"
)


class Crash(Exception):
    """Stands in for the end of the server at exactly this place."""


@pytest.mark.slow
async def test_a_target_that_moved_meanwhile_is_merged_and_the_merge_is_judged(
    server: Server, ada: Agent, repository: Repository
) -> None:
    change = await ada.start()
    brief = await ada.claim()
    ahead = repository.commit("Somebody else's work", other__txt="other")
    await ada.submit(brief, {"a.txt": "a"})
    record = await server.landed(change)
    evidence = await ada.get("get_evidence", change=change, stage="land")

    assert record.landed_commit == repository.tip()
    assert {"a.txt", "other.txt"} <= repository.files()
    assert repository.git("merge-base", ahead, "main") == ahead
    assert record.landing is not None
    assert record.landing.tree == repository.tree(), "the landed tree is the judged tree (I11)"
    assert (evidence["commit"], evidence["gates"][0]["gate"]) == (repository.tip(), "ok")
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("log", "-1", "--format=%s") == f"Land {change}: Add sub"


@pytest.mark.slow
async def test_squash_lands_one_commit_with_the_judged_tree(make: Repositories) -> None:
    repository = make(solo().replace("strategy: merge", "strategy: squash"))
    before = repository.tip()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        verdict = await ada.pass_stage({"a.txt": "a"})
        await server.landed(change)

    assert repository.git("rev-list", f"{before}..main").split() == [repository.tip()]
    assert repository.tree() == repository.tree(verdict["commit"])


@pytest.mark.slow
async def test_what_is_green_alone_and_red_together_does_not_land(make: Repositories) -> None:
    repository = make(solo(TOGETHER))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start("First")
        await ada.start("Second")
        second = await ada.claim("c2")
        await ada.pass_stage({"a.txt": "a"}, "c1")
        await server.landed("c1")
        tip = repository.tip()
        verdict = await ada.submit(second, {"b.txt": "b"})
        assert verdict["outcome"] == "passed", "alone it is green"
        record = await server.until("c2", lambda r: r.stage("code").state is StageState.OPEN)
        again = await ada.claim("c2")
        news = await ada.get("wait_for_update", change="c2", after=0, wait_s=0)

    assert repository.tip() == tip
    assert record.state is ChangeState.ACTIVE
    assert any("together failed on the merge" in note for note in again["notes"]), again.text
    assert any("landing was given up" in text for text in news["happened"])


THEIRS = "def add(a, b):\n    return b + a\n"
CALC = "def add(a, b):\n    return a + b\n"
OURS = "def add(a, b):\n    return sum((a, b))\n"
BOTH = "def add(a, b):\n    return sum((b, a))\n"


async def handed_back(repository: Repository, server: Server, ada: Agent) -> Told:
    """The brief of a stage whose work conflicted with the target when it was to land."""
    change = await ada.start()
    brief = await ada.claim()
    repository.commit("Theirs", calc__py=THEIRS)
    await ada.submit(brief, {"calc.py": OURS})
    await server.until(change, lambda r: r.stage("code").state is StageState.OPEN)
    return await ada.claim(change)


@pytest.mark.parametrize(
    "how",
    ["workspace", *(pytest.param(how, marks=pytest.mark.slow) for how in ("files", "a merge of the agent's own"))],
)
async def test_a_conflict_with_the_target_is_handed_back_merged_and_can_be_resolved(
    make: Repositories, how: str
) -> None:
    """By whoever can edit a file: neither a sandbox without git nor a client without a file system is in the way."""
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        again = await handed_back(repository, server, ada)
        shown = await ada.get("read_artifact", change=again["change"], stage="code", path="calc.py")
        given: dict[str, Any] = {"lease": again["lease"], "summary": "Both."}
        if how == "files":
            given["files"] = {"calc.py": BOTH}
        else:
            workspace = Path(again["workspace"])
            assert "<<<<<<<" in (workspace / "calc.py").read_text()
            if how != "workspace":
                await anyio.run_process(["git", "reset", "-q", "--hard", again["base_commit"]], cwd=workspace)
                await anyio.run_process(["git", "merge", "-q", "main"], cwd=workspace)
            (workspace / "calc.py").write_text(BOTH)
        verdict = await ada.get("submit_artifact", **given)
        assert verdict["outcome"] == "passed", verdict.text
        await server.landed(again["change"])

    assert any(note.startswith("landing: the merge with 'main' conflicts") for note in again["notes"])
    assert any("resolve the conflict in calc.py" in note for note in again["notes"])
    assert "sum((a, b))" in shown["text"]
    assert "b + a" in shown["text"]
    assert repository.read("calc.py") == BOTH
    assert repository.git("status", "--porcelain") == ""


async def test_conflict_markers_that_were_left_do_not_pass(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        again = await handed_back(repository, server, ada)
        verdict = await ada.submit(again, {"other.py": "x = 1\n"})
        assert verdict["outcome"] == "failed"
        mended = await ada.submit(again, {"calc.py": BOTH})
        assert mended["outcome"] == "passed", mended.text
        await server.landed(again["change"])

    assert any(finding["rule"] == "conflict" for finding in verdict["findings"]), verdict.text
    assert repository.read("other.py") == "x = 1\n"


@pytest.mark.slow
async def test_where_a_conflict_cannot_be_marked_a_person_decides_about_one_side_alone(make: Repositories) -> None:
    """Whoever overlooks it would take back what has landed."""
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        repository.commit("Theirs", picture__png="\0theirs")
        await ada.submit(brief, {"picture.png": "\0ours"})
        await server.until(change, lambda r: r.stage("code").state is StageState.OPEN)
        again = await ada.claim(change)
        verdict = await ada.submit(again, {"other.py": "x = 1\n"})
        status = await ada.get("get_status", change=change)

    assert any("picture.png" in note for note in again["notes"])
    assert verdict["outcome"] == "pending", verdict.text
    assert [(f["where"], f["rule"]) for f in verdict["findings"]] == [("picture.png", "conflict")], verdict.text
    assert status["waiting_for_people"]
    assert repository.read("picture.png") == "\0theirs"


@pytest.mark.slow
async def test_local_changes_that_overlap_hold_the_landing_up_until_they_are_gone(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.claim()
        repository.write("calc.py", "# half a thought\n")
        lease = server.services.leases.token(change, "code", 1)
        before = repository.tip(), repository.checkout_bytes()
        await ada.get("submit_artifact", lease=lease, summary="x", files={"calc.py": "x = 1\n"})
        record = await server.until(change, lambda r: r.landing is not None and r.landing.step is LandingStep.BLOCKED)
        status = await ada.get("get_status", change=change)
        assert (repository.tip(), repository.checkout_bytes()) == before
        assert repository.read("calc.py") == "# half a thought\n"
        repository.git("checkout", "-q", "--", "calc.py")
        await server.landed(change)

    assert record.state is ChangeState.ACTIVE
    assert "calc.py" in status["waiting_for_people"][0]
    assert "checked out" in status["waiting_for_people"][0]
    assert repository.read("calc.py") == "x = 1\n"
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
async def test_local_changes_that_do_not_overlap_stay_as_they_are(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        repository.write("calc.py", "# half a thought\n")
        await ada.submit(brief, {"a.txt": "a"})
        await server.landed(change)

    assert repository.git("status", "--porcelain") == "M calc.py"
    assert repository.read("calc.py") == "# half a thought\n"
    assert repository.read("a.txt") == "a"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["move_target", "bring_along"])
async def test_a_crash_around_the_move_of_the_target_converges(
    make: Repositories, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Before the move, or between the move and its record: the next server finds out which, and lands exactly once."""
    repository = make()

    def crash(*_: object, **__: object) -> None:
        raise Crash

    async def work_until_the_crash() -> None:
        async with serving(repository) as server:
            monkeypatch.setattr(server.services.repository, where, crash)
            async with server.agent() as ada:
                await ada.start()
                await ada.pass_stage({"a.txt": "a"})
                await server.landed("c1")

    with pytest.raises(ExceptionGroup) as raised:
        await work_until_the_crash()
    assert raised.group_contains(Crash, depth=None)
    monkeypatch.undo()

    async with serving(repository) as server:
        record = await server.landed("c1")

    assert record.state is ChangeState.LANDED
    assert record.landed_commit == repository.tip()
    assert record.landings == 1
    assert repository.git("log", "--format=%s", "--grep=Land c1").splitlines() == ["Land c1: Add sub"]
    assert repository.read("a.txt") == "a"
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
async def test_a_target_that_moves_between_the_intent_and_the_move_is_merged_again(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare-and-swap: nobody else's commit is ever lost."""
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        shared = server.services.repository
        move = shared.move_target

        def lose_once(*given: Any, **named: Any) -> bool:  # noqa: ANN401 - it stands in for a method
            monkeypatch.undo()
            repository.commit("In between", between__txt="x")
            return move(*given, **named)

        monkeypatch.setattr(shared, "move_target", lose_once)
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        record = await server.landed(change)

    assert record.landings == 2
    assert {"a.txt", "between.txt"} <= repository.files()
    assert repository.git("log", "--format=%s", "--grep=In between") == "In between"


@pytest.mark.slow
async def test_a_git_command_in_the_persons_checkout_is_waited_for_after_the_move(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left behind, the checkout would seem to take back what has landed."""
    repository = make()
    lock = repository.common_dir / "index.lock"
    tries = 0
    async with serving(repository) as server, server.agent() as ada:
        move = server.services.repository.move_target

        def move_beside_a_command(*given: Any, **named: Any) -> bool:  # noqa: ANN401 - it stands in for a method
            nonlocal tries
            tries += 1
            if tries == 1:
                lock.touch()
            else:
                lock.unlink()
            return move(*given, **named)

        monkeypatch.setattr(server.services.repository, "move_target", move_beside_a_command)
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        await server.landed(change)

    assert tries == 2
    assert repository.read("a.txt") == "a"
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
async def test_a_repository_that_cannot_be_written_keeps_the_landing_and_the_server_alive(make: Repositories) -> None:
    """Somebody's git holds the branch's lock: other changes go on, and the landing does when the lock is gone."""
    repository = make()
    lock = repository.common_dir / "refs/heads/main.lock"
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        await ada.start()
        lock.touch()
        await ada.pass_stage({"a.txt": "a"}, "c1")
        await server.until("c1", lambda r: r.landing is not None and r.landing.new is not None)
        await ada.pass_stage({"b.txt": "b"}, "c2")
        # After the intent nobody can take the change back.
        for given in ({"change": "c1"}, {"change": "c1", "stage": "code"}):
            assert await ada.refused("claim_stage", agent="ada", **given) == "change_landing"
        with pytest.raises(Refused, match="change_landing"):
            await server.decide("c1", Cancel("person:eve", "Too late."))
        lock.unlink()
        await server.landed("c1")
        await server.landed("c2")

    assert {"a.txt", "b.txt"} <= repository.files()


@pytest.mark.slow
async def test_a_defect_of_ours_in_a_landing_ends_with_a_person_and_not_in_a_loop(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I10: every automatic loop is finite, also the one around our own mistakes."""
    tries = 0

    def fail(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise KeyError("a defect")

    monkeypatch.setattr(landing, "STARTS_MAX", 1)
    monkeypatch.setattr(landing, "merge_with_target", fail)
    tip = repository.tip()
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({"a.txt": "a"})
        record = await server.until(change, lambda r: r.stage("code").state is StageState.ESCALATED)

    assert tries == record.landing_failures == LANDING_FAILURES_MAX
    assert repository.tip() == tip


@pytest.mark.slow
async def test_a_change_of_the_policy_judges_a_finished_change_again_before_it_lands(make: Repositories) -> None:
    """The policy of the target's tip must be the one that judged; else everything is judged by the new one first."""
    repository = make(staged())
    strict = staged(OK_GATE, '{command: {name: strict, run: "test ! -e a.txt"}}')
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        code = await ada.claim()
        repository.commit("Be strict", gatewright__yaml=strict)
        verdict = await ada.submit(code, {"a.txt": "a"})
        assert verdict["outcome"] == "passed", "it was judged by the policy that it began with"
        record = await server.until(change, lambda r: r.stage("code").state is StageState.OPEN)
        assert record.stage("plan").state is StageState.PASSED, "carried, judged again, and passed again"
        again = await ada.claim()
        assert {gate["gate"] for gate in again["gates"]} == {"scope", "ok", "strict"}
        assert any("strict" in found["gate"] for found in again["findings"]), again.text
        await ada.submit(again, {"a.txt": None, "b.txt": "b"})
        await server.landed(change)

    assert "a.txt" not in repository.files()
    assert "b.txt" in repository.files()


@pytest.mark.slow
async def test_a_target_whose_policy_is_broken_holds_the_landing_up_with_a_sentence(make: Repositories) -> None:
    repository = make()
    good = repository.read("gatewright.yaml")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        repository.commit("Break", gatewright__yaml="version: 1\nstages: {}\n")
        await ada.submit(brief, {"a.txt": "a"})
        await server.until(change, lambda r: r.landing is not None and r.landing.step is LandingStep.BLOCKED)
        status = await ada.get("get_status", change=change)
        repository.commit("Mend", gatewright__yaml=good)
        await server.landed(change)

    assert "does not load" in status["waiting_for_people"][0]


@pytest.mark.slow
async def test_landing_is_the_servers_no_agents_commit_moves_the_target(server: Server, repository: Repository) -> None:
    """What did not pass is nowhere on the target, however often it was handed in."""
    tip = repository.tip()
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        for number in range(3):
            verdict = await ada.submit(brief, {"broken.txt": str(number)})
            assert verdict["outcome"] == "failed"
        status = await ada.get("get_status")

    assert repository.tip() == tip
    assert status["changes"][0]["stages"][0]["state"] == "escalated"
    assert (
        "3 attempts failed" in status["waiting_for_people"][0] or "3 times running" in status["waiting_for_people"][0]
    )


@pytest.mark.parametrize("writes", ["**", pytest.param("calc.py", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "how",
    ["strategy ours", *(pytest.param(how, marks=pytest.mark.slow) for how in ("files of before", "tree of before"))],
)
async def test_a_merge_that_takes_back_what_has_landed_does_not_pass(make: Repositories, how: str, writes: str) -> None:
    """Whatever the stage may write. What git makes of both sides by itself passes."""
    repository = make(solo().replace("goal: ", f'writes: ["{writes}"]\n    goal: '))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.commit("Theirs", other__txt="theirs\n", calc__py="# Sums\n" + CALC)
        workspace = Path(brief["workspace"])
        (workspace / "calc.py").write_text(CALC + OURS)
        repository.git("commit", "-qam", "Ours", cwd=workspace)
        if how == "strategy ours":
            repository.git("merge", "-q", "-s", "ours", "main", cwd=workspace)
        elif how == "files of before":
            repository.git("merge", "-q", "--no-ff", "-m", "Merge", "main", cwd=workspace)
            repository.git("checkout", "-q", "HEAD^1", "--", ".", cwd=workspace)
            (workspace / "other.txt").unlink()
        else:
            repository.git("reset", "-q", "--soft", "main", cwd=workspace)
        verdict = await ada.submit(brief, {})
        repository.git("checkout", "-q", "main", "--", "other.txt", cwd=workspace)
        mended = await ada.submit(brief, {"calc.py": "# Sums\n" + CALC + OURS})

    assert verdict["outcome"] == "failed", verdict.text
    assert {finding["where"] for finding in verdict["findings"]} == {"other.txt", "calc.py"}, verdict.text
    assert mended["outcome"] == "passed", mended.text


async def test_whoever_merges_the_target_with_care_is_not_blamed(make: Repositories) -> None:
    """What was altered on top of it, or resolved in any order, is work; what is missing without a reason is told."""
    repository = make()
    ends = "def neg(a):\n    return -a\n"
    theirs = "# Sums\n" + CALC + "\n\n" + ends
    cases: dict[str, tuple[dict[str, str | None], set[str]]] = {
        "as git merges it": ({"mine.py": "x = 1\n"}, set()),
        "altered on top": ({"calc.py": theirs.replace("a + b", "sum((a, b))")}, set()),
        "their own lines altered": ({"calc.py": theirs.replace("# Sums", "# Sums of numbers")}, set()),
        "mine first": ({"calc.py": "# Sums\n" + CALC + "\n\n" + OURS + "\n\n" + ends}, set()),
        "moved": ({"calc.py": None, "sums/calc.py": theirs}, set()),
        "without their heading": ({"calc.py": theirs.removeprefix("# Sums\n")}, {"calc.py"}),
        "without their file": ({"other.txt": None, "mine.py": "x = 1\n"}, {"other.txt"}),
    }
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.commit("Theirs", other__txt="theirs\n", calc__py=theirs)
        workspace = Path(brief["workspace"])
        repository.git("merge", "-q", "main", cwd=workspace)
        told = {}
        for name, (files, _) in cases.items():
            write_all(workspace, files)
            verdict = await ada.get("check_gates", lease=brief["lease"], wait_s=20)
            told[name] = {finding["where"] for finding in verdict["findings"]}
            repository.git("reset", "-q", "--hard", "main", cwd=workspace)
            repository.git("clean", "-qfd", cwd=workspace)

    assert told == {name: expected for name, (_, expected) in cases.items()}
