"""Time checkouts of 10,000 files against `git worktree add` of the same commit, in one run.

    python benchmarks/bench_checkout.py [folder]

Prints one line per way, as a ratio to the median of `git worktree add`; the work happens in a temporary folder below
`folder` (default: the system's), because ratios differ between memory and disk. What was written is compared with the
work tree, byte by byte. Neither way always comes first, and the disk is left to finish before each.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.checkout import CheckoutPool

FILES = 10_000
CHANGED_FILES = 10
ROUNDS = 6
# git compares by content what was written in the same second as its index; commits that follow each other come later.
PAUSE_S = 1.1


def main() -> None:
    with tempfile.TemporaryDirectory(
        prefix="bench-checkout-", dir=sys.argv[1] if len(sys.argv) > 1 else None
    ) as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    project = folder / "project"
    base, artifact = make_project(project)
    store = ArtifactStore(folder / "store", project / ".git")
    store.ensure()
    store.fetch_base(base)
    store.fetch(artifact, base=base)
    warm = CheckoutPool(folder / "warm", store, slots_max=1)
    open_pristine(warm, base)
    seconds: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        commit = (artifact, base)[number % 2]
        worktree, cold, copy = (folder / f"{name}-{number}" for name in ("worktree", "cold", "copy"))
        ways = ways_to_write(project, store, warm, commit, (worktree, cold, copy))
        for name in [*reversed(list(ways)[:2]), *list(ways)[2:]] if number % 2 else ways:
            way = ways[name]
            os.sync()
            time.sleep(PAUSE_S)
            started = time.perf_counter()
            way()
            seconds.setdefault(name, []).append(time.perf_counter() - started)
        for pool in (CheckoutPool(cold, store), warm):
            with pool.pristine(commit) as tree:
                assert read_all(tree) == read_all(worktree), "a checkout has other bytes than git's"
        for used in (worktree, cold, copy):
            shutil.rmtree(used)
        git(project, "worktree", "prune")
    report(seconds)


def ways_to_write(
    project: Path, store: ArtifactStore, warm: CheckoutPool, commit: str, places: tuple[Path, Path, Path]
) -> dict[str, Callable[[], object]]:
    worktree, cold, copy = places
    return {
        "git worktree add": lambda: git(project, "worktree", "add", "-q", "--detach", str(worktree), commit),
        "pristine, cold": lambda: open_pristine(CheckoutPool(cold, store), commit),
        f"pristine, warm, {CHANGED_FILES} files differ": lambda: open_pristine(warm, commit),
        "pristine, warm, same commit": lambda: open_pristine(warm, commit),
        "private copy of a warm tree": lambda: warm.private(commit, copy),
    }


def report(seconds: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    reference = medians["git worktree add"]
    print(f"{FILES} files, median of {ROUNDS}; every byte the same as in git's work tree")
    for name, median in medians.items():
        print(f"  {name:<36} {median * 1000:8.1f} ms  {median / reference:6.3f}x")


def read_all(tree: Path) -> dict[str, bytes]:
    """Every file of a tree by path, without what belongs to git."""
    files = (place for place in tree.rglob("*") if place.is_file() and place.name != ".git")
    return {str(place.relative_to(tree)): place.read_bytes() for place in files}


def open_pristine(pool: CheckoutPool, commit: str) -> None:
    with pool.pristine(commit):
        pass


def make_project(project: Path) -> tuple[str, str]:
    """A repository of FILES files in 1,000 folders; returns a commit and one on it that changes CHANGED_FILES."""
    for number in range(FILES):
        place = project / f"package{number % 100}" / f"part{number // 100 % 10}" / f"module{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"VALUE_{number} = {number}\n" * 40)
    git(project, "init", "-q")
    base = commit_all(project)
    for place in sorted(project.glob("package*/part0/*.py"))[:CHANGED_FILES]:
        place.write_text("changed = True\n")
    artifact = commit_all(project)
    git(project, "gc", "-q")
    return base, artifact


def commit_all(project: Path) -> str:
    git(project, "add", "-A")
    git(project, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "bench")
    return git(project, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "gc.auto=0", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
