"""Chaos over several hosts: `python -m tests.team_chaos [--minutes 1] [--seed WORD] [--keep FOLDER]`.

Two servers, three workers, PostgreSQL, a git remote and six agents, each on a host of its own. Ends with 1 when
anything is lost, doubled or broken, and with 2 where hosts cannot be made. See docs/team-operations.md, Proof.

enclosure a run's own namespaces: whatever ends it, the system takes its processes, mounts and networks away
network   hosts, each a network of its own, behind a router that cuts links between any two
site      what stands on them: PostgreSQL, the git remote, servers, workers; and who restarts what was killed
programs  one of those programs, and how it is killed and stopped
agents    the agents; agent: one life, `tests/chaos/worker.py` with a clone and over HTTP (caller: its connection)
saboteur  kills, stops, cuts, restarts, fills and declines, drawn from the seed
person    what people decide
campaign  the whole run: chaos, healing, until everything has ended, then the audit of store and remote
"""

import argparse
import secrets
import shutil
import sys
import time
from pathlib import Path

from ..chaos.campaign import Report
from .enclosure import ROOT, CannotEnclose, govern, is_enclosed, run_in_enclosure

MINUTES_MAX = 60.0


def main() -> int:
    """Enter an enclosure, run there, print, and answer with the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.team_chaos", description="Chaos over several hosts.")
    parser.add_argument("--minutes", type=float, default=1.0, help=f"how long, up to {MINUTES_MAX:.0f} (default: 1)")
    parser.add_argument("--seed", default=None, help="every choice is drawn from this (default: a new one)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy logs and journals there at the end")
    options = parser.parse_args()
    if not 0 < options.minutes <= MINUTES_MAX:
        parser.error(f"--minutes is a number above 0, up to {MINUTES_MAX:.0f}")
    if is_enclosed():
        return govern(lambda: _run(options))
    try:
        return run_in_enclosure([sys.executable, "-m", "tests.team_chaos", *sys.argv[1:]])
    except CannotEnclose as exc:
        _say(str(exc))
        return 2


def _run(options: argparse.Namespace) -> int:
    from .campaign import run
    from .site import Site

    seed = options.seed or secrets.token_hex(4)
    _say(f"team chaos with seed {seed} for {options.minutes:g} minutes, from {time.strftime('%H:%M:%S')}")
    site, started = Site(ROOT / "gw"), time.monotonic()
    try:
        site.make()
        _say(f"{len(site.network.address_of)} hosts are up after {time.monotonic() - started:.0f} s")
        report = run(site, seed, options.minutes)
    finally:
        if options.keep is not None:
            _keep(site.root, options.keep)
    _print(report)
    if report.problems:
        _say(f"\nThe same choices again: make team-chaos MINUTES={options.minutes:g} SEED={seed}")
    return 1 if report.problems else 0


def _keep(root: Path, folder: Path) -> None:
    """What tells what happened; not the folders of servers and workers, which are large."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in root.glob("*.log"):
        shutil.copy(file, folder)
    shutil.copytree(root / "journals", folder / "journals", dirs_exist_ok=True)
    shutil.copy(root / "postgres" / "log", folder / "postgres.log")


def _print(report: Report) -> None:
    width = max(map(len, report.figures))
    for name, figure in {**report.figures, "lost": report.lost, "doubled": report.doubled}.items():
        _say(f"{name:{width}}  {figure}")
    for problem in report.problems:
        _say(f"!! {problem}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
