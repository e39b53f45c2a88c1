"""What is counted and measured, and under which names: those of the conventions where there are any, else our own.

No label names a change, an agent or a path: there are as few of each as there are stages, codes, tools and routes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

Labels = Mapping[str, str | int | bool]
Level = Callable[[], Iterable[tuple[int, Labels]]]

# Seconds: from a transaction to an agent's afternoon.
SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0, 604800.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """`unit` as the conventions write it; `bounds` are those of a histogram's buckets, and None is a counter."""

    name: str
    unit: str
    about: str
    bounds: tuple[float, ...] | None = None


CLAIMS = Measure("gatewright.claims", "{claim}", "Stages and reviews that were claimed.")
TAKEOVERS = Measure("gatewright.takeovers", "{claim}", "Claims of a stage whose holder had let the lease expire.")
SUBMISSIONS = Measure("gatewright.submissions", "{attempt}", "Attempts that were handed in.")
ATTEMPTS = Measure("gatewright.attempts", "{attempt}", "Attempts that were settled, by outcome.")
LANDINGS = Measure("gatewright.landings", "{landing}", "Tries at landing that are over, by outcome.")
REFUSALS = Measure("gatewright.refusals", "{refusal}", "Calls of tools that were refused, by code.")
DROPPED = Measure("gatewright.telemetry.dropped", "{step}", "Steps of changes of which nothing could be told.")
CHANGES = Measure(
    "cicd.pipeline.run.duration", "s", "How long changes took that landed, or were cancelled.", bounds=LONG_S
)
GATES = Measure("gatewright.gate.duration", "s", "How long gates took, by kind and outcome.", bounds=LONG_S)
QUEUED = Measure("gatewright.evaluation.wait", "s", "How long evaluations were due until they began.", bounds=LONG_S)
UNCLAIMED = Measure("gatewright.claim.wait", "s", "How long stages were open until somebody had them.", bounds=LONG_S)
PEOPLE = Measure("gatewright.people.wait", "s", "How long people and reviewers were waited for.", bounds=LONG_S)
STORE = Measure(
    "gatewright.store.transaction.duration", "s", "How long transactions took, with their locks.", bounds=SHORT_S
)
TOOLS = Measure("mcp.server.operation.duration", "s", "How long calls of tools took, waiting included.", bounds=LONG_S)
HTTP = Measure("http.server.request.duration", "s", "How long requests took, waiting included.", bounds=SHORT_S)
MEASURES = (
    *(CLAIMS, TAKEOVERS, SUBMISSIONS, ATTEMPTS, LANDINGS, REFUSALS, DROPPED, CHANGES),
    *(GATES, QUEUED, UNCLAIMED, PEOPLE, STORE, TOOLS, HTTP),
)

# How much there is just now: of the store's, each server tells the same.
CHANGES_NOW = Measure("gatewright.changes", "{change}", "Changes under way, by state.")
CLAIMABLE_NOW = Measure("gatewright.stages.claimable", "{stage}", "Stages and reviews that could be claimed.")
AWAITED_NOW = Measure("gatewright.people.awaited", "{question}", "What only people can move.")
EVALUATIONS_NOW = Measure("gatewright.evaluations", "{evaluation}", "Evaluations that wait or run, by state.")
SLOTS_NOW = Measure("gatewright.slots", "{slot}", "Evaluations that this process runs, and could run besides.")
LEVELS = (CHANGES_NOW, CLAIMABLE_NOW, AWAITED_NOW, EVALUATIONS_NOW, SLOTS_NOW)


class Instruments:
    """The counters and histograms of one meter."""

    def __init__(self, meter: "Meter") -> None:
        self._meter = meter
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for measure in MEASURES:
            if measure.bounds is None:
                self._counters[measure.name] = meter.create_counter(measure.name, measure.unit, measure.about)
            else:
                self._histograms[measure.name] = meter.create_histogram(
                    measure.name,
                    measure.unit,
                    measure.about,
                    explicit_bucket_boundaries_advisory=list(measure.bounds),
                )

    def count(self, measure: Measure, **labels: str | int | bool) -> None:
        """One more; a label's name is written with `__` for a dot."""
        self._counters[measure.name].add(1, _dotted(labels))

    def time(self, measure: Measure, seconds: float, **labels: str | int | bool) -> None:
        """It took so long."""
        self._histograms[measure.name].record(max(seconds, 0.0), _dotted(labels))

    def observe(self, measure: Measure, level: Level) -> None:
        """Ask `level` for (amount, labels) whenever somebody reads the metrics; it may be called in any thread."""

        def look(_: "CallbackOptions") -> "Iterable[Observation]":
            from opentelemetry.metrics import Observation

            return [Observation(amount, _dotted(labels)) for amount, labels in level()]

        self._meter.create_observable_gauge(measure.name, [look], measure.unit, measure.about)


def _dotted(labels: Labels) -> dict[str, str | int | bool]:
    return {name.replace("__", "."): value for name, value in labels.items()}
