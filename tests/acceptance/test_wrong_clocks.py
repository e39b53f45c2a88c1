"""Machines whose clocks are minutes off: leases are judged by the database's time, whoever looks at them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gatewright.server import composition
from gatewright.server.app import GatewrightApplication
from gatewright.server.store import Store, open_database

from ..postgres import _emptied_database, database_url, postgres
from .house import Clock, Server
from .team import Team

__all__ = ["_emptied_database", "database_url", "postgres"]

OFF = timedelta(minutes=20)
"""More than a lease lasts."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def team(tmp_path: Path, database_url: str) -> Team:
    with closing(open_database(database_url)) as store:
        store.run(lambda tx: tx.meta_set("target", "main"))
    return Team(tmp_path / "team")


@asynccontextmanager
async def replica(
    team: Team, url: str, name: str, *, off: timedelta, clock: Clock | None = None
) -> AsyncGenerator[Server]:
    """A server on a machine whose clock is off by so much; `clock`: one that has this time, and never asks for it."""
    with pytest.MonkeyPatch.context() as patch, closing(open_database(url)) as store:
        patch.setattr(composition, "system_clock", lambda: datetime.now(UTC) + off)
        services = composition.open_team_services(store, team.url, team.path / name, clock)
        application = GatewrightApplication(lambda: services)
        await application.services()
        yield Server(application, services)


@pytest.mark.slow
@pytest.mark.parametrize("off", [OFF, -OFF], ids=["fast", "slow"])
async def test_a_live_lease_is_stolen_by_nobody_whose_clock_is_wrong(
    team: Team, database_url: str, off: timedelta
) -> None:
    async with (
        replica(team, database_url, "right", off=timedelta(0)) as right,
        replica(team, database_url, "wrong", off=off) as wrong,
        right.agent("ada") as ada,
        wrong.agent("bob") as bob,
    ):
        change = await ada.start()
        brief = await ada.claim(change)

        told = await bob.get("claim_stage", change=change, agent="bob")
        kept = await ada.get("release_stage", lease=brief["lease"], because="done_for_now", reason="Lunch.")

    assert told["kind"] == "none"
    assert "held by 'ada'" in told.text
    assert not kept.is_refused, "nor did the wrong clock's replica end it"


@pytest.mark.slow
@pytest.mark.parametrize("off", [OFF, -OFF], ids=["fast", "slow"])
async def test_a_dead_lease_lives_for_nobody_whose_clock_is_wrong(
    team: Team, database_url: str, off: timedelta
) -> None:
    """It was given by a replica that had the time of an hour ago."""
    an_hour_ago = Clock()
    an_hour_ago.advance(-3600)
    async with (
        replica(team, database_url, "former", off=off, clock=an_hour_ago) as former,
        replica(team, database_url, "wrong", off=off) as wrong,
        former.agent("ada") as ada,
        wrong.agent("bob") as bob,
    ):
        change = await ada.start()
        await ada.claim(change)

        taken_over = await bob.claim(change)

    assert taken_over["change"] == change


def test_whoever_cannot_listen_asks_for_the_time(database_url: str) -> None:
    """Such as when all connections but one are in use: this machine's clock is nothing to fall back on."""
    with closing(open_database(database_url)) as store:

        def nobody() -> "psycopg.Connection[tuple[object, ...]]":
            raise psycopg.OperationalError("all its connections are in use")

        _feed_of(store)._connect = nobody  # type: ignore[attr-defined]  # its door is shut
        told = store.clock(lambda: datetime.now(UTC) + OFF)()

    assert abs(told - datetime.now(UTC)) < OFF / 2


def _feed_of(store: Store) -> object:
    found: object = store._database._feed  # type: ignore[attr-defined]  # of PostgreSQL's
    return found
