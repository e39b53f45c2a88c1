"""Somebody who watches, in memory: OpenTelemetry's own parts, with its exporters for tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gatewright.schemas.records import ChangeRecord
from gatewright.server.store import Store
from gatewright.server.telemetry.exports import CleanExporter
from gatewright.server.telemetry.ids import trace_id_of
from gatewright.server.telemetry.otel_watcher import OtelWatcher
from gatewright.server.telemetry.providers import Providers, tracer_provider


@dataclass
class Seen:
    """What was exported."""

    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    traces: TracerProvider = field(init=False)
    watch: OtelWatcher = field(init=False)

    def __post_init__(self) -> None:
        self.traces = tracer_provider(Resource({}), [SimpleSpanProcessor(CleanExporter(self.spans))])
        # The library of the protocol makes its spans by the provider of the process, which can be set once.
        trace.set_tracer_provider(self.traces)
        self.begin()

    def begin(self) -> None:
        """With no metrics counted yet."""
        self.spans.clear()
        self.reader = InMemoryMetricReader()
        self.watch = OtelWatcher(Providers(self.traces, MeterProvider([self.reader])))

    def of(self, record: ChangeRecord, store: Store) -> list[ReadableSpan]:
        """The spans of a change, in the order in which they ended."""
        self.watch.finish(store)
        return [span for span in self.spans.get_finished_spans() if ids_of(span)[0] == trace_id_of(record)]

    def calls(self) -> list[ReadableSpan]:
        """The spans of the protocol's library."""
        return [
            span
            for span in self.spans.get_finished_spans()
            if span.kind is trace.SpanKind.SERVER and span.name != "change"
        ]

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """(labels, value) of a metric."""
        return [
            (dict(point.attributes), point)
            for metric in self._metrics()
            if metric.name == name
            for point in metric.data.data_points
        ]

    def names(self) -> set[str]:
        return {metric.name for metric in self._metrics()}

    def text(self) -> str:
        """Everything that left, as one text."""
        return "\n".join(
            [*(span.to_json() for span in self.spans.get_finished_spans()), *(m.to_json() for m in self._metrics())]
        )

    def _metrics(self) -> Iterator[Any]:
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    """Its trace, and itself."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def tree_of(spans: Sequence[ReadableSpan]) -> list[str]:
    """One line a span, indented below its parent, in order of beginning; with how it ended."""

    def order(span: ReadableSpan) -> tuple[object, ...]:
        # Gates of one evaluation run side by side.
        is_gate = span.name.startswith("gate ")
        return (is_gate, 0 if is_gate else span.start_time, 0 if is_gate else -(span.end_time or 0), span.name)

    def below(parent: int | None) -> Iterator[ReadableSpan]:
        found = [span for span in spans if (span.parent.span_id if span.parent else None) == parent]
        return iter(sorted(found, key=order))

    def lines(parent: int | None, depth: int) -> Iterator[str]:
        for span in below(parent):
            outcome = (span.attributes or {}).get("gatewright.outcome", "")
            yield f"{'  ' * depth}{span.name} {outcome}".rstrip()
            yield from lines(ids_of(span)[1], depth + 1)

    return list(lines(None, 0))
