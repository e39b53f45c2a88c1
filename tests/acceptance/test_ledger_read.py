"""The ledger as it is read: from what really happened in a repository."""

import pytest

from gatewright.gates.machine.commands import Answer

from .conftest import Repositories
from .house import Generation, Repository, Server, serving, solo
from .test_resources import read

pytestmark = pytest.mark.anyio

LEDGER = "gatewright://ledger"


@pytest.mark.slow
async def test_a_mended_failure_is_a_catch_and_a_recovery(
    server: Server, repository: Repository, generation: Generation
) -> None:
    async with server.agent("ada", generation) as ada:
        empty = await read(ada.client, LEDGER)
        await ada.start()
        brief = await ada.claim()
        await ada.submit(brief, {"broken.txt": "x"})
        await ada.submit(brief, {"broken.txt": None, "fine.txt": "x"})
        ledger = await read(ada.client, LEDGER)

    assert (empty["judgements"], empty["gates"]) == (0, [])
    lines = {line["gate"]: line for line in ledger["gates"]}
    assert {"scope", "ok"} == set(lines)
    ok = lines["ok"]
    assert (ok["stage"], ok["kind"], ok["judged"], ok["caught"], ok["catch_rate"]) == ("code", "command", 2, 1, 0.5)
    assert (ok["retried"], ok["recovered"], ok["recovery_rate"]) == (1, 1, 1.0)
    assert (lines["scope"]["caught"], lines["scope"]["false_alarm_rate"]) == (0, None)
    assert ledger["is_complete"]
    assert len(ledger["counted"]) == 3
    assert ledger["untold"]


@pytest.mark.slow
async def test_a_dry_run_is_not_counted(server: Server) -> None:
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        await ada.get("check_gates", lease=brief["lease"])
        ledger = await read(ada.client, LEDGER)

    assert ledger["judgements"] == 0


@pytest.mark.slow
async def test_what_a_person_upheld_counts_as_a_false_alarm(make: Repositories, generation: Generation) -> None:
    """A gate that is wrong about the same thing time and again: its holder disputes it, and a person agrees."""
    gate = '{command: {name: picky, run: "echo a.txt:1:1: E1 too short; exit 1", report: lines}}'
    async with serving(make(solo(gate))) as server, server.agent("ada", generation) as ada:
        change = await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"a.txt": "a\n"})
        disputed = [
            {"finding": found["id"], "disposition": "disputed", "note": "It is long enough."}
            for found in verdict["findings"]
        ]
        await ada.submit(brief, {"a.txt": "a\n", "b.txt": "b\n"}, answers=disputed)
        escalated = await server.until(change, lambda r: r.stage("code").escalation is not None)
        assert escalated.stage("code").escalation
        before = await read(ada.client, LEDGER)
        await server.decide(change, Answer("code", None, True, "person:eve", "It is."))
        await server.until(change, lambda r: r.stage("code").accepted is not None)
        after = await read(ada.client, LEDGER)

    def picky(ledger: object) -> tuple[object, ...]:
        assert isinstance(ledger, dict)
        (line,) = (found for found in ledger["gates"] if found["gate"] == "picky")
        return line["caught"], line["false_alarms"], line["false_alarm_rate"]

    assert picky(before) == (2, 0, 0.0)
    assert picky(after) == (2, 1, 0.5)


@pytest.mark.slow
async def test_an_old_ledger_says_that_it_counts_the_newest_only(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gatewright.server.operations import ledger

    monkeypatch.setattr(ledger, "JUDGEMENTS_MAX", 2)
    monkeypatch.setattr(ledger, "JUDGEMENTS_AT_ONCE", 1)
    async with server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        await ada.submit(brief, {"broken.txt": "x"})
        await ada.submit(brief, {"broken.txt": None, "fine.txt": "x"})
        found = await read(ada.client, LEDGER)

    assert (found["judgements"], found["is_complete"]) == (2, False)
    assert "the newest 2 judgements" in found["summary"]
    assert [(line["judged"], line["caught"]) for line in found["gates"]] == [(1, 0), (1, 0)]
