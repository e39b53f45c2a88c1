"""The product's own HTTP door as the suite can use it: the suite has no token, so one is put into each request.

Everything else is as it is shipped: names, limits, authentication, the protocol without sessions.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.types import ASGIApp, Receive, Scope, Send

from gatewright.server.app import GatewrightApplication
from gatewright.server.http.limits import Limits, Rate
from gatewright.server.http.listening import PATH, Settings, places_of
from gatewright.server.http.web import Web
from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope as Right
from gatewright.server.people.known import Person, Proof

HOST = "127.0.0.1"
# The suite is one address and one principal that asks hundreds of times.
LIMITS = Limits(requests_of_address=Rate(1e6, 1_000_000), requests_of_principal=Rate(1e6, 1_000_000))


@asynccontextmanager
async def door(application: GatewrightApplication, port: int) -> AsyncGenerator[ASGIApp]:
    """What answers on a port of this machine, for as long as the block lasts."""
    services, token = await application.services(), tokens.new_token()
    await services.run(
        lambda tx: tokens.issue(
            tx,
            token,
            subject="conformance",
            scopes=frozenset({Right.WORK, Right.REVIEW}),
            lifetime=timedelta(days=1),
            by=Person("nobody", Proof.WORD),
            now=services.clock(),
        )
    )
    web = Web(application, places_of(Settings(HOST, port), port), LIMITS, url=f"http://{HOST}:{port}{PATH}")

    async def with_token(scope: Scope, receive: Receive, send: Send) -> None:
        given = (b"authorization", f"Bearer {token}".encode())
        await web.asgi({**scope, "headers": [*scope["headers"], given]}, receive, send)

    async with web.running():
        yield with_token
