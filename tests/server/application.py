"""An application for the bridge and the daemon: tools whose effects are counted in files, and whose end a test decides.

Run as a program it is a server process (`server-process`), a bridge (`bridge`) or a stdio server (`in-process`) that
serves this application.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

SELF = Path(__file__).resolve()
POLL_S = 0.01


def server_command(folder: Path, version: str = "1.0.0") -> list[str]:
    return [sys.executable, str(SELF), "server-process", str(folder), version]


def bridge_command(folder: Path, version: str = "1.0.0") -> list[str]:
    return [sys.executable, str(SELF), "bridge", str(folder), version]


class CountingApplication:
    """`folder` is where test and tools meet.

    The application writes `servers` (a process id per start), `begun` and `effects` (a stamp per line), `subscribed`
    and `drained`; the test makes `hold` (no start ends), `release` (slow calls end), `busy` (answered by a line in
    `asked`), `problem`, and `code`, which stands for the installed code: writing it replaces that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_running = False
        self._append("servers", str(os.getpid()))
        if (folder / "problem").exists():
            raise ValueError((folder / "problem").read_text())
        while (folder / "hold").exists():
            time.sleep(POLL_S)

    async def run(self) -> None:
        self._is_running = True
        await anyio.sleep_forever()

    def is_busy(self) -> bool:
        is_busy = (self.folder / "busy").exists()
        if is_busy:
            self._append("asked", str(os.getpid()))
        return is_busy

    async def drain(self) -> None:
        self._append("drained", str(os.getpid()))

    # Any: the SDK's handler types are generic over a lifespan that this application has not.
    def mcp_server(self, principal: str) -> Any:  # noqa: ANN401 - as the SDK has it
        import mcp_types as types
        from mcp.server.lowlevel import Server
        from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

        assert self._is_running, "a connection was served before the background work had begun"

        async def list_tools(ctx: object, params: object) -> types.ListToolsResult:
            return types.ListToolsResult(
                tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in ("echo", "slow", "ask")]
            )

        async def call_tool(ctx: object, params: types.CallToolRequestParams) -> types.CallToolResult:
            stamp = str((params.meta or {}).get("gatewright/call"))
            answer = await self._call(ctx, params.name, params.arguments or {}, stamp)
            answer["principal"] = principal
            text = types.TextContent(type="text", text=str(answer.get("text")))
            return types.CallToolResult(content=[text], structured_content=answer)

        async def subscribe(ctx: object, params: types.SubscribeRequestParams) -> types.EmptyResult:
            self._append("subscribed", str(params.uri))
            return types.EmptyResult()

        async def unsubscribe(ctx: object, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
            return types.EmptyResult()

        return Server(
            "counting",
            version="1.0.0",
            on_list_tools=list_tools,
            on_call_tool=call_tool,
            on_subscribe_resource=subscribe,
            on_unsubscribe_resource=unsubscribe,
            on_subscriptions_listen=ListenHandler(InMemorySubscriptionBus()),
        )

    async def _call(self, ctx: Any, name: str, arguments: dict[str, Any], stamp: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
        self._append("begun", stamp)
        if name == "refuse":
            raise ValueError("there is no such tool")
        if name == "ask":
            reply = await ctx.session.elicit_form("May I?", {"type": "object", "properties": {}})
            return {"text": reply.action}
        while name == "slow" and not (self.folder / "release").exists():
            await ctx.session.report_progress(1.0, message="still waiting")
            await anyio.sleep(POLL_S)
        if stamp not in self._lines("effects"):
            self._append("effects", stamp)
        return {"text": arguments.get("text"), "stamp": stamp, "server": os.getpid()}

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def _append(self, name: str, line: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")


def main(arguments: Sequence[str]) -> int:
    role, folder, version, *rest = arguments

    def open_application(common_dir: Path) -> CountingApplication:
        return CountingApplication(Path(folder))

    if role == "server-process":
        from gatewright.server import process

        def code() -> int:
            replaced = Path(folder) / "code"
            return replaced.stat().st_mtime_ns if replaced.exists() else 0

        return process.main(rest, open_application=open_application, version=version, code=code)
    if role == "in-process":
        from gatewright.server import in_process

        return in_process.main(rest[0], open_application=open_application)
    from gatewright.server import bridge

    return bridge.main(*rest, command=server_command(Path(folder), version), version=version)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
