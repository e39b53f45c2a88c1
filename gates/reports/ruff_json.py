"""Read what ruff prints with `--output-format json`: a list of findings, which names no file that is clean. Pure."""

from .hostile_json import as_list, as_object, object_of, read_json, text_of, whole_of
from .reported import (
    LINE_MAX,
    RULE_CHARS_MAX,
    Report,
    Reported,
    ReportUnreadable,
    check_number,
    plain_line,
    plain_message,
    plain_path,
)

SYNTAX = "syntax"
# Older versions give a file that does not parse no rule at all.
_SYNTAX_CODES = (None, "invalid-syntax")


def parse_ruff(data: bytes) -> Report:
    """The findings; `counted` is their number, or the run where there are none. Raises `ReportUnreadable`."""
    found = as_list(read_json(data), "The report of ruff")
    check_number(len(found))
    items = tuple(map(_item, found))
    return Report(items, max(1, len(items)))


def _item(value: object) -> Reported:
    finding = as_object(value, "An entry of the report")
    path, message = text_of(finding, "filename", None), text_of(finding, "message", None)
    if not path or message is None or "code" not in finding:
        raise ReportUnreadable("The report is no report of ruff: an entry has no filename, code or message.")
    code = text_of(finding, "code", None)
    place = object_of(finding, "location")
    return Reported(
        path=plain_path(path),
        line=whole_of(place, "row", most=LINE_MAX) or None,
        column=whole_of(place, "column", most=LINE_MAX) or None,
        rule=SYNTAX if code in _SYNTAX_CODES else plain_line(code or "", RULE_CHARS_MAX),
        message=plain_message(message),
    )
