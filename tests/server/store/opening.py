"""One store by one address, whatever it stands on; and which tests are about one database only."""

from pathlib import Path

import pytest

from gatewright.server.store import Store, open_database, open_store

ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
SLOW_ON_POSTGRES = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
ON_POSTGRES = pytest.mark.parametrize("kind", ["postgres"], indirect=True)


def open_at(address: str) -> Store:
    """The store in a folder, made when there is none, or in a database."""
    return open_database(address) if "://" in address else open_store(Path(address), create=True)
