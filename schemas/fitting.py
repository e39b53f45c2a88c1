"""Keep replies within what every client shows: clients cut long results, and what they cut nobody has read.

Lists that can be asked for again are cut to what fits and the reply says how many there are; texts are told in pages;
everything else is shortened as far as it must be.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from .prose import text_of_fields
from .replies import Reply

R = TypeVar("R", bound=Reply)
M = TypeVar("M", bound=BaseModel)

REPLY_BYTES_MAX = 9_500
# Tried in this order until the reply fits: how long a text and a list may still be, and whether findings are touched.
SHORTENINGS = (
    (2_000, 50, False),
    (1_000, 30, False),
    (500, 20, False),
    (250, 20, False),
    (160, 12, False),
    (120, 6, False),
    (80, 3, False),
    (160, 6, True),
    (80, 3, True),
    (40, 2, True),
    (20, 1, True),
)
DOTS = "..."
# What only works whole, and what is told in pages that were made to fit.
NEVER_SHORTENED = frozenset(
    {"lease", "workspace", "commit", "base_commit", "evaluation", "next", "text", "output", "adopt", "how"}
)
# Paged like those: none of them is left out, but where nothing else helps their texts are cut.
FINDINGS = "findings"


@dataclass(frozen=True, slots=True)
class Fitted(Generic[R]):
    """A reply that fits, and its two forms: JSON values and text."""

    reply: R
    content: dict[str, Any]  # JSON
    text: str


def fit(reply: R) -> R:
    """The reply, its longest texts and lists shortened until both of its forms fit. Ids and `next` stay whole."""
    return fit_forms(reply).reply


def fit_forms(reply: R) -> Fitted[R]:
    """`fit`, with both forms: each is made once, because that takes longer than most questions to the store."""
    whole = fitted = _forms(reply)
    for chars_max, items_max, are_findings_cut in SHORTENINGS:
        if size_of(fitted.content) <= REPLY_BYTES_MAX:
            fitted = _densely(fitted)
            if len(fitted.text.encode()) <= REPLY_BYTES_MAX:
                break
        cut = _Cut(chars_max, items_max, are_findings_cut)
        fitted = _forms(type(reply).model_validate(cut.of(whole.content)))
    return _densely(fitted)


def fitting(items: Sequence[M], bytes_max: int) -> tuple[M, ...]:
    """As many of the first items as fit, at least one."""
    used, told = 0, 0
    for item in items:
        used += size_of(item.model_dump(mode="json"))
        if told and used > bytes_max:
            break
        told += 1
    return tuple(items[:told])


def page_of(text: str, offset: int, bytes_max: int) -> str:
    """The longest piece from `offset` (characters) on that takes at most `bytes_max` bytes in JSON."""
    low, high = 0, min(len(text) - min(offset, len(text)), bytes_max)
    while low < high:
        middle = (low + high + 1) // 2
        if size_of(text[offset : offset + middle]) <= bytes_max:
            low = middle
        else:
            high = middle - 1
    return text[offset : offset + low]


def size_of(value: object) -> int:
    """Bytes of a JSON value as it travels."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _forms(reply: R) -> Fitted[R]:
    content = reply.model_dump(mode="json")
    return Fitted(reply, content, text_of_fields(reply.headline(), content))


def _densely(fitted: Fitted[R]) -> Fitted[R]:
    """The same, with a dense text where the other is too long."""
    if len(fitted.text.encode()) <= REPLY_BYTES_MAX:
        return fitted
    text = text_of_fields(fitted.reply.headline(), fitted.content, is_dense=True)
    return Fitted(fitted.reply, fitted.content, text)


@dataclass(frozen=True, slots=True)
class _Cut:
    """How far a JSON value is shortened."""

    chars_max: int
    items_max: int
    are_findings_cut: bool

    def of(self, value: object) -> object:
        match value:
            case str() if len(value) > self.chars_max:
                return value[: self.chars_max - len(DOTS)] + DOTS
            case list():
                return [self.of(item) for item in value[: self.items_max]]
            case dict():
                return {name: self._field(name, part) for name, part in value.items()}
            case _:
                return value

    def _field(self, name: str, value: object) -> object:
        if name in NEVER_SHORTENED:
            return value
        if name == FINDINGS and isinstance(value, list):
            return [self.of(item) for item in value] if self.are_findings_cut else value
        return self.of(value)
