"""What a claim costs in PostgreSQL: at 100, 10,000 and 100,000 changes, and how many a second eight clients make.

    python benchmarks/bench_postgres.py [ROUNDS]

It starts a server of its own, whose commits are durable. A claim is what bench_store.py says, as several servers make
it: the key held, what others write to passed over. The raw rate is that of the very same statements, recorded from a
first pass and sent by the driver alone from as many processes, each to rows of its own; it neither decides nor reads
or writes JSON. Sizes, and claims and raw, take turns.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from bench_store import NOW, Listener, Statement, fill, timed
from team_meters import cpu_s

from gatewright.gates.lifecycle import decide
from gatewright.gates.machine.commands import Claim
from gatewright.schemas.refusals import Refusal
from gatewright.server.operations.deciding import apply
from gatewright.server.store import Store, StoredReply, create_database, open_database
from gatewright.server.store.tx import Tx

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.postgres import DURABLE, Cluster, find_programs, new_cluster, remove

SIZES = (100, 10_000, 100_000)
FILLED = 100
CLIENTS = 8
EACH = 50
TURNS = 3
WARM_UP = 5
BLOCK = 10
MULTIPLY = """
INSERT INTO change SELECT n, 'c' || n, version, state, replace(record, '"id":"c1"', '"id":"c' || n || '"')
    FROM change, generate_series({first}, {last}) n WHERE number = 1;
INSERT INTO event (change, version, kind, event)
    SELECT 'c' || n, version, kind, replace(event, '"c1"', '"c' || n || '"')
    FROM event, generate_series({first}, {last}) n WHERE change = 'c1';
INSERT INTO opening SELECT 'c' || n, stage, n, place, role, since, expires_at
    FROM opening, generate_series({first}, {last}) n WHERE change = 'c1';
"""


def main() -> None:
    if find_programs() is None:
        print("there is no PostgreSQL here (initdb, postgres)")
        return
    rounds = min(int(sys.argv[1]) if len(sys.argv) > 1 else FILLED, FILLED)
    with cluster() as server:
        show_sizes(server, rounds)
        show_rates(server, EACH if len(sys.argv) == 1 else max(1, rounds // CLIENTS))


@contextmanager
def cluster() -> Generator[Cluster]:
    server = new_cluster(DURABLE)
    try:
        yield server
    finally:
        remove(server)


def make(server: Cluster, size: int) -> str:
    """The name of a database with so many changes."""
    name = server.new_database()
    create_database(server.url(name))
    with closing(open_database(server.url(name))) as store:
        fill(store, min(size, FILLED))
    if size > FILLED:
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            connection.execute("SET search_path TO gatewright")
            connection.execute(MULTIPLY.format(first=FILLED + 1, last=size).encode())
    server.do("VACUUM ANALYZE", name)
    return name


def show_sizes(server: Cluster, rounds: int) -> None:
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(open_database(server.url(make(server, size))))) for size in SIZES]
        times: list[list[float]] = [[] for _ in SIZES]
        for begin in range(0, rounds, BLOCK):
            for store, taken in zip(stores, times, strict=True):
                block = range(begin, min(begin + BLOCK, rounds))
                taken += [timed(partial(store.run, partial(claim, key=f"key-{number}"))) for number in block]
    middles = [statistics.median(taken[min(WARM_UP, rounds - 1) :]) for taken in times]
    for size, middle in zip(SIZES, middles, strict=True):
        print(f"{size:7,} changes: claim {middle * 1e3:.2f} ms  / at {SIZES[0]}: {middle / middles[0]:.2f}")


def show_rates(server: Cluster, each: int) -> None:
    """Each turn works on copies, in which the same is open."""
    filled = make(server, max(SIZES[1], CLIENTS * each))
    with closing(open_database(server.url(server.new_database(filled)))) as store:
        recorded = [record(store, number) for number in range(CLIENTS * each)]
    turns: dict[str, list[Turn]] = {"claim": [], "raw": []}
    for _ in range(TURNS):
        for name, work in (("claim", claim_each), ("raw", replay_each)):
            url = server.url(server.new_database(filled))
            parts = [recorded[client::CLIENTS] for client in range(CLIENTS)]
            turns[name].append(together(server, partial(work, url), parts))
    number = CLIENTS * each
    whole, raw = (number / statistics.median(turn.took_s for turn in found) for found in turns.values())
    print(f"{CLIENTS} clients: {whole:.0f} claims/s  raw {raw:.0f}/s  claims/raw {whole / raw:.2f}")
    for name, found in turns.items():
        clients, database = (
            1e3 * statistics.median(used) / number for used in zip(*(turn.cpu_s for turn in found), strict=True)
        )
        print(f"processors of one {name}: {clients:.2f} ms in the client, {database:.2f} ms in PostgreSQL")


class Turn(NamedTuple):
    """How long all clients took, and what they and PostgreSQL had of the processors, in seconds."""

    took_s: float
    cpu_s: tuple[float, float]


def together(
    server: Cluster, work: Callable[[Barrier, int, list[list[Statement]]], None], parts: list[list[list[Statement]]]
) -> Turn:
    """What the processes take from the moment at which all are ready; of processors also what they take before it."""
    process = server._process  # noqa: SLF001 - whose processor is read
    assert process is not None
    used = os.times().children_user + os.times().children_system, cpu_s(process.pid)
    context = get_context("fork")
    line = context.Barrier(len(parts) + 1)
    clients = [context.Process(target=work, args=(line, number, part)) for number, part in enumerate(parts)]
    for client in clients:
        client.start()
    line.wait()
    begun = time.perf_counter()
    for client in clients:
        client.join()
        assert client.exitcode == 0, "a client failed"
    took_s = time.perf_counter() - begun
    now = os.times().children_user + os.times().children_system, cpu_s(process.pid)
    return Turn(took_s, (now[0] - used[0], now[1] - used[1]))


def claim_each(url: str, line: Barrier, client: int, part: list[list[Statement]]) -> None:
    with closing(open_database(url)) as store:
        line.wait()
        for number in range(len(part)):
            store.run(partial(claim, key=f"{client}.{number}"))


def replay_each(url: str, line: Barrier, _: int, part: list[list[Statement]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO gatewright")
        line.wait()
        for statements in part:
            connection.execute("BEGIN")
            for text, values in statements:
                connection.execute(text.encode(), values)
            connection.execute("COMMIT")


def claim(tx: Tx, key: str, change: str | None = None) -> None:
    assert tx.find_reply("ada", key) is None
    found = tx.free_opening(NOW, change=change)
    while found is not None:
        opening, before = found
        command = Claim(opening.stage, "ada", "ada", "a model", key)
        # Somebody may have claimed it a moment ago.
        if not isinstance(decide(before, command, NOW), Refusal):
            after = apply(tx, before, command, NOW)
            tx.add_reply("ada", key, StoredReply("e" * 64, f'{{"change": "{after.id}"}}'), NOW)
            return
        found = tx.free_opening(NOW, after=opening)
    raise AssertionError("something is open")


def record(store: Store, number: int) -> list[Statement]:
    """What one claim says to the database, in order."""
    said: list[Statement] = []

    def work(tx: Tx) -> None:
        said.clear()
        listener: Any = Listener(tx._cursor, said)  # noqa: SLF001 - a trace of the database would add its parsing
        tx._cursor = listener  # noqa: SLF001 - as above
        # Of a change of its own: it locks what it writes to, whatever others do when it is sent again.
        claim(tx, f"recorded-{number}", f"c{number + 1}")

    store.run(work)
    return said


if __name__ == "__main__":
    main()
