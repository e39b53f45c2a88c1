"""The same work with servers that others publish: start, create, claim, complete, six clients at once, and kills.

    python benchmarks/bench_peers.py [NAME ...]

Installs pinned versions into a cache folder first (see `downloads.py`), then runs everything in a network namespace
without a network, where the system allows that. Each server has a folder of its own and a bare environment. Six clients
with a server process each, as agents have them, create items at once, race for all of them, and complete some of what
they got. Then a server that creates items is killed (-9) again and again. What is counted is what was acknowledged and
is not there afterwards, and what was given to more than one. A server that cannot be had or run is told as such.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from downloads import Unavailable
from line_client import Ended, LineClient
from peer import Peer
from peers import PEERS

T = TypeVar("T")

CLIENTS = 6
ITEMS_EACH = 8
COMPLETED_EACH = 3
STARTS = 5
KILLS = 8
KILL_AFTER_S = (0.05, 0.4)
KIB_PER_MIB = 1024
WITHOUT_NETWORK = "--without-network"


@dataclass
class Figures:
    """What was measured of one server; times in milliseconds."""

    starts_ms: list[float] = field(default_factory=list)
    peak_mib: float = float("nan")
    create_ms: list[float] = field(default_factory=list)
    claim_ms: list[float] = field(default_factory=list)
    complete_ms: list[float] = field(default_factory=list)
    lost: str = "-"
    twice: str = "-"
    undone: str = "-"
    killed: str = "-"


def main(names: Sequence[str]) -> None:
    chosen = [peer for peer in PEERS if not names or peer.name in names]
    programs: dict[str, Path] = {}
    problems: dict[str, str] = {}
    for peer in chosen:
        try:
            programs[peer.name] = Path() if peer.package is None else peer.package.fetch()
        except Unavailable as exc:
            problems[peer.name] = str(exc)
    if not is_isolated() and (alone := without_network()):
        raise SystemExit(subprocess.run([*alone, *names], check=False).returncode)
    print(f"{'':16} {'start':>7} {'MiB':>5} {'create':>7} {'claim':>7} {'longest':>8} {'complete':>8}", end="")
    print(f"  {'lost':>6} {'twice':>6} {'undone':>6} {'killed':>7}")
    for peer in chosen:
        if peer.name in problems:
            print(f"{peer.name:16} cannot be had: {problems[peer.name]}")
            continue
        try:
            show(peer.name, measure(peer, programs[peer.name]))
        except (Ended, OSError, subprocess.SubprocessError) as exc:
            print(f"{peer.name:16} cannot run here: {type(exc).__name__} {exc}")


def is_isolated() -> bool:
    return WITHOUT_NETWORK in os.environ.get("GATEWRIGHT_BENCH", "")


def without_network() -> list[str] | None:
    """The command that runs this again without a network; None where the system does not allow that."""
    unshare = ["unshare", "--net", "--map-root-user"]
    if shutil.which(unshare[0]) is None or subprocess.run([*unshare, "true"], check=False).returncode:
        print("(the network cannot be taken away here)")
        return None
    os.environ["GATEWRIGHT_BENCH"] = WITHOUT_NETWORK
    return [*unshare, sys.executable, __file__]


def measure(kind: type[Peer], programs: Path) -> Figures:
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="gw-peer-", ignore_cleanup_errors=True) as name:
        for what, part in (("work", measure_work), ("kills", measure_kills)):
            folder = Path(name) / what
            folder.mkdir()
            peer = kind(folder, programs)
            peer.prepare()
            try:
                part(peer, figures)
            finally:
                peer.end()
    return figures


def measure_work(peer: Peer, figures: Figures) -> None:
    # The first start makes the store.
    with peer.connect("agent-0") as first:
        first.ask("tools/list", {})
    for _ in range(STARTS):
        begun = time.perf_counter()
        with peer.connect("agent-0") as client:
            client.ask("tools/list", {})
            figures.starts_ms.append((time.perf_counter() - begun) * 1000)
            figures.peak_mib = peak_memory_mib(client.process.pid)
    clients = [peer.connect(f"agent-{number}") for number in range(CLIENTS)]
    try:
        race(peer, clients, figures)
    finally:
        for client in clients:
            client.__exit__()


def race(peer: Peer, clients: list[LineClient], figures: Figures) -> None:
    created = side_by_side(clients, lambda number, client: create_all(peer, client, number, figures))
    items = [item for found in created for item in found]
    known = peer.stored(clients[0], items, done=False)
    claimed = side_by_side(clients, lambda number, client: claim_all(peer, client, sorted(known), number, figures))
    given = Counter(item for found in claimed for item in found)
    # Each completes what it got, whoever else got it too.
    completed = side_by_side(clients, lambda number, client: complete_all(peer, client, claimed[number], figures))
    acknowledged = {item for found in completed for item in found}
    done = peer.stored(clients[0], acknowledged, done=True)
    if peer.has_items:
        figures.lost = f"{len(items) - len(known)}/{len(items)}"
        figures.undone = f"{len(acknowledged - done)}/{len(acknowledged)}"
    figures.twice = f"{sum(count > 1 for count in given.values())}/{len(given)}"


def side_by_side(clients: list[LineClient], work: Callable[[int, LineClient], T]) -> list[T]:
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(work, range(len(clients)), clients))


def create_all(peer: Peer, client: LineClient, number: int, figures: Figures) -> list[str]:
    titles = [f"item-{number}-{place}-x" for place in range(ITEMS_EACH)]
    made = [timed(figures.create_ms, partial(peer.create, client, title)) for title in titles]
    return [item for item in made if item is not None]


def claim_all(peer: Peer, client: LineClient, items: list[str], number: int, figures: Figures) -> list[str]:
    """What this client got: of its server's choice, else of all items in their order. Timed is what it got."""
    got, who = [], f"agent-{number}"
    takes_ms: list[float] = []
    while item := timed(takes_ms, partial(peer.claim_next, client, who)):
        got.append(item)
        figures.claim_ms.append(takes_ms[-1])
    if got:
        return got
    for item in items:
        if timed(takes_ms, partial(peer.claim, client, item, who)):
            got.append(item)
            figures.claim_ms.append(takes_ms[-1])
    return got


