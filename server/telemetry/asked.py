"""What the environment asks for, in the variables that every program with OpenTelemetry knows.

Without any of them nothing is exported: the standard's default, a collector on this machine, is for programs that run
beside one. Source: docs/team-operations.md
"""

from collections.abc import Mapping
from dataclasses import dataclass

OTLP, CONSOLE, NONE = "otlp", "console", "none"
PROTOCOL = "http/protobuf"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


@dataclass(frozen=True, slots=True)
class Asked:
    """Where traces and metrics are to go: `otlp`, `console`; nothing when empty. `unknown` is what nobody knows."""

    traces: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    has_page: bool = False
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.traces or self.metrics or self.has_page or self.unknown)


def asked_of(environment: Mapping[str, str], *, has_page: bool = False) -> Asked:
    """What is asked for by the variables, and by `--metrics` (`has_page`)."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Asked(has_page=has_page)
    unknown: list[str] = []
    traces, metrics = (_exporters(environment, signal, unknown) for signal in ("TRACES", "METRICS"))
    return Asked(traces, metrics, has_page, tuple(unknown))


def _exporters(environment: Mapping[str, str], signal: str, unknown: list[str]) -> tuple[str, ...]:
    variable = f"OTEL_{signal}_EXPORTER"
    own_endpoint = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
    is_there = bool(environment.get(_ENDPOINT) or environment.get(own_endpoint))
    names = environment.get(variable, "").split(",") if environment.get(variable) else [OTLP if is_there else NONE]
    wanted = [name.strip().lower() for name in names]
    unknown += [f"{variable}={name[:40]}" for name in wanted if name not in {OTLP, CONSOLE, NONE}]
    found = tuple(dict.fromkeys(name for name in wanted if name in {OTLP, CONSOLE}))
    own_protocol = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    by = own_protocol if environment.get(own_protocol) else _PROTOCOL
    if OTLP in found and environment.get(by, PROTOCOL) != PROTOCOL:
        unknown.append(f"{by}={environment[by][:40]}")
        return tuple(name for name in found if name != OTLP)
    return found
