"""`/metrics` as Prometheus reads it: on a server's own listener with a token, on a worker for its machine alone."""

from prometheus_client import CollectorRegistry, generate_latest, start_http_server


class Page:
    """What there is to read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def text(self) -> bytes:
        """Everything, just now. Blocking: it asks the store."""
        return generate_latest(self._registry)

    def serve(self, host: str, port: int) -> int:
        """Answer on a port of its own from now on, in threads; returns the port. Raises `OSError`."""
        server, _ = start_http_server(port, host, self._registry)
        return int(server.server_port)
