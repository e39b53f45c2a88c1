"""What a server that died had no time to take away, the next one does."""

from pathlib import Path

import anyio
import pytest

from gatewright.gates.git import GitFailed
from gatewright.gates.workspaces import Workspaces
from gatewright.schemas.records import ChangeRecord
from gatewright.server.engine import landing
from gatewright.server.operations import clearing
from gatewright.server.services import Services

from .conftest import Repositories
from .house import Repository, serving, write_all

pytestmark = pytest.mark.anyio

WITHIN_S = 10.0


async def until_cleared(repository: Repository, left: set[str]) -> None:
    with anyio.fail_after(WITHIN_S):
        while set(repository.workspaces()) != left:  # noqa: ASYNC110 - files wake nobody
            await anyio.sleep(0.02)


async def _die(services: Services, record: ChangeRecord) -> None:
    """As a server that is killed here."""


@pytest.mark.slow
async def test_workspaces_of_a_change_that_is_over_go_at_the_next_start_and_unsaved_work_is_kept(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by dying at every write: between the landing and the removal they stayed for ever."""
    repository = make()
    with monkeypatch.context() as patch:
        patch.setattr(landing, "clear", _die)
        async with serving(repository) as server, server.agent("ada") as ada:
            change = await ada.start()
            verdict = await ada.submit(await ada.claim(change), {"a.txt": "a"})
            assert verdict["outcome"] == "passed"
            await server.landed(change)
            going_on = await ada.claim(await ada.start())
    (left,) = set(repository.workspaces()) - {Path(going_on["workspace"]).name}
    write_all(repository.path / ".gatewright/work" / left, {"later.txt": "typed after the end"})

    async with serving(repository):
        await until_cleared(repository, {Path(going_on["workspace"]).name})

    saved = repository.git("for-each-ref", "--format=%(refname)", "refs/gatewright/saved").splitlines()
    assert [repository.git("show", f"{ref}:later.txt") for ref in saved] == ["typed after the end"]


async def test_a_workspace_that_could_not_be_taken_away_goes_a_while_later(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chaos: what a read-only disk had left behind stayed until the server was started anew."""
    repository = make()
    remove = Workspaces.remove
    failures = iter(("once", "and again"))

    def fail(self: Workspaces, change: str, stage: str, fence: int) -> None:
        if next(failures, None) is not None:
            raise GitFailed(("worktree",), 128, "Read-only file system")
        remove(self, change, stage, fence)

    monkeypatch.setattr(clearing, "AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(Workspaces, "remove", fail)
    async with serving(repository) as server, server.agent("ada") as ada:
        change = await ada.start()
        await ada.submit(await ada.claim(change), {"a.txt": "a"})
        await server.landed(change)

        await until_cleared(repository, set())

    assert next(failures, None) is None
