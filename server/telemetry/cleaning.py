"""Secrets out of texts that leave this process: by their form, and those that this process was given word for word.

The second line of defence: the first is that nobody writes one. What is no secret of ours and looks like none, such as
a password in a sentence of an agent's, is not known here.
"""

import re
from urllib.parse import unquote

HIDDEN = "***"
# Shorter ones would hide half of every text, and are found by anybody who tries.
SECRET_CHARS_MIN = 5
TOKEN_CHARS_MIN = 12
# What is longer is cut before it is looked through.
TEXT_CHARS_MAX = 64_000

# Whatever begins as ours do, whole or cut: a lease's proof and a token are the rest of it. Then the signed tokens of an
# issuer, what a header or a URL carries, and what follows the word.
_FORMS = (
    (re.compile(r"gwt_[\w.~+/=-]+"), f"gwt_{HIDDEN}"),
    (re.compile(r"gw1\.(c\d+\.[a-z][a-z0-9_-]*\.r?\d+)\.[\w-]+"), rf"gw1.\1.{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s'\"]+@"), f"{HIDDEN}@"),
    (re.compile(r"(passw(?:or)?d['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)", re.IGNORECASE), rf"\1{HIDDEN}"),
)
_known: set[str] = set()


def remember_secrets_of(url: str) -> None:
    """Hide from now on what opens the place that a URL names, as it is written and as it is meant.

    That is its password; over HTTP a long name without one is a token.
    """
    scheme, found, rest = url.partition("://")
    user_info, at, _ = rest.rpartition("@")
    if not (found and at):
        return
    user, _, secret = user_info.partition(":")
    if not secret and scheme in {"http", "https"} and len(user) >= TOKEN_CHARS_MIN:
        secret = user
    _known.update(text for text in (secret, unquote(secret)) if len(text) >= SECRET_CHARS_MIN)


def cleaned(text: str) -> str:
    """The text without secrets."""
    if len(text) > TEXT_CHARS_MAX:
        text = f"{text[:TEXT_CHARS_MAX]}..."
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text
