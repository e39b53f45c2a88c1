"""The log of `serve` and `worker`: lines of text, or of JSON, without secrets whoever wrote them."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum

from .about import current_about
from .cleaning import cleaned

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogFormat(StrEnum):
    """How lines look; `json` has one object a line."""

    TEXT = "text"
    JSON = "json"


class TextLines(logging.Formatter):
    """Time, level, who says it, and what; tracebacks below."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return cleaned(super().format(record))


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message; what it is about and in which trace, where that is known."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": cleaned(record.getMessage()),
        }
        line |= {**_call(), **{name: cleaned(value) for name, value in current_about().items()}}
        if record.exc_info:
            line["error"] = cleaned(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _call() -> dict[str, str]:
    """The trace and the span of the call that is being answered, where spans are made."""
    found = sys.modules.get("opentelemetry.trace")
    if found is None:
        return {}
    context = found.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def formatter_of(log_format: LogFormat) -> logging.Formatter:
    """What makes the lines."""
    return JsonLines() if log_format is LogFormat.JSON else TextLines()
