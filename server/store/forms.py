"""How values stand in columns: times as microseconds since 1970 (UTC), records, events and evidence as JSON texts."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ...schemas import events
from ...schemas.events import Event, EventUnreadable
from ...schemas.records import ChangeRecord, Evidence
from .problems import StoreUnavailable

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@cache
def record_adapter() -> TypeAdapter[ChangeRecord]:
    """The JSON form of a change record; built on first use."""
    return TypeAdapter(ChangeRecord)


@cache
def evidence_adapter() -> TypeAdapter[Evidence]:
    """The JSON form of evidence; built on first use."""
    return TypeAdapter(Evidence)


def read_record(text: str) -> ChangeRecord:
    """The record; raises `StoreUnavailable` for a damaged text, as do the others."""
    return _read(record_adapter(), text)


def read_event(text: str) -> Event:
    try:
        return events.read_event(text)
    except EventUnreadable as exc:
        raise StoreUnavailable(f"The store cannot be read: {exc}.") from exc


def read_evidence(text: str) -> Evidence:
    return _read(evidence_adapter(), text)


def micros(at: datetime) -> int:
    """A column's number for an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def moment(column: int) -> datetime:
    """The time that a column's number stands for."""
    return _EPOCH + column * _MICROSECOND


def moment_or_none(column: int | None) -> datetime | None:
    return None if column is None else moment(column)


def _read(adapter: TypeAdapter[T], text: str) -> T:
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        what = "The store holds something that this version cannot read: it is damaged, or a newer gatewright wrote it."
        raise StoreUnavailable(what) from exc
