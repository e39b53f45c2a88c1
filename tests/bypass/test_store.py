"""Bad commits that the store must keep out, or show as they are."""

from pathlib import Path

import pytest

from .cases import Case, Layer
from .judging import try_case
from .marks import cases_of
from .workshop import Workshop


@pytest.mark.parametrize("case", cases_of(Layer.STORE))
def test_it_is_stopped(case: Case, workshop: Workshop, place: Path) -> None:
    assert try_case(case, workshop, place) == []
