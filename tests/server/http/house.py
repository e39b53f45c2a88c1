"""A repository served over HTTP in this process: real sockets, the web server's own protocol, the SDK's own client."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from gatewright.server.http.limits import Limits
from gatewright.server.http.listening import Issuer, Settings, open_listener, places_of, url_of
from gatewright.server.http.serving import web_server_for
from gatewright.server.http.web import Web
from gatewright.server.http.web_server import WebServer
from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof

from ...acceptance.house import Agent, Clock, Generation, Repository, Server, serving

BY = Person("ann", Proof.WORD)
WORK = (Scope.WORK, Scope.REVIEW)
# What a client of the handshake generation sends; enough to be let through to the protocol.
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@dataclass
class Site:
    """One replica: `url` ends in `/mcp`, `base` is the same without."""

    url: str
    web: Web
    server: Server
    web_server: WebServer
    http: httpx2.AsyncClient
    issued: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx2.URL(self.url)
        assert parts.port is not None
        return parts.host, parts.port

    async def issue(self, subject: str, *scopes: Scope, days: float = 1) -> str:
        """A token for a subject, as a person issues it; its id is in `issued`."""
        services, token = self.server.services, tokens.new_token()
        row = await services.run(
            lambda tx: tokens.issue(
                tx,
                token,
                subject=subject,
                scopes=frozenset(scopes or WORK),
                lifetime=timedelta(days=days),
                by=BY,
                now=services.clock(),
            )
        )
        self.issued[token] = row.id
        return token

    async def revoke(self, token: str) -> None:
        services, token_id = self.server.services, self.issued[token]
        await services.run(lambda tx: tokens.revoke(tx, token_id, by=BY, now=services.clock()))

    async def post(self, token: str | None = None, **more: object) -> httpx2.Response:
        """A request of the handshake generation, by default one for the list of tools."""
        headers = {**HEADERS, **({} if token is None else bearer(token)), **dict(more.pop("headers", {}))}  # type: ignore[call-overload]  # of texts
        if "content" not in more:
            more = {"json": LIST_TOOLS, **more}
        return await self.http.post(self.url, headers=headers, **more)  # type: ignore[arg-type]  # as given

    @asynccontextmanager
    async def agent(
        self, token: str, name: str = "ada", generation: Generation = "auto", *, client: str = "test"
    ) -> AsyncGenerator[Agent]:
        info = Implementation(name=client, version="1")
        async with (
            httpx2.AsyncClient(headers=bearer(token), timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=generation, client_info=info) as connected,
        ):
            yield Agent(connected, name)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def serving_site(
    repository: Repository,
    *,
    clock: Clock | None = None,
    limits: Limits | None = None,
    issuer: Callable[[str], Issuer] | None = None,
    settings: Callable[[Settings], Settings] = lambda settings: settings,
    has_engine: bool = True,
    tls: tuple[Path, Path] | None = None,
    metrics_page: Callable[[], bytes] | None = None,
) -> AsyncGenerator[Site]:
    """One replica of a repository until the block ends. `issuer` is told the URL of `/mcp`."""
    async with serving(repository, clock=clock, has_engine=has_engine) as server:
        whole, bounds = settings(Settings("127.0.0.1", 0, tls=tls)), limits or Limits()
        with open_listener(whole, bounds) as listener:
            port = listener.getsockname()[1]
            url = url_of(whole, port)
            web = Web(
                server.application,
                places_of(whole, port),
                bounds,
                url=url,
                issuer=None if issuer is None else issuer(url),
                metrics_page=metrics_page,
            )
            web_server = web_server_for(web, whole, bounds)
            async with httpx2.AsyncClient(timeout=30) as http, anyio.create_task_group() as tasks, web.running():
                listeners: list[socket.socket] = [listener]
                tasks.start_soon(web_server.serve, listeners)
                yield Site(url, web, server, web_server, http)
                web.drain()
                await server.application.drain()
                server.application.end_waits()
                web_server.should_exit = True
