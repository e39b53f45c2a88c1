"""Point a person at the command that approves, in clients that can show a question (elicitation).

A pointer, never a channel: the form has no field, and whatever the client answers is thrown away, because it is the
client that answers and not the person. The agent's reply does not wait for it. Clients that speak a generation of the
protocol without requests by the server are told by the reply's `next` alone, as everybody is.
"""

import logging
from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession

POINTERS_OPEN_MAX = 8
POINTER_TIMEOUT_S = 600.0
EVALUATIONS_REMEMBERED_MAX = 1_000
NO_FIELDS: types.ElicitRequestedSchema = {"type": "object", "properties": {}}

log = logging.getLogger(__name__)


class Pointing:
    """Shows each evaluation's question once, at most `POINTERS_OPEN_MAX` at a time; `work` runs beside the calls."""

    def __init__(self) -> None:
        self._wanted: MemoryObjectSendStream[tuple[ServerSession, str]] | None = None
        self._shown: dict[str, None] = {}

    def point(self, context: ServerRequestContext[Any], result: types.CallToolResult) -> None:
        """Show a pointer when the reply waits for an approval; it neither waits nor raises."""
        text = pointer_of(result.structured_content or {})
        client = context.session.client_params
        if text is None or text in self._shown or client is None or client.capabilities.elicitation is None:
            return
        if self._wanted is None:
            return
        if len(self._shown) >= EVALUATIONS_REMEMBERED_MAX:
            self._shown.pop(next(iter(self._shown)))
        self._shown[text] = None
        try:
            self._wanted.send_nowait((context.session, text))
        except anyio.WouldBlock:
            log.info("too many questions are open already")

    async def work(self) -> None:
        """Show what is wanted, until cancelled."""
        limiter = anyio.CapacityLimiter(POINTERS_OPEN_MAX)
        send, wanted = anyio.create_memory_object_stream[tuple[ServerSession, str]](POINTERS_OPEN_MAX)
        try:
            async with send, wanted, anyio.create_task_group() as tasks:
                self._wanted = send
                async for session, text in wanted:
                    tasks.start_soon(_show, session, text, limiter)
        finally:
            self._wanted = None


def pointer_of(reply: Mapping[str, Any]) -> str | None:
    """What to show a person about a verdict that waits for an approval; None for every other reply."""
    gates = reply.get("gates")
    if reply.get("outcome") != "pending" or not isinstance(gates, list) or reply.get("dry_run"):
        return None
    waiting = [g["gate"] for g in gates if g.get("unit") == "approvals" and g.get("outcome") == "pending"]
    if not waiting:
        return None
    change, stage, commit = reply.get("change"), reply.get("stage"), reply.get("commit")
    commands = "\n".join(f"  gatewright approve {change} {stage} --gate {gate}" for gate in waiting)
    return (
        f"{change}/{stage} waits for people to approve commit {commit}. In a terminal of your own run:\n{commands}\n"
        "Nothing that is answered here approves anything."
    )


async def _show(session: ServerSession, text: str, limiter: anyio.CapacityLimiter) -> None:
    async with limiter:
        with anyio.move_on_after(POINTER_TIMEOUT_S):
            try:
                await session.elicit_form(text, NO_FIELDS)
            except Exception:  # whatever a client does with it must not take the server along
                log.info("no pointer was shown", exc_info=True)
