"""What every reader of a report gives, and the bounds that all of them keep. Pure."""

from dataclasses import dataclass
from typing import Literal

from ..text import clean_text, shorten

MESSAGE_CHARS_MAX = 1_000
PATH_CHARS_MAX = 1_000
RULE_CHARS_MAX = 200
ITEMS_MAX = 50_000
LINE_MAX = 10_000_000

Severity = Literal["error", "warning", "note"]
# What a gate takes as a finding is this severe or more.
RANKS: dict[Severity, int] = {"error": 2, "warning": 1, "note": 0}


class ReportUnreadable(Exception):
    """The report cannot be relied on; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One thing that a tool objects to; clean text, `line` and `column` from 1.

    `path` is as the tool says it: relative, or absolute in the tree that the tool was given. Where `is_hidden`, a
    comment or a list kept the tool from objecting.
    """

    path: str | None
    line: int | None
    column: int | None
    rule: str | None
    message: str
    severity: Severity = "error"
    satisfy: str | None = None
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Items in the report's order. `counted` is how much the tool looked at, as far as the report says, of `unit`."""

    items: tuple[Reported, ...]
    counted: int
    unit: str | None = None


def plain_line(text: str, chars_max: int) -> str:
    """The text as one clean line of at most so many characters."""
    return shorten(" ".join(clean_text(text).split()), chars_max)


def plain_path(text: str) -> str:
    """The path, cleaned and shortened; its blanks stay, for they are part of its name."""
    return shorten(clean_text(text).replace("\n", " "), PATH_CHARS_MAX)


def plain_message(text: str) -> str:
    """The text cleaned and shortened; its lines stay."""
    return shorten(clean_text(text).strip(), MESSAGE_CHARS_MAX)


def check_number(items: int) -> None:
    """Refuse more items than anybody compares: what is left out of a report could not be judged."""
    if items > ITEMS_MAX:
        raise ReportUnreadable(f"The report has more than {ITEMS_MAX} entries.")
