"""Call a tool in this process on a team's store, for a person who has its database's address and no token."""

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial

import anyio

from ..app import follow_feed
from ..calls import call_tool
from ..services import Services
from .opening import user_name
from .waiting import Result, wait_by


def call_in_process(
    services: Services,
    tool: str,
    arguments: Mapping[str, object],
    *,
    wait_s: float | None,
    on_progress: Callable[[str], None],
) -> Result:
    """The tool's result as it travels, as by `waiting.call_and_wait`. Raises what a defect of ours raises."""

    def call(name: str, told: Result, _piece_s: float) -> Result:
        return anyio.run(partial(_call, services, name, told, on_progress))

    return wait_by(call, tool, arguments, wait_s=wait_s)


async def _call(services: Services, tool: str, arguments: Result, on_progress: Callable[[str], None]) -> Result:
    async def report(text: str) -> None:
        on_progress(text)

    async def opened() -> Services:
        return services

    # Users of one number on two machines are not one caller.
    principal, stamp = f"cli:{user_name()}@{socket.gethostname()}", os.urandom(12).hex()
    result: Result = {}
    async with anyio.create_task_group() as tasks:
        # What is waited for is done by servers and workers.
        tasks.start_soon(follow_feed, services)
        told = await call_tool(opened, principal, tool, arguments, client="gatewright", stamp=stamp, report=report)
        result = told.model_dump(mode="json", by_alias=True, exclude_none=True)
        tasks.cancel_scope.cancel()
    return result
