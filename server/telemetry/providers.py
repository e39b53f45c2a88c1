"""OpenTelemetry's own parts, put together as the variables say. Imported when somebody watches, and not before.

Every bound of theirs is the library's and is set by its own variables: how long a batch waits, how many spans a queue
holds, when an export is given up, what is sampled.
"""

import os
import sys
import uuid
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from ... import __version__
from .asked import CONSOLE, Asked
from .exports import CleanExporter, clean_value

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SERVICE = "gatewright"
# By which span, and in which trace, the next span of this task is to be known; of all others the ids are random.
NEXT_IDS: ContextVar[tuple[int, int] | None] = ContextVar("next_ids", default=None)


@dataclass(frozen=True)
class Providers:
    """Where spans and metrics go; `registry` is what `/metrics` shows."""

    traces: TracerProvider | None
    metrics: MeterProvider | None
    registry: "CollectorRegistry | None" = None


class RecordIds(RandomIdGenerator):
    """The ids that a change's record gives its spans; random ones for all others."""

    def generate_span_id(self) -> int:
        found = NEXT_IDS.get()
        return super().generate_span_id() if found is None else found[1]

    def generate_trace_id(self) -> int:
        found = NEXT_IDS.get()
        return super().generate_trace_id() if found is None else found[0]


def make_providers(asked: Asked, *, timeout_s: float | None = None) -> Providers:
    """What was asked for, exporting from now on; each export is given up after `timeout_s`, else as the variables say.

    Raises `ImportError` where a part of it is not installed.
    """
    resource = _resource()
    processors = [BatchSpanProcessor(CleanExporter(_span_exporter(name, timeout_s))) for name in asked.traces]
    readers: list[MetricReader] = [PeriodicExportingMetricReader(_metric_exporter(name)) for name in asked.metrics]
    registry = None
    if asked.has_page:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        readers.append(PrometheusMetricReader(registry=registry, scope_info_enabled=False))
    providers = Providers(
        tracer_provider(resource, processors) if processors else None,
        MeterProvider(readers, resource) if readers else None,
        registry,
    )
    _offer(providers)
    return providers


def tracer_provider(resource: Resource, processors: Sequence[SpanProcessor]) -> TracerProvider:
    """One that gives a change's spans the ids of its record."""
    provider = TracerProvider(resource=resource, id_generator=RecordIds())
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _offer(providers: Providers) -> None:
    """To the MCP library as well, which makes a span of each request; unless somebody was quicker."""
    if providers.traces is not None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(providers.traces)


def _resource() -> Resource:
    """Which process this is. What the variables say of it goes before, and detectors that tell its arguments do too."""
    own = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        own["service.name"] = SERVICE
    found = Resource.create({}).attributes
    return Resource(
        {**own, **{name: clean_value(value) for name, value in found.items()}, **_only(own, "service.name")}
    )


def _only(given: dict[str, str], name: str) -> dict[str, str]:
    return {name: given[name]} if name in given else {}


def _span_exporter(name: str, timeout_s: float | None) -> SpanExporter:
    if name == CONSOLE:
        # Standard output may be a client's.
        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=timeout_s)


def _metric_exporter(name: str) -> MetricExporter:
    if name == CONSOLE:
        return ConsoleMetricExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()
