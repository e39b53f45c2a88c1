"""An application for the bridge and the daemon: tools whose effects are counted in files, and whose end a test decides.

Run as a program it is a server process (`server-process`), a bridge (`bridge`) or a stdio server (`in-process`) that
serves this application.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

SELF = Path(__file__).resolve()


def server_command(folder: Path, version: str = "1.0.0") -> list[str]:
    return [sys.executable, str(SELF), "server-process", str(folder), version]


def bridge_command(folder: Path, *options: str, version: str = "1.0.0") -> list[str]:
    return [sys.executable, str(SELF), "bridge", str(folder), version, *options]


class CountingApplication:
    """`folder` is where the test and the tools meet: `effects` (one line per new stamp), `begun`, `release`, `busy`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_running = False

    async def run(self) -> None:
        self.is_running = True
        (self.folder / "ran").touch()
        await anyio.sleep_forever()

    def is_busy(self) -> bool:
        return (self.folder / "busy").exists()

    async def drain(self) -> None:
        (self.folder / "drained").touch()

    def mcp_server(self, principal: str) -> Any:
        import mcp_types as types
        from mcp.server.lowlevel import Server
        from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

        names = ("echo", "slow", "die", "ask")

        async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
            schema = {"type": "object"}
            return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=schema) for name in names])

        async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            stamp = str((params.meta or {}).get("gatewright/call"))
            answer = await self.call(ctx, params.name, params.arguments or {}, stamp, principal)
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=str(answer))], structured_content=answer
            )

        async def subscribe(ctx: Any, params: types.SubscribeRequestParams) -> types.EmptyResult:
            self._append("subscribed", str(params.uri))
            return types.EmptyResult()

        return Server(
            "counting",
            version="1.0.0",
            on_list_tools=list_tools,
            on_call_tool=call_tool,
            on_subscribe_resource=subscribe,
            on_subscriptions_listen=ListenHandler(InMemorySubscriptionBus()),
        )

    async def call(self, ctx: Any, name: str, arguments: dict[str, Any], stamp: str, principal: str) -> dict[str, Any]:
        if name == "slow":
            self._append("begun", stamp)
            while not (self.folder / "release").exists():
                await ctx.session.report_progress(1.0, message="still waiting")
                await anyio.sleep(0.01)
        if name == "die":
            self._append("begun", stamp)
            os._exit(9)
        if name == "ask":
            self._append("begun", stamp)
            reply = await ctx.session.elicit_form("May I?", {"type": "object", "properties": {}})
            return {"action": reply.action}
        if stamp not in (self.folder / "effects").read_text().split():
            self._append("effects", stamp)
        return {"text": arguments.get("text"), "stamp": stamp, "principal": principal, "server": os.getpid()}

    def _append(self, name: str, line: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")


def main(arguments: Sequence[str]) -> int:
    role, folder, *rest = arguments

    def open_application(common_dir: Path) -> CountingApplication:
        if (Path(folder) / "problem").exists():
            raise ValueError((Path(folder) / "problem").read_text())
        return CountingApplication(Path(folder))

    if role == "server-process":
        from gatewright.server import process

        return process.main(rest[1:], open_application=open_application, version=rest[0])
    if role == "in-process":
        from gatewright.server import in_process

        return in_process.main(rest[0], open_application=open_application)
    from gatewright.server import bridge

    return bridge.main(*rest[1:], command=server_command(Path(folder), rest[0]), version=rest[0])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
