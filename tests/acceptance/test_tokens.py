"""What gatewright costs an agent in tokens: a brief, a verdict, and a change of two stages (docs/performance.md).

Counted in the larger of a reply's two forms, since a client shows its model the one or the other, at four characters a
token. `test_surface.py` counts the tools.
"""

import json
from collections.abc import Mapping

import pytest

from .conftest import Repositories
from .house import PLAN, Agent, Clock, Told, serving, staged
from .test_surface import CHARS_PER_TOKEN

pytestmark = pytest.mark.anyio

BRIEF_TOKENS_MAX = 300
PASSED_TOKENS_MAX = 220
FAILED_TOKENS_MAX = 310
# With one submission that fails: seven calls and their replies, without the files that an agent writes.
CHANGE_TOKENS_MAX = 1_800


@pytest.mark.slow
async def test_a_brief_a_verdict_and_a_change_of_two_stages_cost_few_tokens(make: Repositories) -> None:
    async with serving(make(staged()), clock=Clock()) as server, server.agent() as ada:
        counted = Counted(ada)
        change = (await counted.call("start_change", title="Add sub", intent="Add a function that subtracts."))[
            "change"
        ]
        plan = await counted.call("claim_stage", agent="ada")
        failed = await counted.submit(plan, f"docs/changes/{change}.md", "# Goal\n\nSubtract.\n")
        passed = await counted.submit(plan, f"docs/changes/{change}.md", PLAN)
        code = await counted.call("claim_stage", agent="ada", change=change)
        last = await counted.submit(code, "sub.py", "def sub(a, b):\n    return a - b\n")
        await server.landed(change)
        await counted.call("get_status", change=change)

    assert (failed["outcome"], passed["outcome"], last["outcome"]) == ("failed", "passed", "passed")
    taken = {
        "brief": max(tokens_of(plan), tokens_of(code)),
        "passed": max(tokens_of(passed), tokens_of(last)),
        "failed": tokens_of(failed),
        "change": counted.tokens,
    }
    at_most = {
        "brief": BRIEF_TOKENS_MAX,
        "passed": PASSED_TOKENS_MAX,
        "failed": FAILED_TOKENS_MAX,
        "change": CHANGE_TOKENS_MAX,
    }
    assert not {name: count for name, count in taken.items() if count > at_most[name]}, taken


class Counted:
    """An agent whose calls and replies are counted."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.tokens = 0.0

    async def call(self, tool: str, **given: str) -> Told:
        told = await self._agent.get(tool, **given)
        self._count(given, told)
        return told

    async def submit(self, brief: Told, path: str, text: str) -> Told:
        """Hand in a file that was written into the workspace; what it holds is the agent's own."""
        told = await self._agent.submit(brief, {path: text}, summary="Work.")
        self._count({"lease": brief["lease"], "summary": "Work."}, told)
        return told

    def _count(self, given: Mapping[str, str], told: Told) -> None:
        self.tokens += len(json.dumps(given)) / CHARS_PER_TOKEN + tokens_of(told)


def tokens_of(told: Told) -> float:
    """The larger of both forms."""
    content = json.dumps(told.content, separators=(",", ":"), ensure_ascii=False)
    return max(len(told.text), len(content)) / CHARS_PER_TOKEN
