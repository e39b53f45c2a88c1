"""What makes two reviewers two, and how that is said: definitions, which decide nothing. Pure.

Only the principal is known to the server; names and models are what their bearers say. Source: docs/protocol.md,
rule 9.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

PRINCIPAL, AGENT, FAMILY = "principal", "agent", "family"

# What stands before the name of a model, by whom or where it is offered.
VENDORS = frozenset(
    {"anthropic", "openai", "google", "meta", "mistralai", "amazon", "azure", "bedrock", "vertex", "openrouter"}
    | {"models", "us", "eu", "apac", "global"}
)
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Words:
    """What is counted: `one` of it, `others` of it, and by what a reviewer counts as another, as it is told."""

    one: str
    others: str
    told: str


WORDS: Mapping[str, Words] = {
    PRINCIPAL: Words(
        "principal",
        "principals",
        "You count as another than the author by your principal, which is authenticated.",
    ),
    AGENT: Words(
        "agent",
        "agents as they declare themselves",
        "You count as another than the author by your principal, authenticated, and your name, declared.",
    ),
    FAMILY: Words(
        "family of models",
        "model families as they are declared",
        "You count as another than the author by your principal, authenticated, and name and model, declared.",
    ),
}


def family(model: str | None) -> str | None:
    """The family of a declared model: the first word of its name that names no vendor or region (`claude`, `gpt`)."""
    words = _WORD.findall((model or "").lower())
    return next((word for word in words if word not in VENDORS), words[0] if words else None)


def as_compared(name: str) -> str:
    """A declared name by which two are told apart: its letters and digits, whatever their case; itself without any.

    A blank, a hyphen or a capital more makes nobody another.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(filter(str.isalnum, folded)) or folded
