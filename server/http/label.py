"""A client's name, remembered by the client itself: from its first request, in what it sends with every later one.

In the handshake generation a client says its name once, and whether it shows MCP Apps, to whichever replica answers.
How long a call may wait depends on the one, whether the client is told of the board on the other. So they are given
back as the session's id, with a number by which its subscriptions are told from those of others of its principal. That
is all of the session: any replica reads it, and whoever forges one has only chosen another name for itself, or hears
what it may read anyway.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping

from ..board.mcp_app import EXTENSION, has_our_type

HEADER = b"mcp-session-id"
NAME_CHARS_MAX = 64
NUMBER_BYTES = 12
_ID = re.compile(rb"gw1(a?)\.([A-Za-z0-9_-]{0,400})\.[A-Za-z0-9_-]{16}")


def session_id_for(body: bytes) -> bytes | None:
    """The session's id for a client whose request is an `initialize`; None for every other request."""
    if b'"initialize"' not in body:
        return None
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("method") != "initialize":
        return None
    name = _name_in(message)
    told = base64.urlsafe_b64encode(name.encode("utf-8", "replace")).rstrip(b"=")
    kind = b"gw1a" if _shows_apps(message) else b"gw1"
    return b".".join((kind, told, secrets.token_urlsafe(NUMBER_BYTES).encode()))


def is_session_id(text: str) -> bool:
    """Whether it looks like one of ours."""
    return _ID.fullmatch(text.encode()) is not None


def name_from(session_id: bytes | None) -> str:
    """The name of the client that sends this id; empty when it is none of ours."""
    found = None if session_id is None else _ID.fullmatch(session_id)
    if found is None:
        return ""
    try:
        name = base64.urlsafe_b64decode(found[2] + b"=" * (-len(found[2]) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
    return name[:NAME_CHARS_MAX]


def shows_apps(session_id: bytes | None) -> bool:
    """Whether the client that sends this id said that it shows MCP Apps."""
    found = None if session_id is None else _ID.fullmatch(session_id)
    return found is not None and bool(found[1])


def _shows_apps(message: dict[str, object]) -> bool:
    match message:
        case {"params": {"capabilities": {"extensions": {**extensions}}}}:
            settings = extensions.get(EXTENSION)
            return isinstance(settings, Mapping) and has_our_type(settings)
        case _:
            return False


def _name_in(message: dict[str, object]) -> str:
    params = message.get("params")
    info = params.get("clientInfo") if isinstance(params, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name[:NAME_CHARS_MAX] if isinstance(name, str) else ""
