"""A front for tests: an HTTP application on loopback, because HTTP is what the suite can speak.

Around the application's own server stands the SDK's streamable HTTP (`over_http`), whose sessions are all one
principal; `door.py` has gatewright's own door, and `relay.py` is the way to the real command.
"""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from mcp.server.lowlevel import Server
from starlette.applications import Starlette
from starlette.types import ASGIApp

PATH = "/mcp"
LEAVE_WITHIN_S = 1


# Any: the lifespan's type is the server's own business.
def over_http(server: Server[Any]) -> Starlette:
    """The SDK's HTTP application around a server."""
    return server.streamable_http_app(streamable_http_path=PATH)


@asynccontextmanager
async def serving_http(application: ASGIApp, listener: socket.socket | None = None) -> AsyncGenerator[str]:
    """The URL under which an application answers until the block ends; on a listener of the caller's, if it has one."""
    with listener or socket.create_server(("127.0.0.1", 0)) as listening:
        web = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=LEAVE_WITHIN_S))
        async with anyio.create_task_group() as tasks:
            # Who connects before it serves is let in by the listener, and waits.
            tasks.start_soon(web.serve, [listening])
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
            web.should_exit = True
