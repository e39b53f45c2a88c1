"""Tell a client that waits that its call goes on, whatever for: some give up what is silent, others show it a person.

What waits for something says itself what that is; this speaks up for what does not, such as git on a large repository.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from .signal import Report

T = TypeVar("T")

# Longer than the operations' own pauses, and below the ten seconds that clients are promised.
SILENCE_MAX_S = 8.0


async def keep_told(work: Callable[[Report], Awaitable[T]], send: Report, text: str) -> T:
    """What `work` returns or raises; while it says nothing by the report it is given, `text` is sent every few seconds.

    Cancelling it cancels the work.
    """
    told_at = anyio.current_time()

    async def report(said: str) -> None:
        nonlocal told_at
        told_at = anyio.current_time()
        await send(said)

    async def speak_up() -> None:
        while True:
            await anyio.sleep_until(told_at + SILENCE_MAX_S)
            if anyio.current_time() >= told_at + SILENCE_MAX_S:
                await report(text)

    results: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak_up)
            results.append(await work(report))
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:
        # What leaves a task group is wrapped in a group, of one here: callers know what the work raises.
        raise group.exceptions[0] from None
    return results[0]
