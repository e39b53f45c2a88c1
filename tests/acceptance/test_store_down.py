"""A store that cannot be used for a while costs no judgement that is under way, and no server that starts then."""

import errno
import os
from pathlib import Path

import anyio
import pytest

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.git import GitFailed
from gatewright.server.engine import embedded, execution
from gatewright.server.store import Store, StoreUnavailable

from .conftest import Repositories
from .house import serving, solo

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unconfined")]

BEAT_EVERY_S = 0.08
FAILURES = 3


@pytest.mark.slow
async def test_gates_go_on_while_the_store_is_down_and_are_run_once(
    make: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chaos: a heartbeat that met a full disk ended the runner, as if that were a defect of ours."""
    ran, release = tmp_path / "ran", tmp_path / "release"
    gate = f"echo ran >> {ran}; while test ! -e {release}; do sleep 0.02; done"
    repository = make(solo(f'{{command: {{name: held, run: "{gate}"}}}}'))
    monkeypatch.setattr(execution, "HEARTBEAT_EVERY_S", BEAT_EVERY_S)
    failures = 0
    run, read = Store.run, Store.read

    def fail(*_: object) -> None:
        nonlocal failures
        failures += 1
        if failures >= FAILURES:
            monkeypatch.setattr(Store, "run", run)
            monkeypatch.setattr(Store, "read", read)
            release.touch()
        raise StoreUnavailable("The disk is full.")

    async with serving(repository) as server, server.agent("ada") as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"a.txt": "a"}, wait_s=0)
        with anyio.fail_after(20):
            while not ran.exists():  # noqa: ASYNC110 - written by another process, which wakes nobody here
                await anyio.sleep(0.02)
        monkeypatch.setattr(Store, "run", fail)
        monkeypatch.setattr(Store, "read", fail)
        server.services.changed.fire()
        with anyio.fail_after(20):
            while not release.exists():  # noqa: ASYNC110 - touched on another thread
                await anyio.sleep(0.02)
        record = await server.landed(str(verdict["change"]))

    assert ran.read_text().splitlines() == ["ran"]
    assert [attempt.error_retries for stage in record.stages for attempt in stage.attempts] == [0]


async def test_a_server_that_starts_on_a_full_disk_stays_and_works_as_soon_as_there_is_room(
    make: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by chaos: it ended, and so did each one that was started in its place."""
    repository = make()
    run = Store.run

    def fail(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(embedded, "STORE_DOWN_PAUSE_S", 0.02)
    monkeypatch.setattr(Store, "run", fail)
    async with serving(repository) as server, server.agent("ada") as ada:
        code = await ada.refused("start_change", title="t", intent="i")
        monkeypatch.setattr(Store, "run", run)
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(change), {"a.txt": "a"})

    assert code == "store_unavailable"
    assert verdict["outcome"] == "passed"


@pytest.mark.parametrize(
    "failure",
    [
        GitFailed(("init",), 1, "error: unable to write symref for HEAD: No space left on device"),
        OSError(errno.EROFS, os.strerror(errno.EROFS), "info/attributes"),
    ],
    ids=["git", "file"],
)
async def test_a_disk_that_is_full_before_there_is_a_store_of_artifacts_is_told_and_not_a_defect(
    failure: Exception, make: Repositories, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by chaos: the very first call on a full disk was answered as a defect of ours."""
    repository = make()
    ensure = ArtifactStore.ensure

    def fail(_: ArtifactStore) -> None:
        raise failure

    monkeypatch.setattr(ArtifactStore, "ensure", fail)
    async with serving(repository, has_engine=False) as server, server.agent("ada") as ada:
        code = await ada.refused("start_change", title="t", intent="i")
        monkeypatch.setattr(ArtifactStore, "ensure", ensure)
        await ada.start()

    assert code == "store_unavailable"
    assert not [line for line in caplog.records if "failed in our own code" in line.message]
