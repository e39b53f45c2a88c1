"""Bad commits that bring rules of their own along."""

from pathlib import Path

import pytest

from .cases import Case, Layer
from .judging import try_case
from .marks import cases_of
from .workshop import Workshop


@pytest.mark.parametrize("case", cases_of(Layer.POLICY))
def test_it_is_stopped(case: Case, workshop: Workshop, place: Path) -> None:
    assert try_case(case, workshop, place) == []
