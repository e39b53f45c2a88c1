"""A team's server that dies right before, amid or right after any write of a landing: the next one ends it, once.

One life is played to find the points; then in a copy of the same team each, one life dies at a point, and the next one,
on the same folder or on another machine that has nothing, comes to the same end.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from gatewright.gates.machine.evolve import replay
from gatewright.schemas.records import LandingStep
from gatewright.server.store import open_store

from ..acceptance.team import Team
from .conftest import MEMORY
from .landing_theatre import CHANGE
from .points import KILLED, Point
from .test_crash_at_every_write import without_same_state

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = 8
EVENTS_MAX = 999

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ending:
    """What has to be the same however often the server died."""

    tree: str
    subjects: tuple[str, ...]
    events: tuple[str, ...]
    refs: frozenset[str]
    landed: str | None
    damage: str


class Theatre:
    """Plays landings; see `landing_theatre`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self._log = (folder / "log").open("w+")
        environment = {
            **os.environ,
            "GATEWRIGHT_ISOLATION": "process",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.landing_theatre"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.template = anyio.run(_waiting_to_land, folder / "template")

    def team(self) -> Team:
        """A copy of the team whose change waits to be landed."""
        self._count += 1
        place = self.folder / f"team-{self._count}"
        shutil.copytree(self.template.path, place, symlinks=True)
        return Team.found(place)

    def play(self, team: Team, doomed: Point | None = None) -> int:
        point = None if doomed is None else [doomed.label, doomed.nth]
        order = {"team": str(team.path), "trace": str(self.folder / "trace"), "doomed": point}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def points(self) -> list[Point]:
        return [Point(*json.loads(line)) for line in (self.folder / "trace").read_text().splitlines()]

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """In memory where there is such a place: every write is synced."""
    with tempfile.TemporaryDirectory(prefix="gw-landing-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        theatre = Theatre(Path(folder))
        yield theatre
        theatre.close()


@pytest.fixture(scope="module")
def first(theatre: Theatre) -> tuple[list[Point], Ending]:
    team = theatre.team()
    assert theatre.play(team) == 0, theatre.log()
    return theatre.points(), ending_of(team)


@pytest.mark.parametrize("has_folder", [True, False], ids=["same-folder", "new-machine"])
@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_at_any_write_of_a_landing_lands_once(
    theatre: Theatre, first: tuple[list[Point], Ending], part: int, has_folder: bool
) -> None:
    points, expected = first
    distinct = without_same_state(points)
    assert any(point.label == "git: during push" for point in distinct)
    # What a new machine finds is what the remote and the store have: half of the points tell that as well.
    chosen = distinct[part :: PARTS if has_folder else 2 * PARTS]
    sys.stderr.write(f"{len(chosen)} of {len(distinct)} states at {len(points)} points\n")
    for point in chosen:
        team = theatre.team()
        status = theatre.play(team, point)
        assert status in {0, KILLED}, f"{point}: {theatre.log()}"
        if not has_folder:
            shutil.rmtree(team.path / "state-one")
        assert theatre.play(team) == 0, f"{point}: {theatre.log()}"
        assert ending_of(team) == expected, str(point)
        shutil.rmtree(team.path)


async def _waiting_to_land(path: Path) -> Team:
    """A team with a change whose work has passed, and whose landing is held up by the remote."""
    team = Team(path)
    clone = team.clone("ada")
    team.git("config", "receive.hideRefs", "refs/gatewright/landing")
    async with team.serving() as server, server.agent("ada") as ada:
        brief = await ada.claim(await ada.start())
        clone.follow(brief, **{"sub.py": "def sub(a, b):\n    return a - b\n"})
        team.person.commit("Meanwhile", **{"notes.txt": "A person's.\n"})
        team.person.git("push", "-q", "origin", "HEAD:main")
        await ada.get("submit_artifact", lease=brief["lease"], summary="Work.")
        await server.until(CHANGE, lambda r: r.landing is not None and r.landing.step is LandingStep.BLOCKED)
    team.git("config", "--unset", "receive.hideRefs")
    return team


def ending_of(team: Team) -> Ending:
    """Look at everything that is left; asserts that replaying the events gives the record (invariant I9)."""
    with closing(open_store(team.store, create=False)) as store:
        found = store.read(lambda tx: tx.events(CHANGE, limit=EVENTS_MAX))
        record = store.read(lambda tx: tx.find_change(CHANGE))
    assert record is not None
    assert replay([event for _, event in found]) == record
    assert record.landed_commit == team.tip()
    return Ending(
        tree=team.tip("main^{tree}"),
        subjects=tuple(team.git("log", "--first-parent", "--format=%s", "main").splitlines()),
        events=tuple(event.kind for _, event in found),
        refs=frozenset(ref for ref in team.refs() if not ref.startswith("refs/gatewright/bases/")),
        landed=record.landed_commit,
        damage=team.git("fsck", "--connectivity-only", "--no-dangling"),
    )
