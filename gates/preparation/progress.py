"""Tell those who wait that slow work is going on, and for how long."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio

TOLD_EVERY_S = 15.0


@asynccontextmanager
async def progress(report: Callable[[str], None], what: str, *, every_s: float = TOLD_EVERY_S) -> AsyncGenerator[None]:
    """Report `what` at once, and again with the seconds that have passed until the block ends."""
    report(what)
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, report, what, every_s)
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - raised again, outside of the group that would wrap it
            problem = exc
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


async def _tell(report: Callable[[str], None], what: str, every_s: float) -> None:
    started = anyio.current_time()
    while True:
        await anyio.sleep(every_s)
        report(f"{what} ({anyio.current_time() - started:.0f} s so far)")
