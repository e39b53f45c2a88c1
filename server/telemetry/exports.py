"""Nothing secret in the spans that leave: those of the libraries besides ours have in them what callers sent.

A span's name has the name of the tool in it that was asked for, and an error its words.
"""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AnyValue

from .cleaning import cleaned

# The name of a tool that there is not may be anything.
NAME_CHARS_MAX = 120


class CleanExporter(SpanExporter):
    """Exports cleaned spans by another exporter."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([clean_span(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def clean_span(span: ReadableSpan) -> ReadableSpan:
    """The same span, without secrets in its texts."""
    return ReadableSpan(
        name=cleaned(span.name)[:NAME_CHARS_MAX],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_clean(span.attributes),
        events=[Event(cleaned(event.name), _clean(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context, _clean(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, _clean_text(span.status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def clean_value(value: AnyValue) -> AnyValue:
    """The same value, without secrets in its texts."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, Mapping):
        return {name: clean_value(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(clean_value(item) for item in value)
    return value


def _clean(attributes: Mapping[str, AnyValue] | None) -> dict[str, AnyValue]:
    return {name: clean_value(value) for name, value in (attributes or {}).items()}


def _clean_text(text: str | None) -> str | None:
    return None if text is None else cleaned(text)
