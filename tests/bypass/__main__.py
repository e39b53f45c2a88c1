"""Hand every bad commit in, and print what stopped each: `python -m tests.bypass [PART OF A NAME]`.

Ends with 1 when something got through, or was stopped by something else than what should stop it.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio

from gatewright.gates.sandbox import choose
from gatewright.schemas.pipeline import ISOLATION_LEVELS

from .cases import CASES, Case, Layer
from .judging import try_case
from .telling import try_story
from .workshop import Workshop, use_own_python

SIDE_BY_SIDE = 2
SAID_CHARS_MAX = 300


def main(wanted: str = "") -> int:
    """Print the table; a case that this machine's isolation does not promise to stop is told and left out."""
    reached = anyio.run(choose).level
    cases = [case for case in CASES.values() if wanted in case.name]
    with tempfile.TemporaryDirectory(prefix="gw-bypass-") as folder, _own_home(Path(folder)):
        workers = [Workshop(Path(folder, f"worker-{number}")) for number in range(SIDE_BY_SIDE)]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            parts = [cases[number::SIDE_BY_SIDE] for number in range(SIDE_BY_SIDE)]
            tables = list(pool.map(lambda part, workshop: _try_all(part, workshop, reached), parts, workers))
    wrong = {name: problems for table in tables for name, problems in table.items()}
    for case in cases:
        answers = "; ".join(map(str, case.answers))
        said = "not promised here" if wrong[case.name] is None else "; ".join(wrong[case.name] or ()) or answers
        said = " ".join(said.split())[:SAID_CHARS_MAX]
        sys.stdout.write(f"{'!!' if wrong[case.name] else '  '} {case.layer:9} {case.name:48} {said}\n")
    layers = Counter(case.layer for case in cases)
    told = ", ".join(f"{layers[layer]} {layer}" for layer in Layer)
    bad = sum(bool(problems) for problems in wrong.values())
    sys.stdout.write(
        f"{len(cases)} bad commits and requests ({told}) at isolation '{reached}'; {bad} stopped wrongly.\n"
    )
    return 1 if bad or not cases else 0


def _try_all(cases: list[Case], workshop: Workshop, reached: str) -> dict[str, list[str] | None]:
    return {case.name: _try(case, workshop, reached) for case in cases}


def _try(case: Case, workshop: Workshop, reached: str) -> list[str] | None:
    if ISOLATION_LEVELS.index(reached) > ISOLATION_LEVELS.index(case.level or "process"):
        return None
    place = workshop.root / "own" / case.name
    place.mkdir(parents=True)
    try:
        if case.layer is Layer.PROTOCOL:
            return anyio.run(try_story, case, place)
        return try_case(case, workshop, place)
    except AssertionError as exc:
        return [f"harm was done: {exc}"]


@contextmanager
def _own_home(folder: Path) -> Generator[None]:
    """A home and a git identity of its own, and the Python of this run as the first on the PATH."""
    (folder / "gitconfig").write_text("[user]\nname = Eve\nemail = eve@example.org\n")
    before = dict(os.environ)
    os.environ.update(
        PATH=use_own_python(os.environ),
        HOME=str(folder),
        GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        GATEWRIGHT_TEST_RUN=folder.name,
    )
    yield
    os.environ.clear()
    os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
