"""`gatewright log` tells a change, or the whole store, in words and as lines that replay to the very records."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gatewright.gates.machine.evolve import replay
from gatewright.schemas.events import read_event
from gatewright.server.cli.command import Exit
from gatewright.server.operations import looking
from gatewright.server.store import open_store

from .conftest import Desk, Ran

Call = Callable[..., Ran]


@pytest.fixture
def busy(ready: Desk) -> Desk:
    """Two changes whose events lie between each other's."""
    for title in ("One", "Two"):
        ready.do("start", title)
    for change in ("c1", "c2"):
        ready.do("claim", change, "plan", "--agent", "ada")
    return ready


def lines(told: Ran) -> list[dict[str, Any]]:  # Any: JSON
    assert told.status == Exit.OK
    return [json.loads(line) for line in told.out.splitlines()]


def test_a_change_is_told_in_order_with_the_format_on_every_line(busy: Desk, call: Call) -> None:
    told = lines(call("log", "c1", "--json"))

    assert [line["event"]["kind"] for line in told] == ["change_started", "stage_opened", "stage_claimed"]
    assert [line["number"] for line in told] == [1, 2, 3]
    assert {(line["format"], line["change"]) for line in told} == {(1, "c1")}


def test_the_whole_store_is_told_as_it_was_committed_and_replays_to_its_records(busy: Desk, call: Call) -> None:
    told = lines(call("log", "--json"))
    again = lines(call("log", "--json"))
    store = open_store(busy.top / ".git" / "gatewright", create=False)
    kept = {record.id: record for record in store.read(lambda tx: tx.changes(limit=9))}
    store.close()
    events = {change: [line for line in told if line["change"] == change] for change in kept}

    assert told == again
    assert [line["change"] for line in told] == ["c1", "c1", "c2", "c2", "c1", "c2"]
    for change, record in kept.items():
        assert replay(read_event(json.dumps(line["event"])) for line in events[change]) == record


@pytest.mark.slow
def test_a_long_history_is_read_a_page_at_a_time(busy: Desk, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lines(call("log", "--json"))
    monkeypatch.setattr(looking, "PAGE", 2)

    assert lines(call("log", "--json")) == whole
    assert lines(call("log", "c1", "--json")) == [line for line in whole if line["change"] == "c1"]


@pytest.mark.slow
def test_in_words_the_whole_store_names_each_change(busy: Desk, call: Call) -> None:
    told = call("log").out.splitlines()

    assert [line.split()[0] for line in told] == ["c1", "c1", "c2", "c2", "c1", "c2"]
    assert told[-1].endswith("'ada' claimed 'plan'")
    assert call("log", "c9").status == Exit.REFUSED
