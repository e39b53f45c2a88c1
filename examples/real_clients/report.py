"""What a run prints: a line for each checkpoint as it is reached, and a table of the clients at the end."""

import textwrap
import threading
import time
from dataclasses import dataclass, field

DETAIL_CHARACTERS_MAX = 3_000


@dataclass
class Tally:
    """One client's row of the table."""

    passed: int = 0
    failed: int = 0
    skipped: str = ""
    """Why it was not driven."""
    seconds: float = 0.0
    calls: int = 0
    detail: str = ""
    """What was told last about a checkpoint."""
    shown: str = ""
    """What its model got to read of the refusal."""

    @property
    def result(self) -> str:
        if self.skipped:
            return "skipped"
        return "passed" if self.passed and not self.failed else "FAILED"


@dataclass
class Report:
    """Counts checkpoints by client. Thread-safe: two clients are driven at once."""

    verbose: bool
    tallies: dict[str, Tally] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, client: str, checkpoint: str, *, holds: bool, detail: str = "") -> None:
        """Say whether the checkpoint holds; the detail is shown when it does not, or when all are asked for."""
        with self._lock:
            tally = self.tallies.setdefault(client, Tally())
            tally.passed, tally.failed = tally.passed + holds, tally.failed + (not holds)
            seconds = time.monotonic() - self.started
            print(f"{'ok  ' if holds else 'FAIL'} {seconds:6.1f} s  {client}: {checkpoint}", flush=True)
            # One cause often fails several checkpoints.
            is_new, tally.detail = detail != tally.detail, detail or tally.detail
            if detail and (self.verbose or (not holds and is_new)):
                print(textwrap.indent(detail.strip()[:DETAIL_CHARACTERS_MAX], "     "), flush=True)

    def skip(self, client: str, reason: str) -> None:
        """Say that the client was not driven, and why."""
        with self._lock:
            self.tallies.setdefault(client, Tally()).skipped = reason
            print(f"skip {time.monotonic() - self.started:6.1f} s  {client}: {reason}", flush=True)

    def add(self, client: str, *, seconds: float = 0.0, calls: int = 0, shown: str = "") -> None:
        with self._lock:
            tally = self.tallies.setdefault(client, Tally())
            tally.seconds, tally.calls, tally.shown = tally.seconds + seconds, tally.calls + calls, tally.shown or shown

    def summary(self) -> str:
        """The table, and the last line."""
        rows = [f"{'client':<14}{'result':<9}{'seconds':>8}{'calls':>7}  what its model was shown of the refusal"]
        for client, tally in self.tallies.items():
            if tally.result == "passed" and not tally.seconds:
                continue  # What is checked of the house, not of a client.
            told = tally.skipped or tally.shown or "-"
            rows.append(f"{client:<14}{tally.result:<9}{tally.seconds:>8.1f}{tally.calls:>7}  {told}")
        counts = {name: sum(getattr(tally, name) for tally in self.tallies.values()) for name in ("passed", "failed")}
        skipped = sum(bool(tally.skipped) for tally in self.tallies.values())
        end = f"{counts['passed']} passed, {counts['failed']} failed"
        return "\n".join([*rows, f"{end}, {skipped} skipped" if skipped else end])

    @property
    def is_good(self) -> bool:
        """Whether something passed and nothing failed."""
        results = {tally.result for tally in self.tallies.values()}
        return "passed" in results and "FAILED" not in results
