"""Starting before the database and the remote: what is waited for, what is not, and what is said meanwhile."""

import logging
from collections.abc import Sequence
from typing import cast

import pytest

from gatewright.server.cli.command import CannotGoOn
from gatewright.server.cli.starting import PAUSE_MAX_S, Start
from gatewright.server.services import Services
from gatewright.server.store import StoreUnavailable

OPENED = cast("Services", object())


def problem(code: str) -> CannotGoOn:
    return CannotGoOn(f"This is {code}.", "Do something.", code=code)


def opening(problems: Sequence[CannotGoOn]) -> Start:
    """One that meets these problems, one after the other, and is open then."""
    left = list(problems)

    def open_services() -> Services:
        if left:
            raise left.pop(0)
        return OPENED

    return Start(open_services)


def test_it_waits_for_database_and_remote_a_little_longer_each_time_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slept: list[float] = []
    start = opening([problem("store_unavailable")] * 5 + [problem("remote")])

    with caplog.at_level(logging.WARNING):
        opened = start.wait(slept.append)

    assert opened is start.services() is OPENED
    assert slept == [1.0, 2.0, 4.0, 8.0, PAUSE_MAX_S, PAUSE_MAX_S]
    assert [record.getMessage() for record in caplog.records][-1] == (
        "waiting, and trying again in 15 s: This is remote."
    )


@pytest.mark.parametrize("code", ["not_set_up", "store_unusable", "repository"])
def test_what_waiting_does_not_change_ends_it_at_once(code: str) -> None:
    slept: list[float] = []

    with pytest.raises(CannotGoOn) as ended:
        opening([problem("store_unavailable"), problem(code)]).wait(slept.append)

    assert ended.value.code == code
    assert slept == [1.0]


def test_meanwhile_whoever_asks_is_told_at_once_what_is_waited_for() -> None:
    start = opening([problem("remote")])

    def ask_between(_: float) -> None:
        with pytest.raises(StoreUnavailable, match="This is remote"):
            start.services()

    with pytest.raises(StoreUnavailable, match="only just begun"):
        start.services()
    start.wait(ask_between)
