"""Bad commits that reach out of their run, or use up what others need."""

from pathlib import Path

import anyio
import pytest

from gatewright.gates.sandbox import FORCED_VARIABLE, choose
from gatewright.schemas.pipeline import ISOLATION_LEVELS

from .cases import Case, Layer
from .judging import try_case
from .marks import cases_of
from .workshop import Workshop


@pytest.mark.parametrize(
    "level", ["", *(pytest.param(level, marks=pytest.mark.slow) for level in ISOLATION_LEVELS[1:3])]
)
@pytest.mark.parametrize("case", cases_of(Layer.SANDBOX))
def test_it_is_stopped(
    case: Case, level: str, workshop: Workshop, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the best level that this machine reaches, and at every weaker one that promises it."""
    if level:
        monkeypatch.setenv(FORCED_VARIABLE, level)
    reached = anyio.run(choose).level
    promised = case.level or "process"
    if ISOLATION_LEVELS.index(reached) > ISOLATION_LEVELS.index(promised):
        pytest.skip(f"level '{reached}' does not promise to stop it, '{promised}' does")
    assert try_case(case, workshop, place) == []
