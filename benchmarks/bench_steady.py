"""What `claim_stage` and `get_status` cost over stdio, one after the other, with few and with many changes stored.

    python benchmarks/bench_steady.py [rounds]

Each round is a bare SDK call and the same calls to two repositories, one with 100 changes stored and one with 5,000,
all of them under way. The workspaces that are claimed exist before: `bench_calls.py` tells what their making costs.
Prints medians, their ratios to the bare call, and what the many cost of the few.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from line_client import LineClient
from served_project import (
    BARE,
    GATEWRIGHT,
    Times,
    end_server,
    git,
    leases_of,
    make_repository,
    store_changes,
    use_folder,
)

from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces

ROUNDS = 60
WARM_UP = 5
SIZES = (100, 5_000)
STAGE = "plan"
BARE_CALL = "a bare SDK call"
REFUSED = "a call that is refused at once"


def main(rounds: int) -> None:
    rounds = min(rounds, SIZES[0] - WARM_UP)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        use_folder(folder)
        for size in SIZES:
            prepare(folder / str(size), size, rounds + WARM_UP)
        times = measure(folder, rounds)
        for size in SIZES:
            end_server(folder / str(size))
    report(times, rounds)


def prepare(repository: Path, size: int, claims: int) -> None:
    """A repository with so many changes, and the workspaces of those that will be claimed."""
    make_repository(repository)
    store_changes(repository, size)
    workspaces, base = Workspaces(open_repository(repository)), git(repository, "rev-parse", "HEAD")
    leases = leases_of(repository)
    for number in range(1, claims + 1):
        change = f"c{number}"
        workspaces.ensure(change, STAGE, 1, base=base, lease=leases.token(change, STAGE, 1))


def measure(folder: Path, rounds: int) -> Times:
    with ExitStack() as stack:
        bare = stack.enter_context(LineClient(BARE, folder))
        ours = {size: stack.enter_context(LineClient(GATEWRIGHT, folder / str(size))) for size in SIZES}
        times = Times()
        for number in range(1, rounds + WARM_UP + 1):
            if number == WARM_UP + 1:
                times = Times()
            one_round(times, bare, ours, number)
        return times


def one_round(times: Times, bare: LineClient, ours: dict[int, LineClient], number: int) -> None:
    for size, client in ours.items():
        with times.measure(BARE_CALL):
            bare.call("echo", text="hello")
        with times.measure(f"{REFUSED}, {size:,} changes"):
            client.call("renew_lease", lease="none")
        with times.measure(f"get_status, {size:,} changes"):
            status = client.call("get_status")
        with times.measure(f"get_status of one, {size:,} changes"):
            of_one = client.call("get_status", change=f"c{number}")
        with times.measure(f"claim_stage, {size:,} changes"):
            brief = client.call("claim_stage", agent=f"ada-{number}", change=f"c{number}", stage=STAGE)
        assert not any(reply.get("isError") for reply in (status, of_one, brief)), brief
        assert brief["structuredContent"]["workspace"], "the workspace was there"


def report(times: Times, rounds: int) -> None:
    few, many = SIZES
    print(f"median of {rounds} rounds{'':24} {'ms':>7} {'of bare':>8} {'longest':>8}")
    for name in sorted(times.taken):
        median_ms = times.median_ms(name)
        of_bare = median_ms / times.median_ms(BARE_CALL)
        print(f"  {name:38} {median_ms:7.2f} {of_bare:8.2f} {times.longest_ms(name):8.1f}")
    for call in ("get_status", "claim_stage"):
        ratio = times.median_ms(f"{call}, {many:,} changes") / times.median_ms(f"{call}, {few:,} changes")
        print(f"  {call} at {many:,} changes, of the same at {few:,}: {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
