"""The board's page: one text without a request to anywhere else, put together from the files beside this one."""

import base64
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

SCRIPTS = ("text.js", "asking.js", "showing.js", "living.js")


class Via(StrEnum):
    """Where the page is opened, and so how it asks and who may."""

    APP = "app"
    """By the host of an MCP App, which passes on what it asks."""
    LOCAL = "local"
    """From `gatewright board`, by a link that is good once."""
    TEAM = "team"
    """From `gatewright serve`, with a token that the person gives."""


@cache
def page(via: Via) -> str:
    """The whole page. Blocking, once."""
    frame = _read("page.html").replace("{via}", via)
    return frame.replace("{style}", _style()).replace("{script}", _script())


@cache
def headers() -> Mapping[str, str]:
    """What goes with the page over HTTP: nothing runs in it but its own script, and it is shown in no other page."""
    policy = (
        "default-src 'none'",
        f"script-src '{_hash(_script())}'",
        f"style-src '{_hash(_style())}'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


@cache
def _script() -> str:
    return "".join(_read(name) for name in SCRIPTS)


@cache
def _style() -> str:
    return _read("page.css")


def _hash(text: str) -> str:
    """As a content security policy names a script or a style in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
