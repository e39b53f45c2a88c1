"""What a server that died had no time to take away, the next one does."""

from pathlib import Path

import anyio
import pytest

from gatewright.server.engine import landing

from .conftest import Repositories
from .house import Repository, serving, write_all

pytestmark = pytest.mark.anyio

WITHIN_S = 10.0


async def until_cleared(repository: Repository, left: set[str]) -> None:
    with anyio.fail_after(WITHIN_S):
        while set(repository.workspaces()) != left:  # noqa: ASYNC110 - files wake nobody
            await anyio.sleep(0.02)


@pytest.mark.slow
async def test_workspaces_of_a_change_that_is_over_go_at_the_next_start_and_unsaved_work_is_kept(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by dying at every write: between the landing and the removal they stayed for ever."""
    repository = make()
    with monkeypatch.context() as patch:
        patch.setattr(landing, "remove_workspaces", lambda services, record: None)
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
