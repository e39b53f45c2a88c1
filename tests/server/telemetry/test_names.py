"""The page lists what there is: every span and every metric, and none besides."""

import re
from pathlib import Path

from gatewright.server.telemetry.measures import LEVELS, MEASURES
from gatewright.server.telemetry.spans import ACTS, LANDING_WAITS
from gatewright.server.telemetry.stage_spans import WAITS

PAGE = (Path(__file__).parents[3] / "docs" / "team-operations.md").read_text("utf-8")
SECTION = PAGE.partition("## Telemetry\n")[2].partition("\n## ")[0]
OTHERS = {"change", "stage", "lease", "attempt", "gate", "reviewing", "landing"}


def test_every_metric_stands_on_the_page() -> None:
    assert _first_cells("Metric") == {measure.name for measure in (*MEASURES, *LEVELS)}


def test_every_span_stands_on_the_page() -> None:
    named = {name.removesuffix(" NAME") for name in _first_cells("Span")}

    assert named == {*ACTS.values(), *WAITS.values(), *LANDING_WAITS.values(), *OTHERS}


def _first_cells(head: str) -> set[str]:
    """The names in the first column of the table with this head."""
    table = SECTION.partition(f"| {head} |")[2].partition("\n\n")[0]
    cells = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
