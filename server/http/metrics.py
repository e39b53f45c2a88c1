"""`/metrics`, for Prometheus, and how many requests there were under which path."""

import time
from collections.abc import Callable, Iterable

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..telemetry.watching import watcher

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# By these names goes what is none of ours, however many there are.
OTHER_METHOD, OTHER_ROUTE = "_OTHER", "other"
# Each look asks the store: one waits for the other.
LOOKS_MAX = 1
CUT = 499
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsPage:
    """Answers with what `look` gives."""

    def __init__(self, look: Callable[[], bytes]) -> None:
        self._look = look
        self._threads = anyio.CapacityLimiter(LOOKS_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if Request(scope).method != "GET":
            await Response(status_code=405, headers={"allow": "GET"})(scope, receive, send)
            return
        text = await anyio.to_thread.run_sync(self._look, limiter=self._threads)
        await Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})(scope, receive, send)


class Counted:
    """Tells who watches of every request, those that go no further than the first guard among them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not watcher().is_watching:
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), CUT

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
            watcher().requested(method, self._route_of(scope), status, time.perf_counter() - began)

    def _route_of(self, scope: Scope) -> str:
        found = (route.path for route in self._routes if route.matches(scope)[0] is not Match.NONE)
        return next(found, OTHER_ROUTE)