def complete_all(peer: Peer, client: LineClient, items: list[str], figures: Figures) -> list[str]:
    mine = items[:COMPLETED_EACH]
    return [item for item in mine if timed(figures.complete_ms, partial(peer.complete, client, item))]


def measure_kills(peer: Peer, figures: Figures) -> None:
    """Create until killed, look with a new server what is there of all that was ever acknowledged."""
    if not peer.has_items:
        return
    acknowledged: set[str] = set()
    lost: set[str] = set()
    chance = random.Random(5)
    for kill in range(KILLS):
        client = peer.connect("agent-0")
        timer = threading.Timer(chance.uniform(*KILL_AFTER_S), peer.kill, (client,))
        number = 0
        try:
            while True:
                item = peer.create(client, f"kill-{kill}-{number}-x")
                if number == 0:
                    # A cold start takes longer than most of these servers live from here on.
                    timer.start()
                number += 1
                if item is not None:
                    acknowledged.add(item)
        except Ended:
            timer.join()
            client.__exit__()
        with peer.connect("agent-0") as looking:
            lost |= acknowledged - peer.stored(looking, acknowledged, done=False)
    figures.killed = f"{len(lost)}/{len(acknowledged)}"


def timed(times_ms: list[float], work: Callable[[], T]) -> T:
    begun = time.perf_counter()
    found = work()
    times_ms.append((time.perf_counter() - begun) * 1000)
    return found


def peak_memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / KIB_PER_MIB


def show(name: str, f: Figures) -> None:
    start, create, claim, complete = (
        statistics.median(taken) if taken else float("nan")
        for taken in (f.starts_ms, f.create_ms, f.claim_ms, f.complete_ms)
    )
    longest = max(f.claim_ms, default=float("nan"))
    print(f"{name:16} {start:7.0f} {f.peak_mib:5.0f} {create:7.1f} {claim:7.1f} {longest:8.0f} {complete:8.1f}", end="")
    print(f"  {f.lost:>6} {f.twice:>6} {f.undone:>6} {f.killed:>7}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
