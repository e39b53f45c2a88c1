"""What the environment asks for; and what it costs when it asks for nothing."""

import logging
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


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, HERE], ids=["off", "on"])
def test_nothing_of_it_is_imported_unless_somebody_watches(tmp_path: Path, environment: dict[str, str]) -> None:
    """The API comes with the protocol's library; everything else waits for the variables."""
    import json
    import os

    repository = Repository(tmp_path / "repo", solo())
    command = [sys.executable, "-c", CLAIM, str(repository.common_dir)]
    quick = {**environment, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}

    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **quick}, timeout=60)

    is_watched, modules = json.loads(done.stdout)
    ours = {name.rpartition(".")[2] for name in modules if name.startswith("gatewright.server.telemetry.")}
    foreign = [
        name for name in modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "prometheus"))
    ]
    assert is_watched is bool(environment)
    assert bool(foreign) is bool(environment), foreign
    if not environment:
        assert ours <= {"about", "asked", "starting", "watching", "cleaning", "ids"}, ours
