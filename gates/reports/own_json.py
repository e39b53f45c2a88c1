"""Read gatewright's own report: one page of JSON that a check in any language can write. Pure.

docs/reports.md describes it. It is strict: a misspelt key must not become a finding that nobody sees.
"""

from .hostile_json import JsonObject, as_object, objects_of, read_json, text_of, whole_of
from .reported import (
    LINE_MAX,
    MESSAGE_CHARS_MAX,
    RANKS,
    RULE_CHARS_MAX,
    Report,
    Reported,
    ReportUnreadable,
    check_number,
    plain_line,
    plain_message,
    plain_path,
)

VERSION = 1
KEYS = ("version", "finished", "counted", "unit", "findings")
FINDING_KEYS = ("path", "line", "column", "rule", "message", "severity", "satisfy")
UNIT_CHARS_MAX = 40


def parse_own(data: bytes) -> Report:
    """The findings and what the check counted. Raises `ReportUnreadable`, also for a report that is not finished."""
    page = as_object(read_json(data), "The report")
    _refuse_others(page, KEYS, "The report")
    version = page.get("version")
    if version != VERSION or isinstance(version, bool):
        raise ReportUnreadable(f"The report's version is not {VERSION}.")
    if page.get("finished") is not True:
        raise ReportUnreadable("The report does not say that it is finished.")
    counted = whole_of(page, "counted")
    if counted is None or not isinstance(page.get("findings"), list):
        raise ReportUnreadable("The report needs 'counted', a number, and 'findings', a list.")
    findings = objects_of(page, "findings")
    check_number(len(findings))
    return Report(tuple(map(_item, findings)), counted, plain_line(text_of(page, "unit", ""), UNIT_CHARS_MAX) or None)


def _item(finding: JsonObject) -> Reported:
    _refuse_others(finding, FINDING_KEYS, "A finding of the report")
    message, severity = text_of(finding, "message", None), text_of(finding, "severity", "error")
    path, satisfy = text_of(finding, "path", None), text_of(finding, "satisfy", None)
    if message is None or not plain_message(message):
        raise ReportUnreadable("A finding of the report has no message.")
    if severity not in RANKS:
        raise ReportUnreadable("A finding's severity is none of error, warning and note.")
    if path is not None and not plain_path(path).strip():
        raise ReportUnreadable("A finding's path is empty; leave it out where there is none.")
    return Reported(
        path=None if path is None else plain_path(path),
        line=whole_of(finding, "line", least=1, most=LINE_MAX),
        column=whole_of(finding, "column", least=1, most=LINE_MAX),
        rule=plain_line(text_of(finding, "rule", ""), RULE_CHARS_MAX) or None,
        message=plain_message(message),
        severity=severity,
        satisfy=None if satisfy is None else plain_line(satisfy, MESSAGE_CHARS_MAX),
    )


def _refuse_others(owner: JsonObject, keys: tuple[str, ...], called: str) -> None:
    other = next((key for key in owner if key not in keys), None)
    if other is not None:
        raise ReportUnreadable(f"{called} has an unknown key '{plain_line(other, UNIT_CHARS_MAX)}'.")
