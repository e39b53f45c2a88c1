"""Agents on machines of their own, servers that share nothing but the store and a git remote."""

from pathlib import Path

import pytest

from .house import staged
from .team import Team

pytestmark = pytest.mark.anyio


async def test_a_change_goes_from_its_plan_to_the_target_by_way_of_two_machines(tmp_path: Path) -> None:
    team = Team(tmp_path / "team", staged())
    ada, bob = team.clone("ada"), team.clone("bob")
    async with team.serving() as server, server.agent("ada") as planner, server.agent("bob") as coder:
        change = await planner.start()
        plan = await planner.claim(change, "plan")
        ada.follow(plan, docs_of_changes_of_c1__md="# Goal\n\nSubtract.\n\n# Requirements\n\nR1: it does.\n")
        planned = await planner.get("submit_artifact", lease=plan["lease"], summary="The plan.")
        code = await coder.claim(change, "code")
        bob.follow(code, sub__py="def sub(a, b):\n    return a - b\n")
        coded = await coder.get("submit_artifact", lease=code["lease"], summary="The code.")
        record = await server.landed(change)

    assert (planned["outcome"], coded["outcome"]) == ("passed", "passed")
    assert team.tip() == record.landed_commit
    assert {"sub.py", "docs/changes/c1.md"} <= team.files()
