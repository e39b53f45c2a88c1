"""A front for tests: an application's MCP server over HTTP on loopback, because that is what the suite can speak.

gatewright itself serves standard input and output and a unix socket; the SDK's streamable HTTP stands here around the
same server object that each of its connections gets. All sessions of the front are one principal.
"""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from mcp.server.lowlevel import Server

PATH = "/mcp"
LEAVE_WITHIN_S = 1


# Any: the lifespan's type is the server's own business.
@asynccontextmanager
async def serving_http(server: Server[Any]) -> AsyncGenerator[str]:
    """The URL under which `server` answers until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = uvicorn.Server(
            uvicorn.Config(
                server.streamable_http_app(streamable_http_path=PATH),
                log_level="warning",
                timeout_graceful_shutdown=LEAVE_WITHIN_S,
            )
        )
        async with anyio.create_task_group() as tasks:
            # Who connects before it serves is let in by the listener, and waits.
            tasks.start_soon(web.serve, [listener])
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
            web.should_exit = True
