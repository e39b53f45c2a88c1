"""Read lines of the form `path:line: message`, as most compilers and linters print them. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..text import clean_text
from .reported import (
    MESSAGE_CHARS_MAX,
    RULE_CHARS_MAX,
    Report,
    Reported,
    ReportUnreadable,
    Severity,
    check_number,
    plain_line,
    plain_path,
)

LINES_MAX = 1_000_000
LINE_CHARS_MAX = 2_000

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
_COLONS = re.compile(r"(?P<path>[^\s:][^:]{0,999}):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?(?::| -)\s+(?P<rest>\S.*)")
# path(1): message, path(1,2): message
_PARENTHESES = re.compile(
    r"(?P<path>[^\s:()][^:()]{0,999})\((?P<line>\d{1,9})(?:,(?P<column>\d{1,9}))?\)\s?:\s+(?P<rest>\S.*)"
)
_SEVERITY = re.compile(
    r"(?P<severity>fatal error|fatal|error|warning|note|information|info|hint|help)\b(?:\[(?P<rule>[\w-]{1,80})\])?"
    r"(?::\s*|\s+(?=[A-Z]{1,6}\d))",
    re.IGNORECASE,
)
# ruff marks what it can mend by itself with [*].
_RULE_FIRST = re.compile(r"(?P<rule>[A-Z]{1,6}\d{1,6})(?::|\s)\s*(?:\[\*\]\s+)?")
_RULE_LAST = re.compile(r"\s[\[(](?P<rule>[A-Za-z@-][\w./@-]{1,100})[\])]$")
# pyright explains a message on lines below it, and names the rule at the end of the last.
_RULE_BELOW = re.compile(r"^\s.*\((report[A-Z][A-Za-z]{1,60})\)$")
_EXTENSION_CHARS_MAX = 12
_FILES_WITHOUT_EXTENSION = frozenset({"Makefile", "makefile", "Dockerfile", "Rakefile", "Gemfile"})


def parse_lines(text: str, is_there: Callable[[str], bool] = lambda _: False) -> Report:
    """The messages in `text` that name a file and a line; `counted` is their number, or the run where there are none.

    Other lines are ignored, and so is what looks like a place but names no file, such as a host and a port: what does
    not look like a file is one where it `is_there`. Raises `ReportUnreadable` for more than anybody compares.
    """
    found: list[Reported] = []
    for line in _lines(clean_text(text)):
        reported = _parse_line(line[:LINE_CHARS_MAX].strip(), is_there)
        if reported is not None:
            found.append(reported)
            check_number(len(found))
        elif found and found[-1].rule is None and (rule := _RULE_BELOW.search(line[:LINE_CHARS_MAX])):
            found[-1] = replace(found[-1], rule=rule[1])
    return Report(tuple(found), max(1, len(found)))


def _lines(text: str) -> Iterator[str]:
    """The lines one by one: a list of a flood of empty ones would fill the memory."""
    start = 0
    for _ in range(LINES_MAX):
        end = text.find("\n", start)
        if end == -1:
            yield text[start:]
            return
        yield text[start:end]
        start = end + 1
    raise ReportUnreadable(f"The output has more than {LINES_MAX} lines.")


def _parse_line(line: str, is_there: Callable[[str], bool]) -> Reported | None:
    # `go vet` puts its name before the place.
    match = _COLONS.fullmatch(line.removeprefix("vet: ")) or _PARENTHESES.fullmatch(line)
    if match is None or int(match["line"]) == 0 or not (_names_file(match["path"]) or is_there(match["path"])):
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
    return Reported(
        path=plain_path(match["path"].removeprefix("./")),
        line=int(match["line"]),
        column=int(match["column"]) if match["column"] else None,
        rule=plain_line(rule, RULE_CHARS_MAX) if rule else None,
        message=plain_line(rest.strip() or match["rest"], MESSAGE_CHARS_MAX),
        severity=severity or "error",
    )


def _names_file(path: str) -> bool:
    name = re.split(r"[/\\]", path)[-1]
    extension = name.rpartition(".")[2]
    has_extension = extension != name and len(extension) <= _EXTENSION_CHARS_MAX
    return name in _FILES_WITHOUT_EXTENSION or (has_extension and extension.isalnum() and not extension.isdigit())
