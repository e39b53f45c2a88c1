"""Links that a person clicks to have an editor add the server by itself."""

import base64
import json
from urllib.parse import quote

from .client import NAME, JsonObject


def cursor_links(entry: JsonObject) -> tuple[str, ...]:
    """Cursor asks before it adds what the link names."""
    config = base64.b64encode(_compact(entry).encode()).decode()
    return (f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={quote(config, safe='')}",)


def vscode_links(entry: JsonObject) -> tuple[str, ...]:
    """VS Code asks before it adds what the link names."""
    return (f"vscode:mcp/install?{quote(_compact({'name': NAME, **entry}), safe='')}",)


def _compact(value: JsonObject) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
