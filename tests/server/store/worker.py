"""A process that works on a store until it is done, or until somebody kills it.

    python -m tests.server.store.worker ADDRESS claim NAME     claim whatever is open until nothing is
    python -m tests.server.store.worker ADDRESS start COUNT    start changes, and say each id when it was acknowledged
    python -m tests.server.store.worker ADDRESS hang           write, and hang before the commit
    python -m tests.server.store.worker ADDRESS overflow BYTES start changes while no file may grow beyond so many bytes

It says `ready` and waits for a line before it begins, so that several of them begin together.
"""

import resource
import sys
from contextlib import closing

from gatewright.server.store import Store, StoreUnavailable
from gatewright.server.store.tx import Tx

from .opening import open_at
from .workbench import claim_next, start


def main() -> None:
    address, task, *rest = sys.argv[1:]
    with closing(open_at(address)) as store:
        say("ready")
        sys.stdin.readline()
        perform(store, task, *rest)


def perform(store: Store, task: str, *rest: str) -> None:
    match task, *rest:
        case "claim", name:
            claim(store, name)
        case "start", count:
            start_many(store, int(count))
        case ("hang",):
            hang(store)
        case "overflow", size:
            overflow(store, int(size))
        case _:
            raise SystemExit(__doc__)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def claim(store: Store, name: str) -> None:
    while True:
        claimed = store.run(lambda tx: claim_next(tx, name, is_patient=False))
        claimed = claimed or store.run(lambda tx: claim_next(tx, name))
        if claimed is None:
            return
        say(claimed)


def start_many(store: Store, count: int) -> None:
    for _ in range(count):
        say(store.run(start).id)


def hang(store: Store) -> None:
    def work(tx: Tx) -> None:
        start(tx)
        say("inside")
        sys.stdin.readline()

    store.run(work)


def overflow(store: Store, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        while True:
            say(store.run(start).id)
    except StoreUnavailable as exc:
        say(f"unavailable: {exc}")


if __name__ == "__main__":
    main()
