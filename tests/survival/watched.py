"""The real server, which stops at a point that a test names, so that it can kill there.

The meeting place is a folder. The server appends each point that it passes to `trace`. When `doom` names a point,
it takes that file away, makes `reached`, and waits there until `go` exists, or for its death.
"""

import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream

from gatewright.server import calls, daemon, process, transport
from gatewright.server.lines import LineSplitter, Oversized, parse_message
from gatewright.server.services import Services

POLL_S = 0.005

request: ContextVar[str | None] = ContextVar("request", default=None)


class Points:
    """Where a request stands: `received`, `wrote` (once for each transaction), `answering`.

    `labels` are the ids of the requests that carry a stamp of the bridge.
    """

    def __init__(self, meeting: Path) -> None:
        self._meeting = meeting
        self._writes: dict[str, int] = {}
        self.labels: dict[str, str] = {}

    async def wrote(self, label: str) -> None:
        self._writes[label] = self._writes.get(label, 0) + 1
        await self.at(label, f"wrote {self._writes[label]}")

    async def at(self, label: str, moment: str) -> None:
        point = f"{label}: {moment}"
        with (self._meeting / "trace").open("a") as trace:
            trace.write(f"{point}\n")
        doom = self._meeting / "doom"
        if not doom.exists() or doom.read_text() != point:
            return
        doom.unlink()
        (self._meeting / "reached").write_text(str(os.getpid()))
        while not (self._meeting / "go").exists():  # noqa: ASYNC110 - the test is another process
            await anyio.sleep(POLL_S)


class WatchedStream:
    """A connection as the server sees it. Labels are the ids of requests, which the bridge passes on unchanged."""

    def __init__(self, stream: SocketStream, points: Points) -> None:
        self._stream = stream
        self._points = points
        self._from_client = LineSplitter()

    async def receive(self, bytes_max: int) -> bytes:
        data = await self._stream.receive(bytes_max)
        for line in self._from_client.feed(data):
            message = _parse(line)
            match message:
                case {"params": {"_meta": {"gatewright/call": str(stamp)}}}:
                    self._points.labels[stamp] = str(message["id"])
                case _:
                    pass
            if "method" in message and "id" in message:
                await self._points.at(str(message["id"]), "received")
        return data

    async def send(self, line: bytes) -> None:
        message = _parse(line)
        if "method" not in message:
            await self._points.at(str(message.get("id")), "answering")
        await self._stream.send(line)


def watch(points: Points) -> None:
    """Have this process's server pass the points."""
    serve, run, call = transport.serve_connection, Services.run, calls.call_tool

    # Any: these stand in for functions whose types do not matter here.
    async def serve_watched(server: Any, stream: Any, *others: Any) -> None:  # noqa: ANN401 - passed on
        await serve(server, WatchedStream(stream, points), *others)  # type: ignore[arg-type]  # all that is used of one

    async def run_watched(services: Services, work: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        done = await run(services, work, **options)
        if (label := request.get()) is not None:
            await points.wrote(label)
        return done

    async def call_watched(*arguments: Any, stamp: str | None, **options: Any) -> Any:  # noqa: ANN401 - passed on
        request.set(points.labels.get(stamp or ""))
        return await call(*arguments, stamp=stamp, **options)

    put: Callable[[object, str, object], None] = setattr
    put(daemon, "serve_connection", serve_watched)
    put(Services, "run", run_watched)
    put(calls, "call_tool", call_watched)


def _parse(line: bytes | Oversized) -> dict[str, object]:
    return {} if isinstance(line, Oversized) else parse_message(line)


def serve(meeting: str, version: str, *arguments: str) -> int:
    """Become the server of the repository that the arguments name, as one of that release."""
    watch(Points(Path(meeting)))
    return process.main(arguments, version=version, code=lambda: 0)
