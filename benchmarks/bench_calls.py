"""What a tool call costs: each call over stdio against a bare SDK call, and against what does the same by hand.

    python benchmarks/bench_calls.py [rounds]

Prints medians of one run and two ratios: to a call of a bare echo server of the SDK over stdio, and to the raw
equivalent, which is `git worktree add` for a claim and add, commit and a checked fetch into a bare repository for a
submission. The gate is instant (a document of one section). Everybody takes turns, so that a busy machine slows all
alike.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from line_client import LineClient
from served_project import BARE, GATEWRIGHT, Times, end_server, git, leases_of, make_repository, use_folder

from gatewright.gates.repository import open_repository
from gatewright.gates.workspaces import Workspaces

ROUNDS = 8
# The next runner gets ready meanwhile, as it does while an agent works.
WORK_S = 3.0
BARE_CALL = "a bare SDK call"
# What is measured, and the raw equivalent that it is compared to.
RAW: dict[str, str | None] = {
    BARE_CALL: None,
    "get_status": None,
    "start_change": None,
    "claim_stage, its workspace made before": None,
    "claim_stage": "git worktree add",
    "submit_artifact to its verdict": "git add, commit, checked fetch",
    "git worktree add": None,
    "git add, commit, checked fetch": None,
}


class Bench:
    """One repository with a server and a client, a bare server and a client, and git."""

    def __init__(self, folder: Path, ours: LineClient, bare: LineClient) -> None:
        self.times = Times()
        self._ours = ours
        self._bare = bare
        self._folder = folder
        self._repository = folder / "repository"
        self._workspaces = Workspaces(open_repository(self._repository))
        self._leases = leases_of(self._repository)

    def one_round(self, number: int) -> None:
        """Every call once, with two changes: one is claimed as usual, of the other the workspace exists before."""
        with self.times.measure(BARE_CALL):
            self._bare.call("echo", text="hello")
        self._call("get_status", "get_status")
        change = (self._call("start_change", "start_change"))["change"]
        time.sleep(WORK_S)
        brief = self._call("claim_stage", "claim_stage", agent=f"ada-{number}", change=change)
        self._make_by_hand(number)
        workspace = Path(brief["workspace"])
        for words in ("", "Subtract."):
            (workspace / "plan.md").write_text(f"# Goal\n{words}\n")
            verdict = self._call(
                "submit_artifact to its verdict", "submit_artifact", lease=brief["lease"], summary="Say it"
            )
            assert verdict["state"] == "settled", "a verdict was waited for"
            self._submit_by_hand(number)
            time.sleep(WORK_S)
        other = (self._call("start_change", "start_change"))["change"]
        lease = self._leases.token(other, "plan", 1)
        self._workspaces.ensure(other, "plan", 1, base=brief["base_commit"], lease=lease)
        self._call(
            "claim_stage, its workspace made before", "claim_stage", agent=f"bob-{number}", change=other, stage="plan"
        )

    def _call(self, name: str, tool: str, **arguments: object) -> dict[str, Any]:
        if tool == "start_change":
            arguments = {"title": "Subtract", "intent": "Add a function that subtracts."}
        with self.times.measure(name):
            result = self._ours.call(tool, **arguments)
        assert not result.get("isError"), result
        reply: dict[str, Any] = result["structuredContent"]  # JSON
        return reply

    def _make_by_hand(self, number: int) -> None:
        with self.times.measure("git worktree add"):
            git(self._repository, "worktree", "add", "-q", "--detach", str(self._by_hand(number)), "main")

    def _submit_by_hand(self, number: int) -> None:
        place = self._by_hand(number)
        (place / "plan.md").write_text(f"{time.perf_counter()}\n")
        with self.times.measure("git add, commit, checked fetch"):
            git(place, "add", "-A")
            git(place, "commit", "-q", "-m", "Say it")
            commit = git(place, "rev-parse", "HEAD")
            refspec = f"{commit}:refs/kept/{commit}"
            git(self._folder / "bare", "-c", "fetch.fsckObjects=true", "fetch", "-q", str(self._repository), refspec)

    def _by_hand(self, number: int) -> Path:
        return self._folder / f"by-hand-{number}"


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        use_folder(folder)
        make_repository(folder / "repository")
        # The one beside it that is submitted to by hand.
        git(folder, "clone", "-q", "--bare", str(folder / "repository"), "bare")
        times = measure(folder, rounds)
        end_server(folder / "repository")
    report(times, rounds)


def measure(folder: Path, rounds: int) -> Times:
    with LineClient(GATEWRIGHT, folder / "repository") as ours, LineClient(BARE, folder) as bare:
        bench = Bench(folder, ours, bare)
        # What only the first call pays is the business of bench_start.py.
        bench.one_round(-1)
        bench.times = Times()
        for number in range(rounds):
            bench.one_round(number)
        return bench.times


def report(times: Times, rounds: int) -> None:
    print(f"median of {rounds} rounds{'':32} {'ms':>7} {'of bare':>8} {'of raw':>7}")
    for name, raw in RAW.items():
        median_ms = times.median_ms(name)
        of_raw = f"{median_ms / times.median_ms(raw):7.2f}" if raw is not None else ""
        print(f"  {name:46} {median_ms:7.1f} {median_ms / times.median_ms(BARE_CALL):8.1f} {of_raw}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
