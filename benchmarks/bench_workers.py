"""How many gates a minute 1, 2 and 4 workers run, and what a notification within each commit would cost.

    python benchmarks/bench_workers.py [SECONDS] [GATES]

It starts a PostgreSQL of its own, whose commits are durable, and real workers with one slot each. Gates sleep, so that
the machine's processors do not matter. The jobs are held until all workers are ready, and let go at once. Printed is
the time until the last one is settled, and the rate as a part of so many times that of one worker.
"""

import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import psycopg

from gatewright.server.store import EvaluationRow, EvaluationState, Purpose, create_database, open_database
from gatewright.server.store.tx import Tx

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.postgres import DURABLE, Cluster, new_cluster, remove
from tests.server.engine.crew import Crew, Worker, handed_in, until

SLEEP_S = 10.0
GATES = 8
WORKERS = (1, 2, 4)
CLIENTS = 8
COMMITS_S = 4.0
TURNS = 3
# The second stage is never claimed, so that nothing is landed meanwhile.
PIPELINE = """\
version: 1
target: main
stages:
  code:
    gates: [{{command: {{name: slow, run: "test ! -e sub.py || sleep {sleep_s}"}}}}]
  docs:
    needs: [code]
    gates: [{{command: {{name: ok, run: "test ! -e broken.txt"}}}}]
land: {{needs: [docs], gates: [{{command: {{name: ok, run: "test ! -e broken.txt"}}}}]}}
"""
NOTIFYING = "procrastinate_jobs_notify_queue_job_inserted_v1"


def main(sleep_s: float, gates: int) -> None:
    cluster = new_cluster(DURABLE)
    try:
        rates = {}
        for count in WORKERS:
            taken_s = anyio.run(one_round, cluster, count, sleep_s, gates)
            rates[count] = gates / taken_s
            part = rates[count] / (count * rates[WORKERS[0]])
            told = f"{count} worker{'s' if count > 1 else ' '}: {gates} gates of {sleep_s:g} s in {taken_s:5.1f} s"
            print(f"{told}, {60 * rates[count]:5.1f} a minute, {part:.3f} of linear", flush=True)
        for is_notifying, name in ((False, "without"), (True, "with")):
            rate = statistics.median(commits(cluster, is_notifying=is_notifying) for _ in range(TURNS))
            print(f"{rate:6.0f} evaluations a second queued by {CLIENTS} clients, {name} notifications", flush=True)
    finally:
        remove(cluster)


async def one_round(cluster: Cluster, count: int, sleep_s: float, gates: int) -> float:
    """Seconds from letting all jobs go until the last is settled."""
    url = cluster.url(cluster.new_database())
    create_database(url)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name, ExitStack() as at_end:
        crew = Crew(Path(name), url, PIPELINE.format(sleep_s=f"{sleep_s:g}"))
        at_end.callback(crew.dismiss)
        clone = crew.team.clone("ada")
        async with crew.serving() as server:
            for number in range(gates):
                await handed_in(server, clone, {"sub.py": f"number = {number}\n"})
            crew.sql("UPDATE procrastinate_jobs SET scheduled_at = 'infinity' WHERE queueing_lock LIKE '%.e%'")
            hired: list[Worker] = [crew.hire(str(number), "--slots", "1") for number in range(count)]
            for worker in hired:
                await worker.ready()
            # What warms up is done before.
            await until(lambda: all(".e" in evaluation for evaluation, _, _ in crew.jobs()), 300)
            begun = time.monotonic()
            crew.sql("UPDATE procrastinate_jobs SET scheduled_at = NULL")
            await until(lambda: not crew.jobs(), 60 + 2 * gates * sleep_s)
            return time.monotonic() - begun


def commits(cluster: Cluster, *, is_notifying: bool) -> float:
    """Evaluations that several clients queue in a second, each in a transaction of its own."""
    url = cluster.url(cluster.new_database())
    create_database(url)
    how = "ENABLE" if is_notifying else "DISABLE"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE gatewright.procrastinate_jobs {how} TRIGGER {NOTIFYING}".encode())
    done = [0] * CLIENTS
    with closing(open_database(url)) as store:
        ends_at = time.monotonic() + COMMITS_S

        def queue(client: int) -> None:
            while time.monotonic() < ends_at:
                row = evaluation(f"c{client}.e{done[client]}")
                store.run(partial(Tx.enqueue, row=row))
                done[client] += 1

        threads = [threading.Thread(target=queue, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(done) / COMMITS_S


def evaluation(name: str) -> EvaluationRow:
    now = datetime.now(UTC)
    return EvaluationRow(name, name.partition(".")[0], "code", Purpose.ATTEMPT, EvaluationState.QUEUED, now, now, 1)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(float(given[0]) if given else SLEEP_S, int(given[1]) if len(given) > 1 else GATES)
