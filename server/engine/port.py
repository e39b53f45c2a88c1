"""What any engine offers.

Evaluations are enqueued and cancelled in the transaction that decides them (see `store.tx`).
"""

from typing import Protocol


class Engine(Protocol):
    """Runs what is enqueued; at least once, and settled at most once by the token in the evaluation's row."""

    async def work(self) -> None:
        """Run evaluations as they become due, until cancelled.

        What was running then is adopted by whoever works next.
        """
        ...

    def is_busy(self) -> bool:
        """Whether an evaluation is running here."""
        ...
