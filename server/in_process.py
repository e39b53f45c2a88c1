"""Serve the stdio client inside its own process: for tests, and for systems without unix sockets.

The work ends with the client. Everything else is as with a server of its own, which stands beside it unharmed: the
store is the truth, not the process.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .process import open_real_application
from .rendezvous import NoServer, find_common_dir

if TYPE_CHECKING:
    from .daemon import Application

DRAIN_TIMEOUT_S = 5.0


def main(repository: str | None, *, open_application: Callable[[Path], "Application"] = open_real_application) -> int:
    """Serve standard input and output until the client closes them; return the exit status."""
    try:
        common_dir = find_common_dir(repository or os.curdir)
    except NoServer as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    import anyio

    anyio.run(_serve, open_application(Path(common_dir)))
    return 0


async def _serve(application: "Application") -> None:
    import anyio.lowlevel
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write), anyio.create_task_group() as tasks:
        tasks.start_soon(application.run)
        # The background work begins before the client is served.
        await anyio.lowlevel.checkpoint()
        server = application.mcp_server(f"stdio:{os.urandom(8).hex()}")
        await server.run(read, write, server.create_initialization_options())
        with anyio.move_on_after(DRAIN_TIMEOUT_S):
            await application.drain()
        tasks.cancel_scope.cancel()
