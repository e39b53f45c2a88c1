"""Under which ids a change's spans are known: made from its record, so that every process gives the same."""

import hashlib
from datetime import UTC, datetime, timedelta

from ...schemas.records import ChangeRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def trace_id_of(record: ChangeRecord) -> int:
    """The trace of a change. When it began tells it apart from those of the same number in other stores."""
    began = (record.created_at - _EPOCH) // timedelta(microseconds=1)
    return _number(f"gatewright\0{record.id}\0{began}\0{record.title}\0{record.intent}", 16)


def trace_text_of(record: ChangeRecord) -> str:
    """The trace of a change, as logs and queries have it."""
    return f"{trace_id_of(record):032x}"


def span_id_of(trace_id: int, key: str) -> int:
    """The span of a change that is known by `key` within it."""
    return _number(f"{trace_id:032x}\0{key}", 8)


def _number(text: str, size: int) -> int:
    # Never zero: that stands for no id.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1
