"""One sample repository, store and cache for each worker of the run; the base is judged once in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .workshop import Workshop, use_own_python


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The sample. Gates without a venv of their own find the Python of the test run, which has pytest."""
    before = os.environ["PATH"]
    os.environ["PATH"] = use_own_python(os.environ)
    yield Workshop(tmp_path_factory.mktemp("bypass"))
    os.environ["PATH"] = before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a repository of a case's own may be made."""
    return tmp_path
