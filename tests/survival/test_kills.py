"""kill -9 at every point of a session: its history is the one of a session in which nobody was killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .session import (
    GENERATIONS,
    HANDSHAKE,
    PATIENCE_S,
    STATELESS,
    WAIT_S,
    Caller,
    Doom,
    Outcome,
    Victim,
    World,
    outcome_of,
    play,
)

SERVER, BRIDGE, BOTH = (Victim.SERVER,), (Victim.BRIDGE,), (Victim.BRIDGE, Victim.SERVER)
# Before the request is sent; while it is under way; after each of its transactions; when the reply is written, unsent.
# After a reply is before the next request.
MOMENTS = ("before", "received", "wrote 1", "wrote 2", "answering")
TABLE = [
    *(
        (victims, moment, generation)
        for victims in (SERVER, BRIDGE)
        for moment in MOMENTS
        for generation in GENERATIONS
    ),
    (BOTH, "received", HANDSHAKE),
    (BOTH, "answering", STATELESS),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[tuple[Outcome, tuple[str, ...]]]:
    """What the session comes to when nobody is killed, and the points that it passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWRIGHT_ISOLATION", "process")
        world = World(tmp_path_factory.mktemp("undisturbed"), nursery)
        try:
            outcome = outcome_of(world, play(world, HANDSHAKE))
            yield outcome, tuple(world.trace())
        finally:
            world.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victims", "moment", "generation"),
    [pytest.param(*row, id=f"{'+'.join(row[0])}-{row[1].replace(' ', '')}-{row[2]}") for row in TABLE],
)
def test_whoever_is_killed_at_every_request_the_session_comes_to_the_same(
    world: World,
    undisturbed: tuple[Outcome, tuple[str, ...]],
    victims: tuple[Victim, ...],
    moment: str,
    generation: str,
) -> None:
    expected, points = undisturbed
    labels = labels_at(points, moment)
    world.dooms = dict.fromkeys(labels, Doom(moment, victims))

    told = play(world, generation)

    outcome = outcome_of(world, told)
    assert not world.dooms, "a point was never met"
    assert labels
    assert outcome.told == expected.told
    assert outcome.history == expected.history
    assert outcome.files == expected.files


def labels_at(points: tuple[str, ...], moment: str) -> list[str]:
    """The requests of the session that stand at that moment at some time."""
    seen = "received" if moment == "before" else moment
    return [point.partition(": ")[0] for point in points if point.endswith(f": {seen}")]


def test_a_session_survives_a_kill_after_each_effect(world: World) -> None:
    """A sample of the table above: each effect is there, nobody has been told, and whoever could tell is killed."""
    world.dooms = {
        "ada start": Doom("wrote 1", SERVER),
        "ada claim": Doom("wrote 1", BRIDGE),
        "ada submit": Doom("wrote 1", BOTH),
    }
    ada = Caller(world, "ada", HANDSHAKE)
    ada.hello()

    change = ada.ask("start_change", "start", title="Add sub", intent="Subtract.", key="start")["change"]
    brief = ada.ask("claim_stage", "claim", agent="ada", key="claim")
    (Path(brief["workspace"]) / "sub.py").write_text("SUB = 1\n")
    verdict = ada.ask("submit_artifact", "submit", lease=brief["lease"], summary="x", wait_s=WAIT_S, key="submit")
    status = ada.ask("get_status")

    assert not world.dooms
    assert [found["change"] for found in status["changes"]] == [change]
    assert (brief["kind"], verdict["attempt"], verdict["outcome"]) == ("work", 1, "pending")
    assert ada.longest_s < PATIENCE_S
