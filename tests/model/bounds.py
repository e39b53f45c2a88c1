"""Under which bounds the real functions are searched: small ones, enough to tell the last from the one before."""

import gc
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from gatewright.gates import lifecycle
from gatewright.gates.machine import decision, evolve, landing, settlement, stage_steps

from .copying import replaced
from .world import Watched

LANDING_FAILURES_MAX = 1
STUCK_MAX = 2
ERROR_RETRY_DELAYS_S = (2.0,)


@contextmanager
def watched() -> Generator[None]:
    """The real functions, watched and with small bounds; nothing here makes circles for the collector to find."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(lifecycle, "Decision", Watched))
        for steps in (evolve, stage_steps):
            stack.enter_context(patch.object(steps, "replace", replaced))
        for module in (decision, landing):
            stack.enter_context(patch.object(module, "LANDING_FAILURES_MAX", LANDING_FAILURES_MAX))
        stack.enter_context(patch.object(settlement, "STUCK_MAX", STUCK_MAX))
        stack.enter_context(patch.object(settlement, "ERROR_RETRY_DELAYS_S", ERROR_RETRY_DELAYS_S))
        gc.disable()
        stack.callback(gc.enable)
        yield
