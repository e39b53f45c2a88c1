"""What a claim costs in the store: at 100 and at 5,000 changes, and against the same statements on raw sqlite3.

    python benchmarks/bench_store.py [ROUNDS]

A claim here is one `Store.run`: look up the key, find the oldest opening, read its record, decide, save record, event
and openings, keep the reply. The raw one runs the very same statements, recorded from a first pass, on a copy of the
store with the same settings and the same lock; it neither decides nor reads or writes JSON. Both and both
sizes take turns by tens, so that a slow disk slows all alike.
"""

import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gatewright.gates.machine.commands import Claim, Start
from gatewright.schemas.plan import Plan, PolicyPin, StageRule
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store import Store, StoredReply, open_store
from gatewright.server.store.creation import DATABASE_FILE
from gatewright.server.store.sqlite import configure
from gatewright.server.store.tx import Tx
from gatewright.server.store.write_lock import write_lock

SIZES = (100, 5_000)
WARM_UP = 5
BLOCK = 10
NOW = datetime(2026, 11, 1, tzinfo=UTC)
INTENT = "Read the numbers from the file that is named, and say which line is wrong. " * 20
POLICY = PolicyPin("c" * 40, "d" * 64)
STAGES = ("spec", "code", "tests", "docs")

Statement = tuple[str, tuple[object, ...]]


class Course:
    """A store of one size, a raw copy of it, and what was measured on the two in seconds."""

    def __init__(self, size: int, rounds: int, folder: Path) -> None:
        self.claims: list[float] = []
        self.raws: list[float] = []
        with closing(open_store(folder / "recorded", create=True)) as store:
            fill(store, size)
        for name in ("claim", "raw"):
            shutil.copytree(folder / "recorded", folder / name)
        with closing(open_store(folder / "recorded", create=False)) as store:
            self._recorded = [record_statements(store, number) for number in range(rounds)]
        self._store = open_store(folder / "claim", create=False)
        self._folder = folder / "raw"
        self._raw = sqlite3.connect(self._folder / DATABASE_FILE, isolation_level=None)
        configure(self._raw)

    def run(self, numbers: range) -> None:
        for number in numbers:
            self.claims.append(timed(partial(self._store.run, partial(claim, number=number))))
        for number in numbers:
            self.raws.append(timed(partial(replay, self._raw, self._folder, self._recorded[number])))

    def close(self) -> None:
        self._store.close()
        self._raw.close()


def main() -> None:
    # Each round claims another change.
    rounds = min(int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[0], SIZES[0])
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        courses = [opened.enter_context(closing(Course(size, rounds, folder / str(size)))) for size in SIZES]
        for begin in range(0, rounds, BLOCK):
            for course in courses:
                course.run(range(begin, min(begin + BLOCK, rounds)))
    middles = [
        (statistics.median(course.claims[WARM_UP:]), statistics.median(course.raws[WARM_UP:])) for course in courses
    ]
    for size, (whole, raw) in zip(SIZES, middles, strict=True):
        print(f"{size:5} changes: claim {whole * 1e3:.2f} ms  raw {raw * 1e3:.2f} ms  claim/raw {whole / raw:.2f}")
    print(f"claim at {SIZES[1]:,} / at {SIZES[0]:,}: {middles[1][0] / middles[0][0]:.2f}")


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def fill(store: Store, size: int) -> None:
    rules = tuple(
        StageRule(name, STAGES[:place], ("style", "types", "tests"), 3, None, 2, "coder", False, ("src/**", "tests/**"))
        for place, name in enumerate(STAGES)
    )
    plan = Plan(rules, STAGES, ("style", "tests"), 900.0)

    def start(tx: Tx) -> None:
        for number in range(1, size + 1):
            start = Start(f"c{number}", "Read numbers", INTENT, "ada", "b" * 40, "main", POLICY, plan)
            apply(tx, None, start, NOW)

    store.run(start)


def claim(tx: Tx, number: int) -> None:
    assert tx.find_reply("ada", f"key-{number}") is None
    opening = tx.openings(NOW, limit=1)[0]
    record = get_change(tx, opening.change)
    after = apply(tx, record, Claim(opening.stage, "ada", "ada", "a model", f"key-{number}"), NOW)
    tx.add_reply("ada", f"key-{number}", StoredReply("e" * 64, f'{{"change": "{after.id}"}}'), NOW)


def record_statements(store: Store, number: int) -> list[Statement]:
    """What one claim says to the database, in order."""
    said: list[Statement] = []

    def work(tx: Tx) -> None:
        said.clear()
        listener: Any = Listener(tx._cursor, said)  # noqa: SLF001 - a trace of the database would add its parsing
        tx._cursor = listener  # noqa: SLF001 - as above
        claim(tx, number)

    store.run(work)
    return said


class Listener:
    """A cursor that notes what it is told."""

    def __init__(self, cursor: Any, said: list[Statement]) -> None:  # noqa: ANN401 - the driver's
        self._cursor = cursor
        self._said = said

    def execute(self, text: str, values: tuple[object, ...]) -> None:
        self._said.append((text, values))
        self._cursor.execute(text, values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the driver's
        return getattr(self._cursor, name)


def replay(raw: sqlite3.Connection, folder: Path, statements: list[Statement]) -> None:
    with write_lock(folder):
        raw.execute("BEGIN IMMEDIATE")
        for text, values in statements:
            raw.execute(text, values).fetchall()
        raw.execute("COMMIT")


if __name__ == "__main__":
    main()
