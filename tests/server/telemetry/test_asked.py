"""What the environment asks for; and what it costs when it asks for nothing."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatewright.server.telemetry import starting
from gatewright.server.telemetry.asked import Asked, asked_of
from gatewright.server.telemetry.watching import watcher

from ...acceptance.house import Repository, solo

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HERE = {ENDPOINT: "http://127.0.0.1:4318"}
OTLP, BOTH = ("otlp",), Asked(("otlp",), ("otlp",))
# A claim in the process of a server, with all that comes before and after it.
CLAIM = """\
import json, sys
from pathlib import Path
import anyio
from gatewright.server.app import open_application
from gatewright.server.calls import call_tool
from gatewright.server.telemetry.watching import watcher

async def main():
    application = open_application(Path(sys.argv[1]))
    async def report(_): pass
    def call(name, **given):
        return call_tool(application.services, "stdio:a", name, given, client="", stamp=None, report=report)

    await call("start_change", title="Add sub", intent="Add sub.")
    claimed = await call("claim_stage", agent="ada")
    assert claimed.structured_content["kind"] == "work", claimed
    (await application.services()).store.close()

anyio.run(main)
print(json.dumps([watcher().is_watching, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, Asked()),
        ({"OTEL_SERVICE_NAME": "ours"}, Asked()),
        (HERE, BOTH),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1"}, Asked(OTLP)),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1"}, Asked((), OTLP)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Asked(OTLP)),
        ({**HERE, "OTEL_METRICS_EXPORTER": "none"}, Asked(OTLP)),
        ({"OTEL_TRACES_EXPORTER": "Console, otlp"}, Asked(("console", "otlp"))),
        ({**HERE, "OTEL_SDK_DISABLED": "true"}, Asked()),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, Asked(unknown=("OTEL_TRACES_EXPORTER=zipkin",))),
        (
            {**HERE, "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            Asked(unknown=("OTEL_EXPORTER_OTLP_PROTOCOL=grpc",)),
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"},
            Asked((), OTLP, unknown=("OTEL_EXPORTER_OTLP_PROTOCOL=grpc",)),
        ),
    ],
)
def test_the_variables_that_every_program_knows_say_what_is_wanted(environment: dict[str, str], asked: Asked) -> None:
    assert asked_of(environment) == asked


def test_a_page_is_shown_whatever_the_variables_say() -> None:
    assert asked_of({"OTEL_SDK_DISABLED": "true"}, has_page=True) == Asked(has_page=True)


def test_what_is_asked_for_and_not_installed_is_one_sentence_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "gatewright.server.telemetry.providers", None)

    starting.begin(HERE)
    with pytest.raises(starting.TelemetryMissing, match=r"gatewright\[telemetry\]"):
        starting.begin_with_page({})

    assert [record.getMessage() for record in caplog.records] == [
        "the variables OTEL_... ask for telemetry, and gatewright[telemetry] is not installed: none is exported"
    ]
    assert not watcher().is_watching


def test_what_nobody_knows_is_told_and_nothing_is_exported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    starting.begin({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert len(caplog.records) == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not known here" in caplog.text
    assert not watcher().is_watching


@pytest.mark.parametrize(
    ("environment", "timeout_s"), [(HERE, 2.0), ({**HERE, "OTEL_EXPORTER_OTLP_TIMEOUT": "9"}, None)]
)
def test_a_person_s_command_exports_traces_alone_and_waits_for_no_collector_for_long(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], timeout_s: float | None
) -> None:
    watched: list[tuple[Asked, float | None]] = []
    monkeypatch.setattr(starting, "_watch", lambda asked, *, timeout_s: watched.append((asked, timeout_s)))

    starting.begin_briefly({})
    starting.begin_briefly({"OTEL_METRICS_EXPORTER": "otlp"})
    starting.begin_briefly(environment)

    assert watched == [(Asked(OTLP), timeout_s)]


@pytest.mark.slow
def test_nothing_of_it_is_imported_by_a_repository_s_own_server_whatever_its_agents_have_in_their_environment(
    tmp_path: Path,
) -> None:
    """The API comes with the protocol's library; all else waits until somebody watches, and agents do not."""
    repository = Repository(tmp_path / "repo", solo())
    command = [sys.executable, "-c", CLAIM, str(repository.common_dir)]

    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **HERE}, timeout=60)

    is_watched, modules = json.loads(done.stdout)
    ours = {name.rpartition(".")[2] for name in modules if name.startswith("gatewright.server.telemetry.")}
    foreign = ("opentelemetry.sdk", "opentelemetry.exporter", "prometheus_client", "google.protobuf", "requests")
    assert not is_watched
    assert [name for name in modules if name.startswith(foreign)] == []
    assert ours <= {"about", "asked", "cleaning", "ids", "starting", "watching"}, ours
