"""What the machine is at fault for is told as that: never as a defect of the artifact, and never without a word."""

import errno
import os

import pytest

from gatewright.gates.git import OUTAGES, Git, GitFailed
from gatewright.gates.workspaces import Workspaces

from .house import Agent, Server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_full_disk_under_a_workspace_is_a_refusal_that_says_so(
    desk: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chaos: the reply was an error of the protocol with the bare text of the system."""

    def snapshot(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "index")

    async with desk.agent() as ada:
        lease = await _lease(ada)
        with monkeypatch.context() as patch:
            patch.setattr(Workspaces, "snapshot", snapshot)
            refusal = await ada.call("submit_artifact", lease=lease, summary="Work.", key="k", wait_s=0)

        assert refusal.code == "store_unavailable"
        assert "No space left on device" in refusal.text
        await ada.get("submit_artifact", lease=lease, summary="Work.", files={"a.txt": "a"}, wait_s=0)


async def test_a_commit_that_a_full_disk_cannot_take_over_is_not_called_bad(
    desk: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Git.run_status

    def fail(git: Git, *arguments: str, **given: object) -> tuple[int, bytes]:
        if "fetch" in arguments:
            raise GitFailed(arguments, 128, "fatal: write error: No space left on device")
        return run(git, *arguments, **given)  # type: ignore[arg-type]  # passed on as it came

    async with desk.agent() as ada:
        lease = await _lease(ada)
        with monkeypatch.context() as patch:
            patch.setattr(Git, "run_status", fail)
            code = await ada.refused("submit_artifact", lease=lease, summary="Work.", files={"a.txt": "a"}, wait_s=0)

    assert code == "store_unavailable"


@pytest.mark.parametrize("number", sorted(OUTAGES))
def test_git_says_an_outage_in_the_words_of_the_system(number: int) -> None:
    assert GitFailed(("fetch",), 128, f"fatal: write error: {os.strerror(number)}").is_outage


@pytest.mark.parametrize(
    "said",
    [
        "fatal: sha1 file 'objects/pack/tmp_idx_fvA4ID' write error. Out of diskspace",
        "error: cannot update ref 'refs/x/1': couldn't write 'refs/x/1.lock'",
        "fatal: unable to write loose object file",
    ],
)
def test_git_says_an_outage_in_words_of_its_own(said: str) -> None:
    """Each is what a full disk has had it say."""
    assert GitFailed(("fetch",), 128, said).is_outage


def test_an_object_that_is_missing_is_no_outage() -> None:
    assert not GitFailed(("fetch",), 128, "fatal: bad object").is_outage


async def _lease(ada: Agent) -> str:
    await ada.start()
    return str((await ada.claim())["lease"])
