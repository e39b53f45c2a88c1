"""What a board may ask over HTTP on this machine: the tools that look, and further changes. Nothing that acts.

The messages are those of MCP, so that the page asks here as it asks a team's server; what is not named here is refused.
"""

from collections.abc import Mapping

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

from .. import resources
from ..addresses import ADDRESSES, BEFORE
from ..calls import OpenServices, call_tool

TOOLS = frozenset({"get_status", "get_evidence", "wait_for_update"})
FURTHER = next(address for address in ADDRESSES if address.uri == BEFORE)

Message = Mapping[str, object]


async def answer(open_services: OpenServices, principal: str, message: object) -> Message:
    """The answer to one message; whatever is wrong with it is an error in the words of the protocol."""
    match message:
        case {"jsonrpc": "2.0", "id": int() | str() as asked, "method": str() as method, "params": dict() as params}:
            try:
                return {
                    "jsonrpc": "2.0",
                    "id": asked,
                    "result": await _result(open_services, principal, method, params),
                }
            except MCPError as exc:
                return _error(asked, exc.error.code, exc.error.message)
        case _:
            return _error(None, INVALID_REQUEST, "That is no request.")


async def _result(
    open_services: OpenServices, principal: str, method: str, params: Mapping[str, object]
) -> dict[str, object]:
    match method, params:
        case "tools/call", {"name": str() as name, "arguments": dict() as arguments} if name in TOOLS:
            told = await call_tool(
                open_services, principal, name, arguments, client="gatewright-board", stamp=None, report=_unheard
            )
            return told.model_dump(mode="json", by_alias=True, exclude_none=True)
        case "resources/read", {"uri": str() as uri} if FURTHER.match(uri) is not None:
            read = await resources.read(open_services, uri)
            return read.model_dump(mode="json", by_alias=True, exclude_none=True)
        case (("tools/call" | "resources/read"), _):
            raise MCPError(INVALID_PARAMS, f"The board looks, by {', '.join(sorted(TOOLS))} and {BEFORE}.")
        case _:
            raise MCPError(METHOD_NOT_FOUND, "The board has no such method.")


async def _unheard(_: str) -> None:
    """Progress, which the page does not show."""


def _error(asked: int | str | None, code: int, sentence: str) -> Message:
    return {"jsonrpc": "2.0", "id": asked, "error": {"code": code, "message": sentence}}
