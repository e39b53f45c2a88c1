"""What a review says of a commit: objections at places in it. Pure.

One rule for reviews by agents and by programs: what points nowhere helps nobody, so it is refused (rule 9). What is
objected to is a file of the commit, or about one of the base's that the commit took away.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...schemas.records import BLOCKING, REMARK
from ..findings import Problem
from ..machine.reviewing import SAYS_NOTHING, says_nothing
from ..text import clean_text, shorten

RULE = "review"
SATISFY = "Mend it, or say in `answers` why not."
SHOWN_CHARS_MAX = 120
INSPECTED_MAX = 500


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that a reviewer says; `severity` is one of blocking, minor and note, `line` counts from 1."""

    severity: str
    path: str | None
    line: int | None
    message: str


def is_rejected(objections: Collection[Objection]) -> bool:
    """The verdict, computed from what was found."""
    return any(objection.severity == BLOCKING for objection in objections)


def find_contradiction(
    objections: Sequence[Objection],
    inspected: Collection[str],
    *,
    paths: Collection[str],
    contents: Mapping[str, bytes],
) -> str | None:
    """What makes no sense about a review, as a sentence without its full stop; None when it can be taken in.

    `paths` are the files of the commit and of its base; `contents` has each file that an objection names a line of.
    """
    if says_nothing(objections, inspected):
        return SAYS_NOTHING
    for number, objection in enumerate(objections, 1):
        problem = _misplaced(objection, paths, contents)
        if problem is not None:
            return f"Finding {number} {problem}"
    return None


def problems_of(objections: Sequence[Objection], contents: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """The objections as problems, each with the text of the line that it is about."""
    return tuple(
        Problem(
            RULE,
            objection.message,
            objection.path,
            objection.line,
            text=_line_of(objection, contents),
            satisfy=None if objection.severity == REMARK else SATISFY,
            severity=objection.severity,
        )
        for objection in objections
    )


def paths_with_lines(objections: Iterable[Objection]) -> frozenset[str]:
    """The files of which a line is named, whose text has to be read."""
    return frozenset(objection.path for objection in objections if objection.path and objection.line is not None)


def lines_of(data: bytes) -> list[str]:
    """The lines of a file, at least one."""
    lines = data.decode("utf-8", "replace").split("\n")
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _misplaced(objection: Objection, paths: Collection[str], contents: Mapping[str, bytes]) -> str | None:
    if not objection.message.strip():
        return "says nothing"
    if objection.path is None:
        if objection.severity == REMARK and objection.line is None:
            return None
        return "names no file: only a note may be about none; say the file where it would have to be mended"
    shown = shorten(clean_text(objection.path), SHOWN_CHARS_MAX)
    if objection.path not in paths:
        return f"points at '{shown}', which the commit has not"
    if objection.line is None:
        return None
    count = len(lines_of(contents[objection.path])) if objection.path in contents else 0
    if not 1 <= objection.line <= count:
        return f"points at line {objection.line} of '{shown}', which has {count}"
    return None


def _line_of(objection: Objection, contents: Mapping[str, bytes]) -> str:
    data = contents.get(objection.path or "")
    return "" if data is None or objection.line is None else lines_of(data)[objection.line - 1]
