"""`gatewright serve` and `gatewright worker` as processes of their own, and clients of them."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from gatewright.server.identity import tokens
from gatewright.server.identity.scopes import Scope
from gatewright.server.people.known import Person, Proof
from gatewright.server.store import Store, open_store

from ..server.http.house import bearer
from .house import WITHIN_S, Agent, Generation, Repository


class Served:
    """`gatewright serve` as a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url

    def end(self, within_s: float = WITHIN_S) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)


def served(repository: Repository, *more: str) -> AbstractContextManager[Served]:
    return served_with("--repo", str(repository.path), *more)


@contextmanager
def served_with(*options: str, **environment: str) -> Generator[Served]:
    command = [sys.executable, "-m", "gatewright", "serve", "--listen", "127.0.0.1:0", *options]
    whole = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=whole) as process:
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], WITHIN_S + 40)
            assert readable, "it never said where it listens"
            line = process.stdout.readline()
            assert line.startswith("Serving on "), f"{line}{process.stderr.read() if process.stderr else ''}"
            yield Served(process, line.removeprefix("Serving on ").strip())
        finally:
            process.kill()


@contextmanager
def working(*options: str, **environment: str) -> Generator["subprocess.Popen[bytes]"]:
    """`gatewright worker` as a process of its own."""
    command = [sys.executable, "-m", "gatewright", "worker", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def token_of(repository: Repository, scope: Scope = Scope.WORK) -> str:
    with closing(open_store(repository.state, create=False)) as store:
        return issue_in(store, scope)


def issue_in(store: Store, scope: Scope = Scope.WORK) -> str:
    """As a person issues one at a terminal."""
    token, now, by = tokens.new_token(), datetime.now(UTC), Person("ann", Proof.WORD)
    scopes, lifetime = frozenset({scope}), timedelta(days=1)
    store.run(lambda tx: tokens.issue(tx, token, subject="ada", scopes=scopes, lifetime=lifetime, by=by, now=now))
    return token


@asynccontextmanager
async def agent_of(url: str, token: str, generation: Generation = "auto") -> AsyncGenerator[Agent]:
    async with (
        httpx2.AsyncClient(headers=bearer(token), timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=generation) as client,
    ):
        yield Agent(client, "ada")
