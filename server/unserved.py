"""What a bridge answers where there is no repository to serve: a server without tools whose instructions say why.

Some clients end themselves when a required server cannot be initialized (codex does), and they are started in folders
that are no repository too. Standard library only: this stands on the bridge's path.
"""

from .. import __version__

# What the SDK speaks; `tests/conformance/test_unserved.py` holds them together.
HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSION = "2026-07-28"

_SERVER = {"name": "gatewright", "version": __version__}
# Some clients ask for all of them at their start, declared or not.
_LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
_CAPABILITIES = {"tools": {"listChanged": False}}


def answer(request: dict[str, object], sentence: str) -> dict[str, object] | None:
    """The result of a request about the server itself; None for any other, which is an error with the sentence."""
    match request:
        case {"method": "initialize", "params": {"protocolVersion": str(version)}}:
            return {
                "protocolVersion": version if version in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
                "capabilities": _CAPABILITIES,
                "serverInfo": _SERVER,
                "instructions": sentence,
            }
        case {"method": "server/discover"}:
            return {
                "supportedVersions": [STATELESS_VERSION],
                "capabilities": _CAPABILITIES,
                "instructions": sentence,
                **_complete(),
            }
        case {"method": str(method)} if method in _LISTS:
            return {_LISTS[method]: [], **_complete()}
        case {"method": "ping"}:
            return {}
        case _:
            return None


def _complete() -> dict[str, object]:
    # Not to be kept: the folder may become a repository.
    return {
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": _SERVER},
    }
