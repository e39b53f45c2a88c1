"""A verdict is served again only where a gate would be run on the same bytes, under the same rules, as it was."""

from pathlib import Path

import pytest

from gatewright.gates.sandbox import FORCED_VARIABLE

from .conftest import Repositories
from .house import Agent, Server, Told, serving, solo, write_all
from .test_submitting import git_in

pytestmark = pytest.mark.anyio

LOOKS = "git log -1 --format=%s | grep -q ^Good"
HIDDEN = f"$(echo g)it {LOOKS.removeprefix('git ')}"
WORK = {"new.txt": "new"}


async def checked(agent: Agent, brief: Told) -> dict[str, bool]:
    """Whether each gate's verdict was served again."""
    verdict = await agent.get("check_gates", lease=brief["lease"])
    return {gate["gate"]: gate["cached"] for gate in verdict["gates"]}


async def claimed(agent: Agent) -> Told:
    await agent.start()
    brief = await agent.claim()
    write_all(Path(brief["workspace"]), WORK)
    return brief


@pytest.mark.slow
async def test_an_unchanged_tree_is_not_judged_twice(server: Server, ada: Agent) -> None:
    brief = await claimed(ada)

    assert (await checked(ada, brief))["ok"] is False
    assert (await checked(ada, brief))["ok"] is True


@pytest.mark.slow
async def test_a_pass_at_another_level_of_isolation_is_not_served(
    server: Server, ada: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passed with the network and the home in reach may not pass without."""
    monkeypatch.setenv(FORCED_VARIABLE, "process")
    brief = await claimed(ada)
    await checked(ada, brief)
    monkeypatch.setenv(FORCED_VARIABLE, "files")

    assert (await checked(ada, brief))["ok"] is False


@pytest.mark.slow
async def test_a_pass_with_other_folders_in_reach_is_not_served(
    server: Server, ada: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATEWRIGHT_READABLE", str(tmp_path))
    brief = await claimed(ada)
    await checked(ada, brief)
    monkeypatch.delenv("GATEWRIGHT_READABLE")

    assert (await checked(ada, brief))["ok"] is False


@pytest.mark.slow
@pytest.mark.parametrize("options", [f"run: '{LOOKS}'", f"run: '{HIDDEN}', history: true"])
async def test_a_gate_that_looks_at_history_judges_each_commit(make: Repositories, options: str) -> None:
    """Two commits of one tree have messages of their own, and a way of their own to it."""
    async with serving(make(solo(f"{{command: {{name: messages, {options}}}}}"))) as server, server.agent() as ada:
        brief = await claimed(ada)
        git_in(brief, "add", "-A")
        git_in(brief, "commit", "-q", "-m", "Good")
        passed = await ada.get("check_gates", lease=brief["lease"])
        git_in(brief, "commit", "-q", "--amend", "-m", "Bad")
        verdict = await ada.submit(brief)

    assert passed["outcome"] == "passed", passed.text
    assert verdict["outcome"] == "failed", verdict.text
