"""Eight processes claim the stages of one project: none lost, none given twice, and how long the longest waits.

    python benchmarks/bench_processes.py [changes]

Every process opens the store by itself and claims the oldest opening until there is none, as servers of different
versions or the command line beside a server would. The raw round is the same on the bare database with the plain busy
handler: BEGIN IMMEDIATE, take the oldest row, COMMIT. Ends with status 1 when a claim was lost or given twice.
"""

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gatewright.gates.machine.commands import Claim, Start
from gatewright.schemas.plan import Plan, PolicyPin, StageRule
from gatewright.schemas.records import ChangeState
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store import open_store
from gatewright.server.store.sqlite import configure
from gatewright.server.store.tx import Tx

PROCESSES = 8
CHANGES = 400
STAGE = "code"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
GO = "go"
RAW_FILE = "raw.db"


def main(changes: int) -> int:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        fill(folder, changes)
        raw = race(folder, "raw")
        claims = race(folder, "claims")
        lost, twice = unlike(folder, changes, claims)
    print(f"{PROCESSES} processes, {changes} claims: {lost} lost, {twice} given twice")
    for what, taken in (("raw, plain busy handler", raw), ("gatewright", claims)):
        waits_ms = [1000 * wait_s for found in taken for _, wait_s in found]
        shares = [len(found) for found in taken]
        print(
            f"  {what:24} median {statistics.median(waits_ms):6.1f} ms  longest {max(waits_ms):7.1f} ms"
            f"  smallest / largest share {min(shares) / max(shares):.2f}"
        )
    return 1 if lost or twice else 0


def unlike(folder: Path, changes: int, claims: list[list[tuple[str, float]]]) -> tuple[int, int]:
    """How many claims were lost, by what the store says afterwards, and how many changes were given twice."""
    given = Counter(change for found in claims for change, _ in found)
    with_store = open_store(folder, create=False)
    records = with_store.read(lambda tx: tx.changes([ChangeState.ACTIVE], limit=changes))
    with_store.close()
    held = {record.id for record in records if record.stage(STAGE).lease is not None}
    return changes - len(held & given.keys()), sum(count - 1 for count in given.values())


def race(folder: Path, what: str) -> list[list[tuple[str, float]]]:
    """What each process took, in seconds of waiting for each; they are all ready before the first begins."""
    (folder / GO).unlink(missing_ok=True)
    command = [sys.executable, __file__, what, str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (folder / GO).touch()
    found = [json.loads(process.communicate()[0]) for process in running]
    assert not any(process.returncode for process in running), "a process failed"
    return found


def compete(what: str, folder: Path) -> None:
    """One of the processes."""
    take = raw_taker(folder) if what == "raw" else taker(folder)
    print("ready", flush=True)
    while not (folder / GO).exists():
        time.sleep(0.001)
    taken = []
    while True:
        begun = time.perf_counter()
        change = take()
        if change is None:
            break
        taken.append((change, time.perf_counter() - begun))
    print(json.dumps(taken))


def taker(folder: Path) -> Callable[[], str | None]:
    """Claims the oldest opening of the store as a server does; None when there is none."""
    store = open_store(folder, create=False)
    store.read(lambda tx: tx.position())

    def claim(tx: Tx) -> str | None:
        openings = tx.openings(NOW, limit=1)
        if not openings:
            return None
        record = get_change(tx, openings[0].change)
        return apply(tx, record, Claim(STAGE, "ada", "ada"), NOW).id

    return lambda: store.run(claim)


def raw_taker(folder: Path) -> Callable[[], str | None]:
    """Takes the oldest row of a table of two columns."""
    connection = sqlite3.connect(folder / RAW_FILE, isolation_level=None)
    configure(connection, None)
    connection.execute("PRAGMA busy_timeout=60000")

    def claim() -> str | None:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT id FROM opening WHERE holder IS NULL ORDER BY id LIMIT 1").fetchone()
        if row is not None:
            connection.execute("UPDATE opening SET holder = 'ada' WHERE id = ?", row)
        connection.execute("COMMIT")
        return None if row is None else str(row[0])

    return claim


def fill(folder: Path, changes: int) -> None:
    """A store of changes with one open stage each, and the raw database beside it."""
    rule = StageRule(STAGE, (), ("style", "types", "tests"), 3, None, 2, "coder", False, ("src/**", "tests/**"))
    plan = Plan((rule,), (STAGE,), ("style", "tests"), 900.0)
    policy = PolicyPin("c" * 40, "d" * 64)

    def start(tx: Tx) -> None:
        for number in range(1, changes + 1):
            start = Start(f"c{number}", "Read numbers", "Read them.", "ada", "b" * 40, "main", policy, plan)
            apply(tx, None, start, NOW)

    store = open_store(folder, create=True)
    store.run(start)
    store.close()
    raw = sqlite3.connect(folder / RAW_FILE, isolation_level=None)
    configure(raw, None)
    raw.execute("CREATE TABLE opening (id INTEGER PRIMARY KEY, holder TEXT)")
    raw.execute("BEGIN")
    raw.executemany("INSERT INTO opening (id) VALUES (?)", [(number,) for number in range(changes)])
    raw.execute("COMMIT")
    raw.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["raw" | "claims" as what, folder]:
            compete(what, Path(folder))
        case [changes]:
            raise SystemExit(main(int(changes)))
        case _:
            raise SystemExit(main(CHANGES))
