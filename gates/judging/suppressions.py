"""Comments that tell a checker to look away; pure."""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

_MARK = re.compile(
    r"#\s*(?:(?:ruff|flake8):\s*noqa|noqa\b|ruff:\s*(?:disable|ignore|file-ignore)|type:\s*ignore|ty:\s*ignore"
    r"|pyright:\s*(?:ignore|basic|report)|pyrefly:\s*ignore|mypy:\s*[a-z]|pylint:\s*(?:disable|skip)"
    r"|pyre-(?:ignore|fixme)|pytype:\s*(?:disable|skip)|pragma:\s*no\s*(?:cover|branch)|nosec\b"
    # What ruff's formatter and its sorting of imports look away for.
    r"|fmt:\s*(?:off|skip)|yapf:\s*disable|(?:ruff:\s*)?isort:\s*(?:off|skip))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment; `text` is its whole line."""

    line: int
    text: str


def find_suppressions(source: bytes) -> tuple[Suppression, ...]:
    """The suppressing comments of a Python file; in one that cannot be read as Python, every line that looks so."""
    text = source.decode("utf-8", "replace")
    if not _MARK.search(text):
        return ()
    lines = text.split("\n")
    try:
        numbers = [line for line, comment in _comments(text) if _MARK.search(comment)]
    except (tokenize.TokenError, SyntaxError, RecursionError):
        numbers = [number for number, line in enumerate(lines, 1) if _MARK.search(line)]
    return tuple(Suppression(number, lines[number - 1].strip()) for number in numbers)


def marks_of(line: str) -> tuple[str, ...]:
    """What the suppressing comments of a line say, each without the reason that follows: equal ones hide alike."""
    starts = [found.start() for found in _MARK.finditer(line)]
    return tuple(" ".join(line[start:].lstrip("# ").partition("#")[0].lower().split()) for start in starts)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
