"""An agent that works through the MCP SDK's own client: stdio to the bridge, tools, and the files of its workspace."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from edits import Edit, apply
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

PLAN = "# Goal\n\n{title}\n\n# Requirements\n\n- R1: {title}.\n"
VERDICT_TIMEOUT_S = 600.0
LANDING_TIMEOUT_S = 300.0
POLL_WAIT_S = 30

Data = Mapping[str, Any]  # structured content: JSON whose shapes are the tools' output schemas


class RefusedCall(Exception):
    """The server refused a call that should have gone well; says why."""


@dataclass(frozen=True)
class Agent:
    """One agent's connection."""

    client: Client
    name: str

    async def start(self, title: str) -> str:
        """Start a change and take it through its plan; returns the change's id."""
        change = str((await self.call("start_change", title=title, intent=f"{title}, with tests."))["change"])
        brief = await self.claim(change, "plan")
        plan = Path(brief["workspace"]) / "docs" / "changes" / f"{change}.md"
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.write_text(PLAN.format(title=title))
        verdict = await self.submit(brief, f"Plan: {title}")
        if verdict["outcome"] != "passed":
            raise RefusedCall(f"The plan of {change} did not pass: {verdict}")
        return change

    async def claim(self, change: str, stage: str) -> Data:
        """The brief of the stage."""
        brief = await self.call("claim_stage", agent=self.name, change=change, stage=stage, wait_s=POLL_WAIT_S)
        if not brief["lease"]:
            raise RefusedCall(f"{stage} of {change} cannot be claimed: {brief['why']}")
        return brief

    async def work(self, brief: Data, edits: Sequence[Edit], summary: str) -> Data:
        """Edit the files of the workspace and hand them in; returns the verdict."""
        apply(edits, Path(brief["workspace"]))
        return await self.submit(brief, summary)

    async def submit(self, brief: Data, summary: str) -> Data:
        """Hand in what is in the workspace; returns the verdict when there is one."""
        verdict = await self.call("submit_artifact", lease=brief["lease"], summary=summary)
        with anyio.fail_after(VERDICT_TIMEOUT_S):
            while verdict["state"] == "running":
                verdict = await self.call("wait_for_update", evaluation=verdict["evaluation"], wait_s=POLL_WAIT_S)
        return verdict

    async def wait_for_landing(self, change: str) -> Data:
        """Wait until the change has landed, or cannot by itself; returns its status."""
        position = 0
        status: Data = {}
        with anyio.move_on_after(LANDING_TIMEOUT_S):
            while not (status and _is_at_rest(status)):
                update = await self.call("wait_for_update", change=change, after=position, wait_s=POLL_WAIT_S)
                position = update["position"]
                status = (await self.call("get_status", change=change))["changes"][0]
        return status

    async def call(self, tool: str, **arguments: object) -> Data:
        """The structured content of the answer. Raises `RefusedCall`."""
        result = await self.client.call_tool(tool, arguments)
        data: Data = result.structured_content or {}
        if result.is_error:
            raise RefusedCall(f"{tool}: {data.get('message', data)}")
        return data


@asynccontextmanager
async def connected(gatewright: Path, repository: Path, environment: Mapping[str, str]) -> AsyncGenerator[Agent]:
    """An agent whose client has started gatewright in the repository."""
    server = StdioServerParameters(command=str(gatewright), args=[], cwd=str(repository), env=dict(environment))
    async with Client(stdio_client(server)) as client:
        yield Agent(client, "ada")


def _is_at_rest(status: Data) -> bool:
    """Whether nothing more happens to the change until an agent or a person does something."""
    is_on_its_way = status["state"] in {"active", "landing"} and all(s["state"] == "passed" for s in status["stages"])
    return not is_on_its_way or str(status["landing"]).startswith(("asking", "blocked"))
