"""The board for one person on this machine: the page, and what it asks for, on the loopback address.

Every user of a machine reaches its loopback address, and so does every page in the person's browser. So a request
passes Host and Origin as on `gatewright serve`, and whoever asks for data has the key that the printed link was changed
for. Nothing that is answered here changes anything.
"""

import json
import signal
import socket
from collections.abc import Callable
from typing import Protocol

import anyio
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..app import follow_feed
from ..http.guards import PlaceGuard, Places, refusal
from ..http.limits import Limits
from ..http.listener import Doors, Listener
from ..http.web_server import WebServer, web_server_of
from ..services import Services
from . import looking
from .keys import Keys
from .page import Via, headers, page

HOST = "127.0.0.1"
BODY_BYTES_MAX = 16_384
ASKED_AT_ONCE_MAX = 32
CONNECTIONS_MAX = 64
BACKLOG = 64
NAMES = (HOST, "localhost")
UNAUTHORIZED, TOO_LARGE, UNSUPPORTED = 401, 413, 415


class PortTaken(Exception):
    """The port that was asked for cannot be had; `str()` is the system's reason."""


class Board:
    """One board's web: `asgi` answers, `link` opens it once."""

    def __init__(self, services: Services, principal: str, port: int) -> None:
        self._services = services
        self._principal = principal
        self._keys = Keys()
        self.link = f"http://{HOST}:{port}/#{self._keys.secret}"
        places = frozenset(f"{name}:{port}" for name in NAMES)
        routes = [
            Route("/", self._page, methods=["GET"]),
            Route("/session", self._session, methods=["POST"]),
            Route("/mcp", self._answer, methods=["POST"]),
        ]
        site = Starlette(routes=routes)
        site.router.redirect_slashes = False
        self.asgi = PlaceGuard(site, Places(places, frozenset(f"http://{place}" for place in places)))

    async def _page(self, _: Request) -> Response:
        return Response(page(Via.LOCAL), headers=headers(), media_type="text/html")

    async def _session(self, request: Request) -> Response:
        key = self._keys.exchange(request.headers.get("authorization", ""))
        if key is None:
            return refusal(UNAUTHORIZED, "This link was used, or is none of this board.")
        return JSONResponse({"key": key}, headers={"cache-control": "no-store"})

    async def _answer(self, request: Request) -> Response:
        if not self._keys.may_look(request.headers.get("authorization", "")):
            return refusal(UNAUTHORIZED, "This is answered to the tab that opened the board.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return refusal(UNSUPPORTED, "A message is JSON.")
        body = await _body(request)
        if body is None:
            return refusal(TOO_LARGE, f"A message has at most {BODY_BYTES_MAX} bytes.")
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        told = await looking.answer(self._opened, self._principal, message)
        return JSONResponse(told, headers={"cache-control": "no-store", "x-content-type-options": "nosniff"})

    async def _opened(self) -> Services:
        return self._services


class Until(Protocol):
    """Returns when a board is to end, and says when it has begun to look out for that."""

    async def __call__(self, *, task_status: TaskStatus[None]) -> None: ...


async def told_to_end(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Until SIGINT or SIGTERM."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            return


async def serve(
    services: Services, principal: str, *, port: int, on_ready: Callable[[str], None], until: Until = told_to_end
) -> None:
    """Serve a board; `port` 0 takes any that is free. `on_ready` is told the link. Raises `PortTaken`."""
    limits = Limits(connections=CONNECTIONS_MAX, connections_of_address=CONNECTIONS_MAX)
    try:
        made = socket.create_server((HOST, port), backlog=BACKLOG)
    except OSError as exc:
        raise PortTaken(exc.strerror or str(exc)) from exc
    with Listener(made, Doors(limits)) as listener:
        board = Board(services, principal, listener.getsockname()[1])
        server = web_server_of(board.asgi, limits, asked_at_once_max=ASKED_AT_ONCE_MAX)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow_feed, services)
            await tasks.start(_leave, server, services, until)
            on_ready(board.link)
            await server.serve([listener])
            tasks.cancel_scope.cancel()


async def _leave(
    server: WebServer, services: Services, until: Until, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Whoever waits for news is answered as things are."""
    await until(task_status=task_status)
    services.is_draining = True
    services.changed.fire()
    server.should_exit = True


async def _body(request: Request) -> bytes | None:
    """What was sent; None when it is too much."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            return None
    return body
