"""Play one story of an agent that asks for what it must not get, and hold the answer against the right one."""

from pathlib import Path

import pytest

from gatewright.server.engine.runners import Runners
from gatewright.server.operations import changes

from ..acceptance.house import Clock, Repository, serving, staged
from .protocol_cases import Scene
from .suite import Case, Given


async def try_story(case: Case, place: Path) -> list[str]:
    """What of the answer differs from the right one; nothing when the request got nowhere.

    What is done ahead of time is left out: it costs more than the story. `place` is an empty folder.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Runners, "warm_up", _keep_none)
        patched.setattr(changes, "_enqueue_warming", lambda tx, record: None)
        repository, clock = Repository(place / "repository", staged()), Clock()
        repository.git("update-ref", "refs/heads/seen", "main")
        async with (
            serving(repository, clock=clock) as server,
            server.agent("ada") as ada,
            server.agent("eve") as eve,
        ):
            answer: Given = await case.build(Scene(repository, server, ada, eve, clock))  # type: ignore[misc]  # stories are awaited
        wrong = [problem for right in case.answers if (problem := right.differs_from(answer)) is not None]
        if repository.tip() != repository.tip("seen"):
            wrong.append("the target moved")
        return wrong


async def _keep_none(_: Runners) -> None:
    pass
