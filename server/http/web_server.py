"""The web server, within `Limits` and without ways of its own: of a team's server and of the board."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from .limits import Limits
from .protocol import BoundedProtocol

# From the last answer to the end of its connection.
CLOSE_WITHIN_S = 2


class WebServer(uvicorn.Server):
    """It leaves signals to us: it would end by them, and not with status 0."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def web_server_of(
    application: ASGIApp,
    limits: Limits,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    asked_at_once_max: int | None = None,
) -> WebServer:
    """One that answers by `application` and listens nowhere yet; what is asked above the maximum gets a 503."""
    return WebServer(
        uvicorn.Config(
            application,
            http=partial(BoundedProtocol, limits),  # type: ignore[arg-type]  # it is called, whatever it is
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=asked_at_once_max,
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=CLOSE_WITHIN_S,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )
