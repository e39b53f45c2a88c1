"""The board as an MCP App: told to clients that show such pages, and to no other, in both generations."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation, TextResourceContents

from gatewright.server.board import page as pages

from ..server.http.house import bearer, serving_site
from .conftest import Repositories
from .house import Generation, Server, serving

pytestmark = pytest.mark.anyio

UI = "io.modelcontextprotocol/ui"
KIND = "text/html;profile=mcp-app"
URI = "ui://gatewright/board"
SHOWN: dict[str, object] = {"mimeTypes": [KIND]}
OTHERS: tuple[dict[str, object], ...] = ({}, {"mimeTypes": []}, {"mimeTypes": ["text/html"]}, {"mimeTypes": KIND})


@asynccontextmanager
async def host(server: Server, generation: Generation, settings: dict[str, object]) -> AsyncGenerator[Client]:
    """A client that says of the extension what `settings` say."""
    connection = server.application.mcp_server("stdio:host")
    async with Client(connection, mode=generation, extensions=[advertise(UI, settings)]) as client:
        yield client


async def links(client: Client) -> dict[str, object]:
    listed = (await client.list_tools()).tools
    return {tool.name: tool.meta for tool in listed if tool.meta}


async def listed(client: Client) -> set[str]:
    return {str(found.uri) for found in (await client.list_resources()).resources}


async def test_a_client_that_shows_pages_gets_the_board_with_the_status(desk: Server, generation: Generation) -> None:
    async with host(desk, generation, SHOWN) as client:
        linked, resources = await links(client), await listed(client)
        (content,) = (await client.read_resource(URI)).contents
        capabilities = client.server_capabilities

    assert linked == {"get_status": {"ui": {"resourceUri": URI}}}
    assert URI in resources
    assert capabilities is not None
    # The handshake generation's schema has no word for it on the server's side, and the SDK leaves it out there.
    assert generation == "legacy" or UI in (capabilities.extensions or {})
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == KIND
    assert content.text.startswith("<!doctype html>")
    assert content.meta is not None
    csp = content.meta["ui"]["csp"]
    assert set(csp) == {"connectDomains", "resourceDomains", "frameDomains", "baseUriDomains"}
    assert not any(csp.values()), "the page reaches nobody"


async def test_to_every_other_client_there_is_no_board(desk: Server, generation: Generation) -> None:
    async with desk.agent("ada", generation) as ada:
        plain = (await ada.client.list_tools()).tools
        resources = await listed(ada.client)
    for settings in OTHERS:
        async with host(desk, generation, settings) as client:
            assert (await client.list_tools()).tools == plain
            assert await listed(client) == resources
    assert not any(tool.meta for tool in plain)
    assert URI not in resources


async def test_listing_reads_no_page(desk: Server, generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of tools is what every client waits for at its start."""
    read: list[str] = []
    monkeypatch.setattr(pages, "page", read.append)

    async with host(desk, generation, SHOWN) as client:
        assert await links(client)
        assert URI in await listed(client)

    assert read == []


async def test_over_http_clients_are_known_by_what_they_said_once(make: Repositories, generation: Generation) -> None:
    """Without sessions a client of the handshake generation says it to whichever replica is asked first."""
    async with serving_site(make(), has_engine=False) as site:
        token = await site.issue("ada")
        for settings, expected in ((SHOWN, {"get_status": {"ui": {"resourceUri": URI}}}), ({}, {})):
            async with (
                httpx2.AsyncClient(headers=bearer(token), timeout=60) as http,
                Client(
                    streamable_http_client(site.url, http_client=http),
                    mode=generation,
                    client_info=Implementation(name="host", version="1"),
                    extensions=[advertise(UI, settings)],
                ) as client,
            ):
                assert await links(client) == expected


async def test_it_can_be_read_where_nothing_was_set_up(make: Repositories, generation: Generation) -> None:
    async with serving(make(is_set_up=False), has_engine=False) as server, host(server, generation, SHOWN) as client:
        (content,) = (await client.read_resource(URI)).contents

    assert content.mime_type == KIND
