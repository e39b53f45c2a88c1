"""Regular expressions that a policy gives, and that are let loose on text which an artifact had a hand in; pure.

A repeated group that itself repeats, may be left out or has alternatives can be read in exponentially many ways, and a
back reference is no faster: such patterns are refused when the pipeline is loaded. The policy's author is trusted and
may err; what is left takes polynomial time on the lines of others, so callers cut those at `LINE_CHARS_MAX`, and
search much hostile text in a process with a deadline.
"""

import re
from dataclasses import dataclass

PATTERN_CHARS_MAX = 400
LINE_CHARS_MAX = 2_000

# `{` that begins no quantifier is an ordinary character.
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,\d*\}|\{\d+\}")
_AT_MOST_ONCE = frozenset({"?", "{1}", "{0,1}", "{,1}"})
_REPEATED = re.compile(r"(?P<part>\\[dw]|\[[^]]*\]|\w)\{(?P<count>\d{1,2})(?:,\d*)?\}")
_ALTERNATIVES = re.compile(r"\((?:\?:)?([^()|]+)\|[^()]*\)")
_EXAMPLES = (
    *((r"\d", "1"), ("[0-9]", "1"), ("[1-9]", "1"), (r"\w", "A"), ("[A-Z]", "A"), ("[a-z]", "a"), ("[A-Z0-9]", "A")),
    *(("[A-Za-z]", "A"), ("[a-zA-Z]", "A"), ("[a-z0-9]", "a"), ("[A-Za-z0-9]", "A"), ("[a-zA-Z0-9]", "A")),
)
_GROUP_START = re.compile(r"\((?:(?!\?)|\?(?:P<\w+>|<[=!]|[=!>]|(?P<flags>[a-zA-Z]*(?:-[a-zA-Z]+)?)(?P<end>[:)])))")


@dataclass(slots=True)
class _Group:
    """Whether what stands in a group can match the same text in several ways when the group is repeated."""

    varies: bool = False


def read_pattern(text: str, *, option: str) -> re.Pattern[str]:
    """Compile the value of an option. Raises ValueError, naming the option, for what is wrong or could run for ever."""
    if len(text) > PATTERN_CHARS_MAX:
        raise ValueError(f"{option} has more than {PATTERN_CHARS_MAX} characters")
    try:
        found = re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{option} is not a regular expression: {exc}") from exc
    reason = _danger(text)
    if reason is not None:
        raise ValueError(f"{option} {reason}")
    return found


def example_of(pattern: str) -> str | None:
    """A text that the pattern matches as a whole, found by writing its commonest parts out."""
    text = _ALTERNATIVES.sub(r"\1", pattern)
    text = _REPEATED.sub(lambda found: found["part"] * int(found["count"]), text)
    for part, example in _EXAMPLES:
        text = text.replace(part, example)
    text = re.sub(r"[+*?]|\(\?:|[()^$]|\\b", "", text).replace("\\", "")
    return text if text and re.fullmatch(pattern, text) else None


def _danger(text: str) -> str | None:
    """Why the pattern, which compiles, is refused; None when it is not."""
    open_groups = [_Group()]
    # What a quantifier that follows would repeat, when that is a group.
    last: _Group | None = None
    at = 0
    while at < len(text):
        if quantifier := _QUANTIFIER.match(text, at):
            if last is not None and last.varies and quantifier[0] not in _AT_MOST_ONCE:
                return "repeats a group that repeats or has alternatives; that can run for ever"
            open_groups[-1].varies |= not re.fullmatch(r"\{\d+\}", quantifier[0])
            at = quantifier.end()
            # Lazy or possessive.
            at += text[at : at + 1] in ("?", "+")
            last = None
        elif text[at] == "(":
            start = _GROUP_START.match(text, at)
            if start is None or "x" in (start["flags"] or ""):
                return "has a back reference, a condition, a comment or the flag x, which are not supported"
            at = start.end()
            if start["end"] != ")":
                open_groups.append(_Group())
        elif text[at] == ")":
            last = open_groups.pop()
            open_groups[-1].varies |= last.varies
            at += 1
        elif text[at] == "|":
            open_groups[-1].varies = True
            last, at = None, at + 1
        elif text[at] == "\\" and text[at + 1 : at + 2] in "123456789":
            return "has a back reference, which is not supported"
        else:
            last, at = None, _after_character(text, at)
    return None


def _after_character(text: str, at: int) -> int:
    """The end of the character, escape or class that begins here."""
    if text[at] != "[":
        return at + (2 if text[at] == "\\" else 1)
    # `]` as the first of a class is one of its characters.
    at += 2 if text[at + 1] == "^" else 1
    at += text[at] == "]"
    while text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    return at + 1
