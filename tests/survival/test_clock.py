"""The clock of the machine is set back under those who work: nothing is put off until it has caught up."""

import pytest

from ..acceptance.house import Clock, Repository, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HOUR_S = 3600.0


async def test_what_waits_to_be_judged_is_judged_though_the_clock_was_set_back(repository: Repository) -> None:
    """It was due at a time that was now an hour ahead, and the server waited for that."""
    clock = Clock()
    async with serving(repository, clock=clock, has_engine=False) as desk, desk.agent("ada") as ada:
        change = await ada.start()
        verdict = await ada.submit(await ada.claim(change), {"a.txt": "a"}, wait_s=0)
    clock.advance(-HOUR_S)

    async with serving(repository, clock=clock) as server, server.agent("ada") as ada:
        told = await ada.get("wait_for_update", evaluation=verdict["evaluation"], wait_s=20)
        await server.landed(change)

    assert told["outcome"] == "passed"


async def test_a_holder_works_on_through_a_clock_that_is_set_back_and_forth(repository: Repository) -> None:
    """The lease may last as much longer as the clock went back; nobody else is let in because of it."""
    clock = Clock()
    async with serving(repository, clock=clock) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        change = await ada.start()
        brief = await ada.claim(change)
        clock.advance(-HOUR_S)
        renewed = await ada.get("renew_lease", lease=brief["lease"])
        held = await bob.refused("claim_stage", agent="bob", change=change, stage="code")
        verdict = await ada.submit(brief, {"broken.txt": "x"})
        clock.advance(HOUR_S)
        mended = await ada.submit(brief, {"broken.txt": None, "a.txt": "a"})
        await server.landed(change)

    assert renewed["expires_in_s"] > 0
    assert held == "lease_held"
    assert (verdict["outcome"], mended["outcome"]) == ("failed", "passed")
