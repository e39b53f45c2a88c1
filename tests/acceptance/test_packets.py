"""What the next holder is told: what another stage found wrong, and work that lies about, with words that adopt it."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatewright.gates.machine.commands import Reopen

from .conftest import Repositories
from .house import PLAN, Agent, Clock, Repository, Server, Told, serving, staged, write_all

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SUB = {"sub.py": "def sub(a, b):\n    return a - b\n"}
LEASE_S = 900.0
# With a stage after `code`, so that nothing lands while `code` is opened again.
SHIPPED = staged().replace(
    "land: {needs: [code]",
    "  ship:\n    needs: [code]\n    gates: [document: {path: NEWS.md, sections: [New]}]\nland: {needs: [ship]",
)
NEWS = {"NEWS.md": "# New\n\nIt subtracts.\n"}


def adopted(brief: Told, how: str) -> None:
    """Do in the workspace what the brief says between backquotes."""
    (command,) = re.findall("`(.*?)`", how)
    subprocess.run(["sh", "-ec", command], cwd=brief["workspace"], check=True, capture_output=True)


def handed_in(how: str) -> str:
    """The commit that the brief says to hand in as it is."""
    (commit,) = re.findall(r'submit_artifact\(commit="([0-9a-f]+)"\)', how)
    return str(commit)


def files_of(brief: Told) -> Mapping[str, str]:
    """What the workspace of a brief has, its `.git` left out."""
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=brief["workspace"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name: Path(brief["workspace"], name).read_text() for name in tracked.stdout.split()}


async def until_code(agent: Agent) -> tuple[str, Told]:
    """A change whose plan has passed, and the brief of its code."""
    change = await agent.start()
    await agent.pass_stage({f"docs/changes/{change}.md": PLAN})
    return change, await agent.claim(change)


async def test_a_spec_conflict_is_a_finding_of_the_earlier_stage_with_place_and_evidence(make: Repositories) -> None:
    async with serving(make(staged())) as server, server.agent() as ada:
        change, code = await until_code(ada)
        failed = await ada.submit(code, {"broken.txt": "It cannot be done.\n"})
        reason = f"R1 (docs/changes/{change}.md:7) contradicts add()."
        await ada.get("release_stage", lease=code["lease"], because="spec_conflict", reason=reason, stage="plan")

        plan = await ada.claim(change)

    (finding,) = plan["findings"]
    assert plan["stage"] == "plan"
    assert finding["where"] == f"docs/changes/{change}.md:7"
    assert finding["rule"] == "spec-conflict"
    assert failed["commit"] in finding["message"]
    assert f'get_evidence(change="{change}", stage="code", attempt=1)' in finding["message"]
    assert reason in finding["message"]
    assert plan["notes"] == []


async def test_a_spec_conflict_that_names_no_file_is_about_what_the_stage_wrote(make: Repositories) -> None:
    async with serving(make(staged())) as server, server.agent() as ada:
        change, code = await until_code(ada)
        await ada.get("release_stage", lease=code["lease"], because="spec_conflict", reason="No.", stage="plan")

        plan = await ada.claim(change)

    assert [finding["where"] for finding in plan["findings"]] == [f"docs/changes/{change}.md"]


async def taken_over(server: Server, clock: Clock, ada: Agent, late: Mapping[str, object]) -> tuple[str, Told]:
    """ada hands in late, after bob took over; bob's claim is told again."""
    change = await ada.start()
    brief = await ada.claim(change)
    write_all(Path(brief["workspace"]), SUB)
    clock.advance(LEASE_S + 1)
    async with server.agent("bob") as bob:
        await bob.claim(change, key="k")
        refused = await ada.refused("submit_artifact", lease=brief["lease"], summary="Late.", **late)
        assert refused == "lease_lost"
        return change, await bob.claim(change, key="k")


