"""Globs over paths of a repository, and the words that are substituted in them; pure.

A path is what git says: segments joined by `/`, no leading slash. A glob is a path in which, within one segment, `*` is
any run of characters, `?` is one character and `[a-z]` or `[!a-z]` one of a class; a segment `**` is any number of
segments. Dots at the front are nothing special and case counts. Nothing matches by surprise:

- `src/**` is every file below `src`, at any depth, and never a file `src` itself;
- `src` is the path `src` alone (a file, a link or a submodule), not what lies below it;
- `src/`, `/src`, `./src`, `a//b`, `../x`, `a**b` and an open `[` are refused: they would match nothing.

To name a character that means something here, put it into a class: `[*]`, `[?]`, `[[]`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

PLACEHOLDERS = ("change", "stage")
TASK_PLACEHOLDER = "task"

# A character of a glob as the code points that it accepts, `*` as None; likewise a segment, and `**` as None.
Ranges = tuple[tuple[int, int], ...]
Segment = tuple[Ranges | None, ...]
Segments = tuple[Segment | None, ...]
T = TypeVar("T")

_SLASH = ord("/")
_CODE_POINT_MAX = 0x10FFFF
_TOKEN = re.compile(r"\[(?P<negated>!?)(?P<members>\]?[^]]*)\]|(?P<literal>.)", re.DOTALL)
_BRACES = re.compile(r"\{[^{}]*\}?|\}")
# What may stand for a placeholder: nothing that a glob, a shell or a path would read as more than a name.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class GlobInvalid(ValueError):
    """A glob or placeholder that the policy's checks would have refused; `str()` is the sentence."""


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether any of the globs matches the whole path; without globs none does. Raises `GlobInvalid`."""
    return _compile(tuple(globs)).fullmatch(path) is not None


def overlap(globs_a: Sequence[str], globs_b: Sequence[str]) -> tuple[str, str] | None:
    """The first two globs, one of each side, that one path could match both; None when no path can.

    It never misses a pair. It may name one too many where only the segments `.` or `..` would match both. Raises
    `GlobInvalid` for a wrong glob.
    """
    for one in globs_a:
        for other in globs_b:
            if _meet(_with_something_below(_segments(one)), _with_something_below(_segments(other)), _segments_meet):
                return one, other
    return None


def escape(path: str) -> str:
    """The glob that matches this path, and no other unless the path holds a character that no glob may."""
    return re.sub(r"[\\\x00-\x1f\x7f]", "?", re.sub(r"[*?[]", r"[\g<0>]", path))


def substitute(text: str, *, change: str, stage: str, task: str | None = None) -> str:
    """A glob or path with `{change}`, `{stage}` and, when there is a task, `{task}` filled in.

    Raises `GlobInvalid` for anything else in braces and for a value that is more than a plain name.
    """
    complaint = check_placeholders(text, PLACEHOLDERS if task is None else (*PLACEHOLDERS, TASK_PLACEHOLDER))
    if complaint is not None:
        raise GlobInvalid(complaint)
    return fill(text, change=change, stage=stage, task=task)


def fill(text: str, *, change: str, stage: str, task: str | None = None) -> str:
    """Any text with the same words filled in and all other braces left as they are.

    Commands, patterns and sentences have braces of their own. Raises `GlobInvalid` for a value that is more than a
    plain name, so that it can be neither an option nor a command of the shell.
    """
    values = {"change": change, "stage": stage} | ({TASK_PLACEHOLDER: task} if task is not None else {})
    for name, value in values.items():
        if not _PLAIN_NAME.fullmatch(value):
            raise GlobInvalid(f"{value!r} cannot stand for {{{name}}}: it is not a plain name")
    return re.sub("|".join(rf"\{{{name}\}}" for name in values), lambda found: values[found[0][1:-1]], text)


def check_placeholders(text: str, known: Sequence[str] = PLACEHOLDERS) -> str | None:
    """What is wrong with the braces of a text in which only `known` are substituted, as a sentence; None if nothing."""
    for found in _BRACES.findall(text):
        if found in {f"{{{name}}}" for name in known}:
            continue
        if "," in found:
            return f"{found!r} is not expanded; write one glob for each alternative"
        only = f"only {' and '.join(f'{{{name}}}' for name in known)} are" if known else "nothing is, here"
        return f"{found!r} is not substituted ({only}); for a brace in the name of a file write '?'"
    return None


def check_glob(glob: str) -> str | None:
    """Why no path could match this glob as it was meant, as a sentence with the remedy; None when it is well formed."""
    if not glob or glob.startswith("/"):
        return f"{glob!r} must be relative to the repository's root"
    if glob.endswith("/"):
        return f"{glob!r} names a directory and would match nothing; write '{glob}**' for all that lies below it"
    if "\\" in glob or any(ord(character) < 32 or ord(character) == 127 for character in glob):
        return f"{glob!r} holds a backslash or a control character; segments are joined by '/'"
    complaints = (_check_segment(segment) for segment in glob.split("/"))
    return next((f"{glob!r} {complaint}" for complaint in complaints if complaint is not None), None)


def _check_segment(segment: str) -> str | None:
    if segment in {"", ".", ".."}:
        return f"holds the segment {segment!r}, which no path of a repository has"
    if segment == "**":
        return None
    literals = [token["literal"] for token in _TOKEN.finditer(segment)]
    if any(pair == ("*", "*") for pair in pairwise(literals)):
        return "holds '**' inside a segment; it crosses directories as a segment of its own, as in 'src/**/test_*.py'"
    if "[" in literals:
        return "opens a class with '[' and does not close it; write [[] for the character itself"
    if () in _tokens(segment):
        return "holds a class that no character is in"
    return None


@lru_cache(maxsize=512)
def _compile(globs: tuple[str, ...]) -> re.Pattern[str]:
    names, others = [], []
    for segments in map(_segments, dict.fromkeys(globs)):
        if segments[0] is None and len(segments) == 2 and segments[1] is not None:
            names.append(_segment_regex(segments[1]))
        else:
            others.append(_regex(segments))
    # Names that count in every folder share one walk down the path: a policy has dozens of them.
    anywhere = [f"(?:[^/]+/)*(?:{'|'.join(names)})"] if names else []
    # `(?!)` matches nothing; an empty pattern would match the empty path.
    return re.compile("|".join([*others, *anywhere]) or "(?!)", re.DOTALL)


@lru_cache(maxsize=4096)
def _segments(glob: str) -> Segments:
    complaint = check_glob(glob)
    if complaint is not None:
        raise GlobInvalid(complaint)
    return tuple(None if segment == "**" else _tokens(segment) for segment in glob.split("/"))


def _tokens(segment: str) -> Segment:
    return tuple(
        None if token["literal"] == "*" else _ranges(token["literal"], token["members"], token["negated"])
        for token in _TOKEN.finditer(segment)
    )


def _ranges(literal: str | None, members: str | None, negated: str | None) -> Ranges:
    """The code points of one character of a glob, sorted and apart; a slash is never among them."""
    if members is None:
        assert literal is not None
        return _complement([(_SLASH, _SLASH)]) if literal == "?" else ((ord(literal), ord(literal)),)
    accepted = [(ord(one[0]), ord(one[-1])) for one in re.findall(r".-.|.", members, re.DOTALL)]
    accepted = sorted((low, high) for low, high in accepted if low <= high)
    outside = _complement([*accepted, (_SLASH, _SLASH)])
    return outside if negated else _complement([*outside, (_SLASH, _SLASH)])


def _complement(ranges: Iterable[tuple[int, int]]) -> Ranges:
    gaps, free_from = [], 0
    for low, high in sorted(ranges):
        if low > free_from:
            gaps.append((free_from, low - 1))
        free_from = max(free_from, high + 1)
    if free_from <= _CODE_POINT_MAX:
        gaps.append((free_from, _CODE_POINT_MAX))
    return tuple(gaps)


def _regex(segments: Segments) -> str:
    """The segments as a regular expression that does not go back over more than one `**` or `*` at a time.

    What stands between two `**` has a fixed length, so the first place where it fits is as good as any later one, and
    an atomic group may hold on to it. A hostile name of a file can thus not make a glob of many stars run for ever.
    """
    first, *middle = _split(segments)
    if not middle:
        return "/".join(map(_segment_regex, first))
    *middle, last = middle
    parts = [_slashed(first)]
    parts += [f"(?>(?:[^/]+/)*?{_slashed(run)})" for run in middle]
    parts.append("(?:[^/]+/)*" + ("/".join(map(_segment_regex, last)) or "[^/]+"))
    return "".join(parts)


def _slashed(segments: Sequence[Segment]) -> str:
    return "".join(f"{_segment_regex(segment)}/" for segment in segments)


def _segment_regex(segment: Segment) -> str:
    first, *middle = _split(segment)
    if not middle:
        return "".join(map(_character_regex, first))
    *middle, last = middle
    if not (first or last or any(middle)):
        return "[^/]+"
    parts = ["".join(map(_character_regex, first))]
    parts += ["(?>[^/]*?" + "".join(map(_character_regex, run)) + ")" for run in middle if run]
    parts.append("[^/]*" + "".join(map(_character_regex, last)))
    return "".join(parts)


def _character_regex(ranges: Ranges) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    return "[" + "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges) + "]"


def _split(sequence: Sequence[T | None]) -> list[list[T]]:
    """The runs between the Nones; always one run more than there are Nones."""
    runs: list[list[T]] = [[]]
    for item in sequence:
        if item is None:
            runs.append([])
        else:
            runs[-1].append(item)
    return runs


def _with_something_below(segments: Segments) -> Segments:
    """A `**` at the end stands for at least one segment, elsewhere for none or more; here it is spelt out as `*/**`."""
    return (*segments[:-1], (None,), None) if segments[-1] is None else segments


def _segments_meet(one: Segment, other: Segment) -> bool:
    return _meet(one, other, _ranges_meet)


def _ranges_meet(one: Ranges, other: Ranges) -> bool:
    return any(low <= other_high and other_low <= high for low, high in one for other_low, other_high in other)


def _meet(one: Sequence[T | None], other: Sequence[T | None], fit: Callable[[T, T], bool]) -> bool:
    """Whether some sequence is matched by both, where None matches any run of items."""
    seen: set[tuple[int, int]] = set()
    waiting = [(0, 0)]
    while waiting:
        i, j = place = waiting.pop()
        if place in seen or i > len(one) or j > len(other):
            continue
        seen.add(place)
        if i == len(one) and j == len(other):
            return True
        if None in one[i : i + 1] or None in other[j : j + 1]:
            # A run of any items ends here, or takes in what the other side has next.
            waiting += [(i + 1, j), (i, j + 1)]
        elif i < len(one) and j < len(other):
            mine, yours = one[i], other[j]
            if mine is not None and yours is not None and fit(mine, yours):
                waiting.append((i + 1, j + 1))
    return False
