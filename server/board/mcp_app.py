"""The board as an MCP App (extension `io.modelcontextprotocol/ui`, SEP-1865, 2026-01-26), for clients that show such.

Only a client that says so is told of it: to all others tools and resources read as if there were no board. The page is
read from the disk when a client first asks for it, and listing the tools does not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import mcp_types as types

URI = "ui://gatewright/board"
EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"
TOOL = "get_status"
# No origin is declared, so a host lets the page reach none. That the copy buttons work is asked for.
ABOUT: Mapping[str, object] = {
    "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
    "permissions": {"clipboardWrite": {}},
    "prefersBorder": True,
}


def is_shown_by(capabilities: types.ClientCapabilities | None) -> bool:
    """Whether a client with these capabilities shows pages of this kind."""
    settings = None if capabilities is None else (capabilities.extensions or {}).get(EXTENSION)
    return isinstance(settings, Mapping) and has_our_type(settings)


def has_our_type(settings: Mapping[str, Any]) -> bool:
    """Whether what a client says of the extension names the one type that there is. Any: JSON of the client's."""
    kinds = settings.get("mimeTypes")
    return isinstance(kinds, list | tuple) and MIME_TYPE in kinds


def linked(tools: Iterable[types.Tool]) -> list[types.Tool]:
    """The tools, with the board where a client shows it beside the reply."""
    link = {"ui": {"resourceUri": URI}}
    return [tool.model_copy(update={"meta": link}) if tool.name == TOOL else tool for tool in tools]


def resource() -> types.Resource:
    """The board as it is listed."""
    about = "Where everything stands, as get_status tells it, for a person to look at."
    return types.Resource(
        uri=URI, name="board", title="Board", description=about, mime_type=MIME_TYPE, _meta={"ui": dict(ABOUT)}
    )


def read() -> types.ReadResourceResult:
    """The page. Blocking, once."""
    from .page import Via, page

    text = page(Via.APP)
    content = types.TextResourceContents(uri=URI, mime_type=MIME_TYPE, text=text, _meta={"ui": dict(ABOUT)})
    return types.ReadResourceResult(contents=[content])
