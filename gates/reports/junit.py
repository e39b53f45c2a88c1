"""Read JUnit XML as test cases with ids of their own, and the place where each failed. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ..text import clean_text, shorten
from .junit_xml import PYTEST, JUnitCase, read_junit
from .reported import MESSAGE_CHARS_MAX, ReportUnreadable

ID_CHARS_MAX = 1_000
PLACES_MAX = 100

Result = Literal["passed", "failed", "errored", "skipped"]

# Frames in code that is not the project's.
_FOREIGN = ("node_modules/", "site-packages/", "/lib/python", "node:internal")
_PLACE = re.compile(r"(?<![\w./\\-])((?:[\w.-]*[/\\])*[\w-][\w.-]{0,200}\.\w{1,8}):(\d{1,7})(?!\d)")
_FILE = re.compile(r"/[^\n]{1,900}\.\w{1,8}")
_NOT_RUN = frozenset({"notrun", "disabled", "skipped", "suppressed", "ignored"})
# Node's runner gives every test this class, and names what tests belong to as suites around them.
_NODE = "test"
# A message that says no more than the outcome does.
_EMPTY_MESSAGES = frozenset({"", "failed", "failure", "error", "test failed"})


@dataclass(frozen=True)
class TestCase:
    """One test of a report; `id` is unique in it. `line` counts from 1."""

    __test__ = False  # its name makes pytest look for tests in it

    id: str
    outcome: Result
    path: str | None
    line: int | None
    message: str


def parse_junit(data: bytes, bytes_max: int) -> tuple[TestCase, ...]:
    """Return the cases of a JUnit report in its order, an id that occurs again with `#2`, `#3`.

    Raises `ReportUnreadable` for what is too large, not complete, not JUnit, or contradicts itself.
    """
    if len(data) > bytes_max:
        raise ReportUnreadable(f"The report has {len(data)} bytes, more than {bytes_max}.")
    if not data.strip():
        raise ReportUnreadable("The report is empty.")
    return tuple(_with_distinct_ids(map(_make_case, read_junit(data))))


def _with_distinct_ids(cases: Iterable[TestCase]) -> Iterable[TestCase]:
    seen: Counter[str] = Counter()
    taken: set[str] = set()
    for case in cases:
        name = case.id
        while name in taken:
            seen[case.id] += 1
            name = f"{case.id}#{seen[case.id] + 1}"
        taken.add(name)
        yield replace(case, id=name)


def _make_case(case: JUnitCase) -> TestCase:
    outcome = _outcome_of(case)
    element = {"failed": "failure", "errored": "error", "skipped": "skipped"}.get(outcome, "")
    message, text = map(clean_text, case.told.get(element, ("", "")))
    path, line = _place_of(case, text)
    return TestCase(
        id=_id_of(case),
        outcome=outcome,
        path=path,
        line=line,
        message=shorten(
            (message if message.strip().lower() not in _EMPTY_MESSAGES else text).strip(), MESSAGE_CHARS_MAX
        ),
    )


def _outcome_of(case: JUnitCase) -> Result:
    if case.elements["failure"]:
        return "failed"
    if case.elements["error"]:
        return "errored"
    told = {case.attributes.get(name, "").lower() for name in ("status", "result")}
    return "skipped" if case.elements["skipped"] or told & _NOT_RUN else "passed"


def _id_of(case: JUnitCase) -> str:
    name = case.attributes.get("name", "")
    owner = case.attributes.get("classname") or case.suite.get("name", "")
    if owner == _NODE and case.within:
        owner = "::".join(case.within)
    parts = [part for part in (owner, name) if part]
    # Some programs put the whole name into both.
    return shorten(clean_text("::".join(dict.fromkeys(parts)) or "unnamed").replace("\n", " "), ID_CHARS_MAX)


def _place_of(case: JUnitCase, text: str) -> tuple[str | None, int | None]:
    path = clean_text(case.attributes.get("file") or case.suite.get("file", "")) or None
    given = case.attributes.get("line", "")
    # pytest counts lines from 0 here, and everybody else from 1.
    start = int(given) + (PYTEST in case.suite.get("name", "")) if re.fullmatch("[0-9]{1,7}", given) else None
    places = []
    for match in _PLACE.finditer(text):
        places.append((match[1], int(match[2])))
        if len(places) == PLACES_MAX:
            break
    own = [place for place in places if not any(folder in place[0] for folder in _FOREIGN)]
    same = [place for place in own if path is not None and _is_same_file(place[0], path)]
    if same:
        return path, same[-1][1]
    if path is not None:
        return path, start
    if own:
        return own[0]
    # Node calls what failed before there was a test by the path of its file.
    name = case.attributes.get("name", "")
    return (clean_text(name), None) if _FILE.fullmatch(name) else (None, None)


def _is_same_file(one: str, other: str) -> bool:
    """Whether both may name one file, from the root or from a folder above it."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")
