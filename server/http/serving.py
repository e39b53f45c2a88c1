"""Listen, serve, and end in order: nothing new, what is under way to its end, then out with status 0."""

import logging
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import anyio
from anyio.abc import TaskStatus
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..app import GatewrightApplication
from .limits import Limits
from .listening import Settings, open_listener, places_of, require_callers, require_safe, url_of
from .web import Web
from .web_server import WebServer, web_server_of

DRAIN_S = 30.0

log = logging.getLogger(__name__)


async def serve(
    application: GatewrightApplication,
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    limits: Limits | None = None,
    opened: Callable[[], Awaitable[None]] | None = None,
    drain_s: float = DRAIN_S,
    metrics_page: Callable[[], bytes] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then let what is under way end for `drain_s` at most; a second signal cuts it.

    Connections are taken from the beginning, so that probes are answered; calls are once `opened` has returned: the
    application has its services then. `on_ready` is told the URL at that moment. Raises `CannotListen`, `Refused` when
    the store cannot be opened, and what `opened` raises.
    """
    require_safe(settings)
    bounds = limits or Limits()
    with open_listener(settings, bounds) as listener:
        port = listener.getsockname()[1]
        url = url_of(settings, port)
        web = Web(
            *(application, places_of(settings, port), bounds),
            url=url,
            issuer=settings.issuer,
            metrics_page=metrics_page,
        )
        server = web_server_for(web, settings, bounds)
        begun = Begun(server)
        async with anyio.create_task_group() as tasks, web.running():
            # Before anybody hears that this serves: a signal would end it without a word from then on.
            await tasks.start(_leave_on_signal, server, web, application, drain_s)
            tasks.start_soon(begun.work, partial(_begin, application, settings, opened, partial(on_ready, url)))
            await server.serve([listener])
            tasks.cancel_scope.cancel()
        begun.raise_problem()


class Begun:
    """The application's own work beside its web server, which ends when the former could not begin."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._problem: Exception | None = None

    async def work(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it ends, which only a problem does."""
        try:
            await work()
        except Exception as exc:  # noqa: BLE001 - raised where no other task makes a group of it
            self._problem, self._server.should_exit = exc, True

    def raise_problem(self) -> None:
        """The problem, if there was one."""
        if self._problem is not None:
            raise self._problem


def web_server_for(web: Web, settings: Settings, limits: Limits) -> WebServer:
    """The web server that is asked for, believing its proxies."""
    application = web.asgi
    if settings.proxies:
        proxied = ProxyHeadersMiddleware(web.asgi, [str(network) for network in settings.proxies])  # type: ignore[arg-type]  # its own names for the same
        application = cast(ASGIApp, proxied)
    certificate, key = settings.tls or (None, None)
    return web_server_of(application, limits, certificate=certificate, key=key)


async def _begin(
    application: GatewrightApplication,
    settings: Settings,
    opened: Callable[[], Awaitable[None]] | None,
    tell: Callable[[], None],
) -> None:
    """Wait for the services, look whether somebody may call, and run evaluations until cancelled."""
    if opened is not None:
        await opened()
    services = await application.services()
    require_callers(settings, live_tokens=await services.read(lambda tx: tx.count_live_tokens(services.clock())))
    tell()
    await application.run()


async def _leave_on_signal(
    server: WebServer,
    web: Web,
    application: GatewrightApplication,
    drain_s: float,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async with anyio.create_task_group() as tasks:
            async for _ in signals:
                if web.is_draining:
                    server.force_exit = server.should_exit = True
                    tasks.cancel_scope.cancel()
                    return
                log.info("told to end: nothing new is taken")
                web.drain()
                tasks.start_soon(_leave, server, web, application, drain_s)


async def _leave(server: WebServer, web: Web, application: GatewrightApplication, drain_s: float) -> None:
    """The listener stays open meanwhile: whoever asks whether this is ready hears that it is not."""
    await application.drain()
    application.end_waits()
    with anyio.move_on_after(drain_s) as scope:
        await web.under_way.until_none()
    if scope.cancelled_caught:
        log.warning("%d requests were cut after %.0f s", web.under_way.total, drain_s)
    server.should_exit = True
