"""A repository with nothing on its board yet, and the board of it over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from ...acceptance.house import Repository, Server, serving
from .house import local_board


@dataclass
class Desk:
    """A server that judges nothing, and the board of its repository: where, by which link, and how a tab asks."""

    server: Server
    base: str
    secret: str
    http: httpx2.AsyncClient

    async def exchange(self) -> str:
        """The key of the tab that opened the link."""
        answer = await self.http.post(f"{self.base}/session", headers={"authorization": f"Bearer {self.secret}"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    async def ask(self, key: str, method: str, /, **params: object) -> httpx2.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post(f"{self.base}/mcp", json=message, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        serving(Repository(tmp_path / "repo"), has_engine=False) as server,
        local_board(server) as link,
        httpx2.AsyncClient(timeout=30) as http,
    ):
        base, _, secret = link.partition("/#")
        yield Desk(server, base, secret, http)
