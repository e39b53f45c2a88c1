"""`gatewright why` tells one screen, and every command that it names is one."""

import re
import shlex
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest

from gatewright.gates.machine.commands import Because, Claim, Command, Release
from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import parse
from gatewright.server.cli.opening import services_of
from gatewright.server.cli.why import LINES_MAX, lasting
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store.tx import Tx

from .conftest import Desk, Ran

Call = Callable[..., Ran]


def decide(desk: Desk, *commands: Command) -> None:
    """What agents ask for, decided in this process."""
    options = parse(["--repo", str(desk.top), "why", "c1"])[2]
    with services_of(options) as services:
        for command in commands:
            services.store.run(partial(_apply, command, services.clock()))


def _apply(command: Command, now: datetime, tx: Tx) -> None:
    apply(tx, get_change(tx, "c1"), command, now)


@pytest.fixture
def stuck(ready: Desk) -> Desk:
    """A change whose plan waits for a person."""
    ready.do("start", "Change a setting")
    decide(ready, Claim("plan", "ada", "stdio:ada"), Release("plan", 1, Because.NEEDS_DECISION, "a\nor b?" * 200))
    return ready


@pytest.mark.slow
def test_it_names_commands_that_the_command_line_takes(stuck: Desk, call: Call) -> None:
    told = call("why", "c1", "plan")
    named = [command for command in re.findall(r"`gatewright ([^`]+)`", told.out) if command.split()[0] != "why"]

    assert told.status == Exit.OK
    assert [command.split()[0] for command in named] == ["answer", "grant-attempts", "reopen"]
    for command in named:
        parse(shlex.split(command))


def test_it_is_one_screen_whatever_was_asked(stuck: Desk, call: Call) -> None:
    one, whole = call("why", "c1", "plan"), call("why", "c1")

    assert len(one.out.splitlines()) <= LINES_MAX
    assert len(whole.out.splitlines()) <= LINES_MAX
    assert max(map(len, one.out.splitlines())) <= 200
    assert "plan: escalated" in one.out
    assert "more lines: gatewright answer c1 plan shows all" in one.out
    assert "code: waiting" in whole.out
    assert "land: waiting" in whole.out


@pytest.mark.slow
def test_as_data_it_is_what_get_status_tells(stuck: Desk, call: Call) -> None:
    data = call("why", "c1", "plan", "--json").json
    unknown = call("why", "c1", "nowhere")

    why = data["why"]
    assert isinstance(why, dict)
    assert (why["stage"], why["state"], why["is_claimable"]) == ("plan", "escalated", False)
    assert unknown.status == Exit.REFUSED
    assert "land" in unknown.err


def test_how_long_is_said_in_the_units_that_matter() -> None:
    assert [lasting(s) for s in (40, 119, 120, 3_700, 100_000)] == ["40 s", "119 s", "2 min", "1 h 1 min", "1 d 3 h"]
