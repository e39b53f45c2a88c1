"""What an agent is told when nothing is open: why, and what would unlock it."""

from pathlib import Path

import pytest

from gatewright.server.operations.briefs import CHANGES_TOLD_MAX

from ..acceptance.house import Repository, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_named_change_is_told_about_however_many_are_newer(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    async with serving(repository, has_engine=False) as desk, desk.agent("ada") as ada, desk.agent("bob") as bob:
        oldest = await ada.start()
        await ada.claim(oldest)
        for _ in range(CHANGES_TOLD_MAX):
            await ada.start()
        told = await bob.get("claim_stage", agent="bob", change=oldest, wait_s=0)

    assert told["kind"] == "none"
    assert told["why"] == f"'code' of {oldest} is claimed, held by 'ada'"
