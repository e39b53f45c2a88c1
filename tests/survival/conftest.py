"""The machines of `tests/server` and the repositories of `tests/acceptance`, for what survives on them."""

from ..acceptance.conftest import anyio_backend, clock, lean, make, repository, surroundings
from ..server.conftest import machine

__all__ = ["anyio_backend", "clock", "lean", "machine", "make", "repository", "surroundings"]
