"""What programs report, as plain values: JUnit XML and lines of the form `path:line: message`. Pure.

Reports are written by programs that run the artifact, so they are hostile input: bounded size and number, clean text,
and no expression that could take more than linear time.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from .junit import PYTEST, JUnitCase, ReportUnreadable, read_junit
from .text import clean_text, shorten

__all__ = ["ReportUnreadable", "ReportedLine", "TestCase", "parse_junit", "parse_lines"]

MESSAGE_CHARS_MAX = 1_000
ID_CHARS_MAX = 1_000
PLACES_MAX = 100
LINES_MAX = 100_000
LINE_CHARS_MAX = 2_000
REPORTED_MAX = 10_000

Result = Literal["passed", "failed", "errored", "skipped"]
Severity = Literal["error", "warning", "note"]

# Frames in code that is not the project's.
_FOREIGN = ("node_modules/", "site-packages/", "/lib/python", "node:internal")
_PLACE = re.compile(r"(?<![\w./\\-])((?:[\w.-]*[/\\])*[\w-][\w.-]{0,200}\.\w{1,8}):(\d{1,7})(?!\d)")
_NOT_RUN = frozenset({"notrun", "disabled", "skipped", "suppressed", "ignored"})
# A message that says no more than the outcome does.
_EMPTY_MESSAGES = frozenset({"", "failed", "failure", "error", "test failed"})

_SEVERITIES: dict[str, Severity] = {
    "fatal error": "error",
    "fatal": "error",
    "error": "error",
    "warning": "warning",
    "note": "note",
    "info": "note",
    "information": "note",
    "hint": "note",
    "help": "note",
}
# path:1: message, path:1:2: message, path:1:2 - message
_COLONS = re.compile(r"(?P<path>[^\s:][^:]{0,400}):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?(?::| -)\s+(?P<rest>\S.*)")
# path(1): message, path(1,2): message
_PARENTHESES = re.compile(
    r"(?P<path>[^\s:()][^:()]{0,400})\((?P<line>\d{1,9})(?:,(?P<column>\d{1,9}))?\)\s?:\s+(?P<rest>\S.*)"
)
_SEVERITY = re.compile(
    r"(?P<severity>fatal error|fatal|error|warning|note|information|info|hint|help)\b(?:\[(?P<rule>[\w-]{1,80})\])?"
    r"(?::\s*|\s+(?=[A-Z]{1,6}\d))",
    re.IGNORECASE,
)
_RULE_FIRST = re.compile(r"(?P<rule>[A-Z]{1,6}\d{1,6})(?::|\s)\s*")
_RULE_LAST = re.compile(r"\s[\[(](?P<rule>[A-Za-z@-][\w./@-]{1,100})[\])]$")
_EXTENSION_CHARS_MAX = 12
_FILES_WITHOUT_EXTENSION = frozenset({"Makefile", "makefile", "Dockerfile", "Rakefile", "Gemfile"})


@dataclass(frozen=True)
class TestCase:
    """One test of a report; `id` is unique in it. `line` counts from 1."""

    __test__ = False  # its name makes pytest look for tests in it

    id: str
    outcome: Result
    path: str | None
    line: int | None
    message: str


@dataclass(frozen=True)
class ReportedLine:
    """One message of a compiler or linter, at a place; `severity` is "error" unless the line says otherwise."""

    path: str
    line: int
    column: int | None
    rule: str | None
    message: str
    severity: Severity


def parse_junit(data: bytes, bytes_max: int) -> tuple[TestCase, ...]:
    """Return the cases of a JUnit report in its order, an id that occurs again with `#2`, `#3`.

    Raises `ReportUnreadable` for what is too large, not complete, not JUnit, or contradicts itself.
    """
    if len(data) > bytes_max:
        raise ReportUnreadable(f"The report has {len(data)} bytes, more than {bytes_max}.")
    if not data.strip():
        raise ReportUnreadable("The report is empty.")
    return tuple(_with_distinct_ids(map(_make_case, read_junit(data))))


def parse_lines(text: str) -> tuple[ReportedLine, ...]:
    """Return the messages in `text` that name a file and a line, as compilers and linters print them.

    Other lines are ignored, and so is what looks like a place but names no file, such as a host and a port.
    """
    found: list[ReportedLine] = []
    for line in clean_text(text).split("\n", LINES_MAX)[:LINES_MAX]:
        if len(found) == REPORTED_MAX:
            break
        reported = _parse_line(line[:LINE_CHARS_MAX].strip())
        if reported is not None:
            found.append(reported)
    return tuple(found)


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
    same = [place for place in own if path is not None and (place[0] == path or place[0].endswith(f"/{path}"))]
    if same:
        return path, same[-1][1]
    if path is not None:
        return path, start
    return own[0] if own else (None, None)


def _parse_line(line: str) -> ReportedLine | None:
    # `go vet` puts its name before the place.
    match = _COLONS.fullmatch(line.removeprefix("vet: ")) or _PARENTHESES.fullmatch(line)
    if match is None or not _names_file(match["path"]) or int(match["line"]) == 0:
        return None
    rest, severity, rule = match["rest"], None, None
    if told := _SEVERITY.match(rest):
        severity, rule, rest = _SEVERITIES[told["severity"].lower()], told["rule"], rest[told.end() :]
    if rule is None and (first := _RULE_FIRST.match(rest)):
        rule, rest = first["rule"], rest[first.end() :]
    if rule is None and (last := _RULE_LAST.search(rest)):
        rule, rest = last["rule"], rest[: last.start()]
        # eslint's unix format: [Error/no-undef]
        prefix, slash, name = rule.partition("/")
        if slash and prefix.lower() in _SEVERITIES:
            severity, rule = _SEVERITIES[prefix.lower()], name
    return ReportedLine(
        path=match["path"].removeprefix("./"),
        line=int(match["line"]),
        column=int(match["column"]) if match["column"] else None,
        rule=rule,
        message=shorten(rest.strip() or match["rest"], MESSAGE_CHARS_MAX),
        severity=severity or "error",
    )


def _names_file(path: str) -> bool:
    name = re.split(r"[/\\]", path)[-1]
    extension = name.rpartition(".")[2]
    has_extension = extension != name and len(extension) <= _EXTENSION_CHARS_MAX
    return name in _FILES_WITHOUT_EXTENSION or (has_extension and extension.isalnum() and not extension.isdigit())
