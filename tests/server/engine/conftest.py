"""Teams on the test's database; every worker that still runs at the end is killed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import _emptied_database, database_url, new_database_url, postgres

from .crew import Crew

__all__ = ["_emptied_database", "database_url", "new_database_url", "postgres"]

Hire = Callable[..., Crew]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def crew_of(tmp_path: Path, database_url: str) -> Iterator[Hire]:
    """A team with this pipeline."""
    with ExitStack() as hired:

        def hire(pipeline: str, *, url: str = database_url) -> Crew:
            crew = Crew(tmp_path, url, pipeline)
            hired.callback(crew.dismiss)
            return crew

        yield hire
