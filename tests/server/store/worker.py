"""A process that works on a store until it is done, or until somebody kills it.

    python -m tests.server.store.worker ADDRESS claim NAME     claim whatever is open until nothing is
    python -m tests.server.store.worker ADDRESS start COUNT    start changes, and say each id when it was acknowledged
    python -m tests.server.store.worker ADDRESS churn SEED     claim, renew, release and start, and never end
    python -m tests.server.store.worker ADDRESS hang           write, and hang before the commit
    python -m tests.server.store.worker ADDRESS overflow BYTES start changes while no file may grow beyond so many bytes

It says `ready` and waits for a line before it begins, so that several of them begin together.
"""

import resource
import sys
from contextlib import closing, suppress
from random import Random

from gatewright.gates.machine.commands import Because, Claim, Command, Release, Renew
from gatewright.schemas.refusals import Refused
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store import Store, StoreUnavailable
from gatewright.server.store.tx import Tx

from .opening import open_at
from .workbench import NOW, claim_next, start

CHURNED = 12


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
        case "churn", seed:
            churn(store, Random(int(seed)))
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


def churn(store: Store, chance: Random) -> None:
    """Says each version of a change that was acknowledged."""
    while True:
        with suppress(StoreUnavailable, Refused):
            say(store.run(lambda tx: churn_one(tx, chance)))


def churn_one(tx: Tx, chance: Random) -> str:
    """One step of somebody on some change, or a new change; `change version`."""
    holder = f"agent-{chance.randrange(3)}"
    ids = tx.change_ids(after=0, limit=99)
    if len(ids) < CHURNED and chance.random() < 0.1:
        record = start(tx)
        return f"{record.id} {record.version}"
    record = get_change(tx, chance.choice(ids))
    stage = chance.choice(record.stages)
    mine = stage.lease is not None and stage.lease.holder == holder
    steps: list[Command] = [Renew(stage.name, stage.fence), Release(stage.name, stage.fence, Because.DONE_FOR_NOW, "x")]
    record = apply(tx, record, chance.choice(steps) if mine else Claim(stage.name, holder, holder), NOW)
    tx.cache_put(f"key-{chance.randrange(5)}", holder, NOW)
    return f"{record.id} {record.version}"


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
