"""Eight clients of one project claim at once: none lost, none given twice, and how long the longest waits.

    python benchmarks/bench_clients.py [claims of each]

Each is a process over stdio, as agents have it, and claims the best open stage until it has its share; all reach the
one server of the repository. The workspaces exist before. Beside it, in turn: the same number of bare SDK calls by
eight clients of eight bare servers. Ends with status 1 when a claim was lost or given twice.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench_steady import STAGE, prepare
from line_client import LineClient
from served_project import BARE, GATEWRIGHT, end_server, use_folder

CLIENTS = 8
CLAIMS_EACH = 12
WARM_UP = 1


def main(each: int) -> int:
    total = CLIENTS * (each + WARM_UP)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        use_folder(folder)
        repository = folder / "repository"
        prepare(repository, total, total)
        with ExitStack() as stack:
            bare = [stack.enter_context(LineClient(BARE, folder)) for _ in range(CLIENTS)]
            bare_s = [took_s for _, took_s in race(bare, "echo", each)]
        with ExitStack() as stack:
            clients = [stack.enter_context(LineClient(GATEWRIGHT, repository)) for _ in range(CLIENTS)]
            claims = race(clients, "claim_stage", each)
            held = {change for change, _ in claims if is_held(clients[0], change)}
        end_server(repository)
    given = Counter(change for change, _ in claims)
    lost, twice = len(claims) - len(held), sum(count - 1 for count in given.values())
    print(f"{CLIENTS} clients, {len(claims)} claims: {lost} lost, {twice} given twice")
    for what, taken in (("bare SDK calls, a server each", bare_s), ("claim_stage, one server", [s for _, s in claims])):
        print(f"  {what:32} median {statistics.median(taken) * 1e3:6.1f} ms  longest {max(taken) * 1e3:6.1f} ms")
    return 1 if lost or twice else 0


def race(clients: list[LineClient], tool: str, each: int) -> list[tuple[str, float]]:
    """What each call led to, and how long it took in seconds; what only the first call pays is left out."""

    def run(number: int) -> list[tuple[str, float]]:
        taken = []
        for place in range(each + WARM_UP):
            given = {"text": "hello"} if tool == "echo" else {"agent": f"agent-{number}", "wait_s": 0}
            begun = time.perf_counter()
            reply = clients[number].call(tool, **given)
            took_s = time.perf_counter() - begun
            assert not reply.get("isError"), reply
            if place >= WARM_UP:
                taken.append((str(reply.get("structuredContent", {}).get("change")), took_s))
        return taken

    with ThreadPoolExecutor(len(clients)) as pool:
        return [found for taken in pool.map(run, range(len(clients))) for found in taken]


def is_held(client: LineClient, change: str) -> bool:
    """Whether the store says that somebody has it."""
    told = client.call("get_status", change=change)["structuredContent"]["changes"][0]
    return any(stage["stage"] == STAGE and stage["state"] == "claimed" for stage in told["stages"])


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CLAIMS_EACH))
