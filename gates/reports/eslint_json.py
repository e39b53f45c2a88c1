"""Read what eslint prints with `--format json`: every file that it looked at, with its messages. Pure."""

from ..text import number_of
from .hostile_json import JsonObject, as_list, as_object, objects_of, read_json, text_of, whole_of
from .reported import (
    LINE_MAX,
    RULE_CHARS_MAX,
    Report,
    Reported,
    ReportUnreadable,
    Severity,
    check_number,
    plain_line,
    plain_message,
    plain_path,
)

_SEVERITIES: dict[int | None, Severity] = {1: "warning", 2: "error"}
_LISTS = (("messages", False), ("suppressedMessages", True))


def parse_eslint(data: bytes) -> Report:
    """The messages; `counted` is the number of files. Raises `ReportUnreadable`."""
    files = [as_object(value, "An entry of the report") for value in as_list(read_json(data), "The report of eslint")]
    items = tuple(_item(file, message, is_hidden) for file in files for message, is_hidden in _messages(file))
    check_number(len(items))
    return Report(items, len(files))


def _messages(file: JsonObject) -> list[tuple[JsonObject, bool]]:
    if "messages" not in file or not text_of(file, "filePath", None):
        raise ReportUnreadable("The report is no report of eslint: an entry has no filePath or messages.")
    found = [(message, is_hidden) for name, is_hidden in _LISTS for message in objects_of(file, name)]
    told = whole_of(file, "errorCount")
    held = sum(message.get("severity") == 2 for message, is_hidden in found if not is_hidden)
    if told is not None and told != held:
        raise ReportUnreadable(f"The report says {number_of(told, 'errors')} in a file, but lists {held}.")
    return found


def _item(file: JsonObject, message: JsonObject, is_hidden: bool) -> Reported:  # noqa: FBT001 - one of a pair
    severity = _SEVERITIES.get(whole_of(message, "severity"))
    text = text_of(message, "message", None)
    if severity is None or text is None:
        raise ReportUnreadable("A message of the report has no severity or text.")
    # A file that does not parse, or a comment that is wrong, is told without a rule.
    return Reported(
        path=plain_path(text_of(file, "filePath", "")),
        line=whole_of(message, "line", most=LINE_MAX) or None,
        column=whole_of(message, "column", most=LINE_MAX) or None,
        rule=plain_line(text_of(message, "ruleId", "eslint"), RULE_CHARS_MAX),
        message=plain_message(text),
        severity=severity,
        is_hidden=is_hidden,
    )
