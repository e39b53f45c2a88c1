"""Drive real coding agents through changes, offline, and check what really happened.

    python examples/real_clients/run.py [CLIENT ...] [--gatewright PROGRAM] [--verbose]

Each client is fetched once into `.cache/real_clients`, plugged in by `gatewright install`, and run without a person
against a scripted model on loopback. Every client plans a change that the next one codes: a wrong submission, the mend,
the landing. Then three of them share one change, the third as its reviewer. One line a checkpoint, a table of the
clients, and `N passed, N failed`; exits 1 when something failed, or when a client that was named cannot run here.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import relay
from clients import CLIENTS
from clients.client import Client, CommandFailed, told_version
from downloads import fetch_wheels
from house import House
from processes import processes_in, scratch_folder
from report import Report
from ring import LANES, Ring

RELAY_SIZE = 3


def main() -> int:
    options = _options()
    report = Report(options.verbose)
    chosen = [client for client in CLIENTS if not options.clients or client.name in options.clients]
    problem = fetch_wheels()
    fetched = [client for client in chosen if _is_fetched(client, report, problem)]
    with scratch_folder() as scratch:
        house = House(scratch, options.gatewright)
        try:
            house.make_repository()
        except CommandFailed as failure:
            report.check("gatewright", "a repository can be set up", holds=False, detail=str(failure))
            fetched = []
        _drive(house, report, fetched)
    left = scratch.root
    report.check("all", "left no folder and no process behind", holds=not left.exists() and not processes_in(left))
    print(report.summary())
    is_missing = any(name in report.tallies and report.tallies[name].skipped for name in options.clients)
    return 0 if report.is_good and not is_missing else 1


def _is_fetched(client: Client, report: Report, problem: str | None) -> bool:
    problem = problem or client.package.fetch()
    if problem:
        report.skip(client.name, problem)
    return problem is None


def _drive(house: House, report: Report, fetched: Sequence[Client]) -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        are_ready = list(lanes.map(lambda client: _is_ready(house, report, client), fetched))
    ready = [client for client, is_ready in zip(fetched, are_ready, strict=True) if is_ready]
    if not ready:
        return
    before = house.git("status", "--porcelain")
    Ring(house, report, ready).drive()
    with_tools = [client for client in ready if client.hands.call_tools]
    if len(with_tools) >= RELAY_SIZE:
        relay.drive(house, report, with_tools[:RELAY_SIZE])
    else:
        report.skip(relay.NAME, f"it takes {RELAY_SIZE} clients whose models call tools")
    after = house.git("status", "--porcelain")
    same = "the person's own checkout of main is up to date and as clean as before"
    report.check("all", same, holds=after == before, detail=f"before:\n{before}\nafter:\n{after}")


def _is_ready(house: House, report: Report, client: Client) -> bool:
    """Whether the client starts, is the one that was pinned, and sees gatewright."""
    setting = house.setting(client)
    pinned, told = client.package.version, told_version(client, setting)
    if pinned not in told:
        report.skip(client.name, f"version {pinned} does not run here: {told}")
        return False
    try:
        client.prepare(setting)
    except CommandFailed as problem:
        report.check(client.name, "gatewright can be plugged in", holds=False, detail=str(problem))
        return False
    # Some listings give a server five seconds only, and the first one starts the repository's.
    is_connected, listing = client.health(setting)
    if not is_connected:
        is_connected, listing = client.health(setting)
    checkpoint = f"version {pinned}, its own health listing shows gatewright connected"
    if not client.hands.call_tools:
        checkpoint = f"version {pinned}"
    report.check(client.name, checkpoint, holds=is_connected, detail=listing)
    return True


def _options() -> argparse.Namespace:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description="Drive real coding agents through changes, offline.")
    beside_python = Path(sys.executable).with_name("gatewright")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"default: all of {', '.join(names)}")
    parser.add_argument("--gatewright", type=Path, default=beside_python, help="the program (default: beside Python)")
    parser.add_argument("--verbose", action="store_true", help="show the details of passed checkpoints too")
    options = parser.parse_args()
    if unknown := set(options.clients) - set(names):
        parser.error(f"no client {', '.join(sorted(unknown))}: choose from {', '.join(names)}")
    options.gatewright = options.gatewright.absolute()
    if not options.gatewright.is_file():
        parser.error(f"there is no program {options.gatewright}")
    return options


if __name__ == "__main__":
    sys.exit(main())
