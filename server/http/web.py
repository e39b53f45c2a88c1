"""What answers under which path, with all that a request passes before.

From the outside in: Host and Origin, the rate of its address; then `/healthz`, `/readyz` and the board's empty page.
Or, for `/mcp` and `/people/`: whether anything is taken, who calls, how much of that principal is under way, the size
of the body, then the protocol or what people decide. `/metrics` is asked who calls, and how much is under way.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http_manager import RequestBodyLimitMiddleware, StreamableHTTPSessionManager
from mcp_types import SubscribeRequestParams, UnsubscribeRequestParams
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..app import GatewrightApplication
from ..board import team_page
from ..identity.jwks import keys_from
from ..identity.oauth import OAuth
from ..identity.scopes import Scope as Right
from ..identity.verifier import Verifier
from .calling import calling_of
from .guards import AddressGuard, DrainGuard, PlaceGuard, Places, PrincipalGuard, StrangerGuard
from .health import Health
from .label import HEADER, session_id_for
from .limits import Limits
from .listening import PATH, Issuer
from .metrics import Counted, MetricsPage
from .people import PREFIX, people_door
from .rates import Open
from .streams import Streams
from .subscriptions import Subscriptions


class Web:
    """One application's whole web. `under_way` counts its requests; `drain` lets no more in."""

    def __init__(
        self,
        application: GatewrightApplication,
        places: Places,
        limits: Limits,
        *,
        url: str,
        issuer: Issuer | None = None,
        metrics_page: Callable[[], bytes] | None = None,
        now: Callable[[], float] = anyio.current_time,
    ) -> None:
        """`url` is the one that clients are given; `now` tells seconds that only rise.

        `metrics_page` is what `/metrics` shows to whoever has a token; without it there is no such path.
        """
        self.under_way = Open(limits.open_of_principal)
        self.is_draining = False
        self._application = application
        self._limits = limits
        self._url = AnyHttpUrl(url)
        self._issuer = issuer
        self._metrics_page = metrics_page
        self._now = now
        server, subscriptions = application.http_server(calling_of), Subscriptions(application)
        server.add_request_handler("resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)
        self._streams = Streams(application.notices.bus, subscriptions)
        self._sessions = StreamableHTTPSessionManager(
            server, stateless=True, max_request_body_size=limits.request_bytes
        )
        self.asgi = self._guarded(places)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """For as long as requests are answered."""
        async with self._sessions.run():
            yield

    def drain(self) -> None:
        """Answer nothing new, and end the streams; what else is under way goes on."""
        self.is_draining = True
        self._streams.close()

    def _guarded(self, places: Places) -> ASGIApp:
        health = Health(self._application, lambda: self.is_draining)
        verifier = Verifier(self._application.services, oauth=self._oauth(), url=str(self._url))
        routes = [
            Route("/healthz", health.lives, methods=["GET"]),
            Route("/readyz", health.is_ready, methods=["GET"]),
            *self._authenticated_routes(verifier),
            team_page.route(),
            *self._metadata_routes(),
        ]
        if self._metrics_page is not None:
            page = self._admitted(MetricsPage(self._metrics_page), verifier)
            routes.append(Route("/metrics", page, methods=["GET"]))
        site = Starlette(routes=routes)
        site.router.redirect_slashes = False
        return Counted(PlaceGuard(AddressGuard(site, self._limits, self._now), places), routes)

    def _authenticated_routes(self, verifier: Verifier) -> list[Route]:
        """`/mcp` and `/people/`, whose limits are one: a principal has so many requests, whatever they are for.

        The newest generation of the protocol knows no other method than POST, and without sessions DELETE has no use.
        """
        labelled = RequestBodyLimitMiddleware(_Labelled(self._sessions.handle_request), self._limits.request_bytes)
        people = people_door(self._application)

        async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
            protocol = labelled if scope["method"] == "POST" else self._streams
            await (protocol if scope["path"] == PATH else people)(scope, receive, send)

        guarded = DrainGuard(self._admitted(by_path, verifier), lambda: self.is_draining)
        return [
            Route(PATH, guarded, methods=["POST", "GET"]),
            Route(f"{PREFIX}{{command}}", guarded, methods=["POST"]),
        ]

    def _admitted(self, app: ASGIApp, verifier: Verifier) -> ASGIApp:
        """For whoever is known, whatever their token may: that is looked at where something is done."""
        backend = BearerAuthBackend(verifier, resource_server_url=self._url)
        counted = PrincipalGuard(app, verifier, self._limits, self.under_way, self._now)
        metadata_url = None if self._issuer is None else build_resource_metadata_url(self._url)
        known = AuthenticationMiddleware(RequireAuthMiddleware(counted, [], metadata_url), backend)
        return StrangerGuard(known, self._limits, self._now)

    def _oauth(self) -> OAuth | None:
        issuer = self._issuer
        if issuer is None:
            return None
        clock = self._application.clock
        return OAuth(issuer=issuer.name, audience=issuer.audience, keys=keys_from(issuer.keys), clock=clock)

    def _metadata_routes(self) -> list[Route]:
        """Where clients that are sent away learn who issues tokens; nothing where only people do."""
        if self._issuer is None:
            return []
        # Clients ask for each scope that is named, and their agents hold the token: none of them decides as a person.
        scopes = [Right.WORK.value, Right.REVIEW.value]
        return create_protected_resource_routes(self._url, [AnyHttpUrl(self._issuer.name)], scopes, "gatewright")


class _Labelled:
    """Gives a client its name back as a session's id: see `label`. Stands where the whole body is one message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        if first["type"] != "http.request" or first.get("more_body", False):
            return  # whoever began it hung up in the middle of it
        waiting: deque[Message] = deque([first])
        session_id = session_id_for(first.get("body", b""))

        async def again() -> Message:
            return waiting.popleft() if waiting else await receive()

        async def labelled(message: Message) -> None:
            if session_id is not None and message["type"] == "http.response.start" and message["status"] == 200:
                message = {**message, "headers": [*message.get("headers", []), (HEADER, session_id)]}
            await send(message)

        await self._app(scope, again, labelled)
