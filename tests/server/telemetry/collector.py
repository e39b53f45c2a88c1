"""A collector on loopback, as the standard's exporters reach one."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What was exported to it, by whichever process."""

    url: str = ""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that is to export here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }

    def spans(self) -> list[tuple[str, Span]]:
        """(process, span) of everything, in the order in which it came."""
        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {item.key: item.value.string_value for item in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        found += [(named["service.instance.id"], span) for span in scope.spans]
        return found

    def of_changes(self) -> list[tuple[str, Span]]:
        """Without those of the protocol's library."""
        return [(process, span) for process, span in self.spans() if not span.name.startswith(("tools/", "server/"))]

    def metrics(self) -> set[str]:
        """The names of all that was measured."""
        found: set[str] = set()
        for path, body in self.bodies:
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    found |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
        return found


@contextmanager
def collecting() -> Generator[Collector]:
    """Collect until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.bodies.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the standard library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
