"""Gates without a `setup` find the Python of the test run, which has pytest."""

import pytest

from .workbench import use_own_python


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())
