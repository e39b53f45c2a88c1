"""docs/real-repositories.md: who waits for a long set-up is told that it is still at work."""

import anyio
import pytest

from gatewright.gates.preparation.progress import progress


def test_it_is_told_at_once_and_again_until_it_ends() -> None:
    said: list[str] = []

    async def work() -> None:
        told = anyio.Event()

        def report(text: str) -> None:
            said.append(text)
            if len(said) == 3:
                told.set()

        with anyio.fail_after(5):
            async with progress(report, "setup: building", every_s=0.01):
                await told.wait()

    anyio.run(work)

    assert said[0] == "setup: building"
    assert said[1].startswith("setup: building (")
    assert said[1].endswith(" s so far)")


def test_what_goes_wrong_meanwhile_is_raised_as_it_is() -> None:
    async def work() -> None:
        async with progress(lambda _: None, "setup"):
            raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        anyio.run(work)


def test_it_can_be_cancelled() -> None:
    async def work() -> bool:
        with anyio.move_on_after(0.01) as scope:
            async with progress(lambda _: None, "setup"):
                await anyio.sleep_forever()
        return scope.cancelled_caught

    assert anyio.run(work)
