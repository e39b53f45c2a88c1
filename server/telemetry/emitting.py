"""The spans that a record tells, given to OpenTelemetry under the record's own ids."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from ... import __version__
from ...schemas.records import ChangeRecord
from .ids import span_id_of, trace_id_of
from .providers import NEXT_IDS
from .spans import CHANGE, Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Emitter:
    """Makes the spans of changes. Whether a change's are kept is asked of the sampler once for all of them."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("gatewright", __version__)

    def emit(self, record: ChangeRecord, spans: Iterable[tuple[Span, SpanContext]]) -> None:
        """Begin and end each of them; what was done has a link to the call that did it, if a call did."""
        trace_id = trace_id_of(record)
        if not self._is_sampled(trace_id):
            return
        for span, caller in spans:
            self._emit(record, trace_id, span, caller)

    def _emit(self, record: ChangeRecord, trace_id: int, span: Span, caller: SpanContext) -> None:
        parent = Context()
        if span.parent is not None:
            parent = set_span_in_context(NonRecordingSpan(context_of(trace_id, span.parent)), parent)
        token = NEXT_IDS.set((trace_id, span_id_of(trace_id, span.key)))
        try:
            begun = self._tracer.start_span(
                span.title,
                parent,
                # As the conventions for CI have it: a run of a pipeline is served, all in it is done within.
                SpanKind.SERVER if span.key == CHANGE else SpanKind.INTERNAL,
                {"cicd.pipeline.run.id": record.id, **span.attributes},
                [Link(caller)] if caller.is_valid and span.is_act else (),
                start_time=_nanoseconds(span.began_at),
            )
        finally:
            NEXT_IDS.reset(token)
        if span.outcome:
            begun.set_attribute("gatewright.outcome", span.outcome)
        if span.is_failed:
            begun.set_attribute("error.type", span.outcome)
            begun.set_status(Status(StatusCode.ERROR))
        begun.end(_nanoseconds(span.ended_at))

    def _is_sampled(self, trace_id: int) -> bool:
        found = self._provider.sampler.should_sample(Context(), trace_id, CHANGE)
        return found.decision is Decision.RECORD_AND_SAMPLE


def context_of(trace_id: int, key: str) -> SpanContext:
    """By which others refer to a span of a change, whoever made it or will."""
    return SpanContext(trace_id, span_id_of(trace_id, key), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