@pytest.mark.parametrize("late", [{}, {"files": SUB}], ids=["workspace", "files"])
async def test_late_work_is_adopted_as_it_is_or_into_the_workspace(
    make: Repositories, clock: Clock, late: Mapping[str, object]
) -> None:
    repository = make()
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada:
        change, brief = await taken_over(server, clock, ada, late)
        orphan = next(orphan for orphan in brief["orphans"] if orphan["note"] == "Late.")

        write_all(Path(brief["workspace"]), {"mine.py": "x = 1\n"})
        adopted(brief, orphan["adopt"])
        assert files_of(brief)["sub.py"] == SUB["sub.py"]
        verdict = await ada.get(
            "submit_artifact", lease=brief["lease"], summary="Adopted.", commit=handed_in(orphan["adopt"])
        )
        await server.landed(change)

    assert verdict["outcome"] == "passed"
    assert verdict["commit"] == orphan["commit"]
    assert "sub.py" in repository.files()


async def test_unsaved_work_of_a_former_holder_is_adopted(make: Repositories, clock: Clock) -> None:
    async with serving(make(), clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        change = await ada.start()
        write_all(Path((await ada.claim(change))["workspace"]), SUB)
        clock.advance(LEASE_S + 1)

        brief = await bob.claim(change)
        (orphan,) = brief["orphans"]
        adopted(brief, orphan["adopt"])
        verdict = await bob.submit(brief)

    assert verdict["outcome"] == "passed"


async def test_a_former_artifact_is_offered_when_its_stage_opens_again(make: Repositories) -> None:
    async with serving(make(SHIPPED)) as server, server.agent() as ada:
        change, code = await until_code(ada)
        first = await ada.submit(code, SUB)
        await server.decide(change, Reopen("code", "person:p", "Look again."))

        brief = await ada.claim(change)
        (offered,) = brief["orphans"]
        again = await ada.get(
            "submit_artifact", lease=brief["lease"], summary="As before.", commit=handed_in(offered["adopt"])
        )

    assert offered["commit"] == first["commit"]
    assert "had passed" in offered["note"]
    assert again["outcome"] == "passed"


async def test_a_former_artifact_is_offered_after_a_new_artifact_of_an_earlier_stage(make: Repositories) -> None:
    repository = make(SHIPPED)
    async with serving(repository) as server, server.agent() as ada:
        change, code = await until_code(ada)
        first = await ada.submit(code, SUB)
        await server.decide(change, Reopen("plan", "person:p", "Say more."))
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN + "\nR2: and more.\n"}, change)

        brief = await ada.claim(change)
        (offered,) = brief["orphans"]
        before = files_of(brief)
        adopted(brief, offered["adopt"])
        verdict = await ada.submit(brief)
        await ada.pass_stage(NEWS, change)
        await server.landed(change)

    assert "sub.py" not in before
    assert offered["commit"] == first["commit"]
    assert "made on another base" in offered["adopt"]
    assert verdict["outcome"] == "passed"
    assert "R2" in repository.git("show", f"main:docs/changes/{change}.md")
    assert repository.git("show", "main:sub.py") == SUB["sub.py"].strip()


async def test_what_was_taken_back_is_offered_to_the_next_holder(make: Repositories, clock: Clock) -> None:
    async with serving(make(), clock=clock, has_engine=False) as server, server.agent("ada") as ada:
        change = await ada.start()
        brief = await ada.claim(change)
        handed = await ada.submit(brief, SUB, wait_s=0)
        for because in ("withdraw", "done_for_now"):
            await ada.get("release_stage", lease=brief["lease"], because=because, reason="Not yet.")

        async with server.agent("bob") as bob:
            (offered,) = (await bob.claim(change))["orphans"]

    assert offered["commit"] == handed["commit"]
    assert "was taken back" in offered["note"]


async def test_a_packet_fits_whatever_was_said(make: Repositories, clock: Clock) -> None:
    """Held by every reply that an agent gets here; this one has much to tell."""
    repository: Repository = make(staged() + "limits: {lease: 15m}\n")
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada:
        change, code = await until_code(ada)
        for number in range(2):
            files = {f"x{number}.py": "x = 1\n", "broken.txt": "x\n"}
            await ada.submit(code, files, summary="Tried. " * 2_000, answers=disputes(number))
        await ada.get(
            "release_stage", lease=code["lease"], because="spec_conflict", reason="Because. " * 2_000, stage="plan"
        )

        plan = await ada.claim(change)

    assert plan["findings"][0]["rule"] == "spec-conflict"


def disputes(number: int) -> list[Mapping[str, str]]:
    return [
        {"finding": f"f{place:07d}", "disposition": "disputed", "note": "No. " * 400} for place in range(40 * number)
    ]
