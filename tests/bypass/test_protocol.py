"""Requests that are stale, replayed, forged, or not for an agent to make."""

from pathlib import Path

import pytest

from .cases import Case, Layer
from .marks import cases_of
from .telling import try_story


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("case", cases_of(Layer.PROTOCOL))
async def test_it_is_stopped(case: Case, place: Path) -> None:
    assert await try_story(case, place) == []
