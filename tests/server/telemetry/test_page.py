"""`/metrics`: who may read it where, and what stands there."""

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry

from gatewright.server.cli.main import main
from gatewright.server.identity.scopes import Scope
from gatewright.server.telemetry.otel_watcher import OtelWatcher
from gatewright.server.telemetry.page import Page
from gatewright.server.telemetry.providers import Providers
from gatewright.server.telemetry.watching import set_watcher

from ...acceptance.house import Repository
from ..http.house import HEADERS, bearer, serving_site

pytestmark = pytest.mark.anyio


async def test_a_server_shows_its_metrics_to_whoever_has_a_token_and_to_nobody_else(repository: Repository) -> None:
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False)
    before = set_watcher(OtelWatcher(Providers(None, MeterProvider([reader]), registry)))
    try:
        async with serving_site(repository, has_engine=False, metrics_page=Page(registry).text) as site:
            scraper = await site.issue("prometheus", Scope.REVIEW)
            url = f"{site.base}/metrics"
            assert (await site.http.get(url)).status_code == 401
            assert (await site.http.get(url, headers=bearer("gwt_" + "x" * 43))).status_code == 401
            assert (await site.http.get(url, headers={**bearer(scraper), "host": "elsewhere"})).status_code == 421
            assert (await site.http.post(url, headers=bearer(scraper))).status_code == 405
            for path in ("/healthz", "/mcp/nothing", f"/{'x' * 500}"):
                await site.http.get(f"{site.base}{path}")
            await site.http.request("BREW", f"{site.base}/healthz")
            await site.http.post(site.url, headers=HEADERS, content=b"{")
            page = await site.http.get(url, headers=bearer(scraper))
    finally:
        set_watcher(before)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in page.text.splitlines() if line.startswith("http_server_request_duration_seconds_count")]
    told = {(_label(line, "http_route"), _label(line, "http_response_status_code")) for line in lines}
    assert {("/healthz", "200"), ("/metrics", "401"), ("/mcp", "401"), ("other", "404")} <= told
    assert {route for route, _ in told} == {"/healthz", "/metrics", "/mcp", "other"}
    assert {_label(line, "http_request_method") for line in lines} == {"GET", "POST", "_OTHER"}


async def test_nobody_is_shown_metrics_by_a_server_that_was_not_told_to(repository: Repository) -> None:
    async with serving_site(repository, has_engine=False) as site:
        scraper = await site.issue("prometheus", Scope.REVIEW)

        assert (await site.http.get(f"{site.base}/metrics", headers=bearer(scraper))).status_code == 404


@pytest.mark.parametrize("place", ["0.0.0.0:9464", "10.0.0.5:9464", "[::]:9464", "metrics.example.org:9464", "9464"])
def test_a_worker_shows_its_metrics_to_its_own_machine_alone(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--metrics", place]) == 2
    assert "--metrics" in capsys.readouterr().err


def _label(line: str, name: str) -> str:
    return line.partition(f'{name}="')[2].partition('"')[0]
