"""Whether this process lives, and whether it can take work: for balancers and supervisors, without a token.

Neither says more than that: why not stands in the log.
"""

import logging
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...schemas.refusals import Refused
from ..app import GatewrightApplication
from ..store import StoreUnavailable
from .guards import UNAVAILABLE

LOOK_TIMEOUT_S = 3.0
LOOKS_MAX = 2

log = logging.getLogger(__name__)


class Health:
    """Answers `/healthz` and `/readyz`."""

    def __init__(self, application: GatewrightApplication, is_draining: Callable[[], bool]) -> None:
        self._application = application
        self._is_draining = is_draining
        self._threads = anyio.CapacityLimiter(LOOKS_MAX)

    async def lives(self, _: Request) -> Response:
        """That this answers at all."""
        return JSONResponse({"lives": True})

    async def is_ready(self, _: Request) -> Response:
        """Whether requests should be sent here: the store answers, evaluations are run, and this is not to end."""
        because = await self._why_not()
        if because is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "because": because}, UNAVAILABLE)

    async def _why_not(self) -> str | None:
        if self._is_draining():
            return "draining"
        try:
            with anyio.fail_after(LOOK_TIMEOUT_S):
                services = await self._application.services()
                look = partial(services.store.read, lambda tx: tx.position())
                # A database behind a cut line answers nothing for long: the thread is left to it, and the next one
                # finds that there is none to be had.
                await anyio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._threads)
        except (Refused, StoreUnavailable) as exc:
            if not self._application.is_open:
                return "starting"  # whoever opens it says why not
            log.warning("not ready: %s", exc)
            return "store"
        except TimeoutError:
            log.warning("not ready: the store has not answered for %.0f s", LOOK_TIMEOUT_S)
            return "store"
        return None if self._application.is_working else "engine"
