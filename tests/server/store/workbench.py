"""Changes, evaluations and evidence to fill a store with; every record comes from a real decision."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psycopg
from sqlalchemy.exc import IntegrityError

from gatewright.gates.lifecycle import decide
from gatewright.gates.machine.commands import Claim, Command, Start
from gatewright.gates.machine.evolve import replay
from gatewright.schemas.plan import Plan, PolicyPin, StageRule
from gatewright.schemas.records import ChangeRecord, Evidence, Outcome
from gatewright.schemas.refusals import Refusal
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store import EvaluationRow, EvaluationState, Purpose, Store, StoredEvidence, StoredReply
from gatewright.server.store.tx import Tx

T = TypeVar("T")

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LEASE_S = 900.0
LATER = NOW + timedelta(seconds=LEASE_S)
# What a database raises when its own rules are broken; it is a defect of ours, so it has no word of the domain.
RULE_BROKEN = (sqlite3.IntegrityError, psycopg.IntegrityError, IntegrityError)
EVENTS_MAX = 99_999
REPLY = StoredReply("digest", "{}")


def rule(name: str, *needs: str, role: str | None = None) -> StageRule:
    return StageRule(name, needs, ("tests",), 3, None, 2, role, False, ("**",))


# `code` and `docs` can be claimed at once, so that their order shows.
PLAN = Plan((rule("code", role="coder"), rule("docs")), ("code", "docs"), ("tests",), LEASE_S)


def start(tx: Tx, plan: Plan = PLAN) -> ChangeRecord:
    """A new change, under the next id."""
    pin = PolicyPin("p" * 40, "policy")
    return apply(tx, None, Start(tx.next_change_id(), "title", "intent", "ada", "b" * 40, "main", pin, plan), NOW)


def do(tx: Tx, change: str, command: Command, now: datetime = NOW) -> ChangeRecord:
    return apply(tx, get_change(tx, change), command, now)


def claim_next(tx: Tx, holder: str, *, is_patient: bool = True) -> str | None:
    """Claim the first opening, as a claim without a named stage does; `change/stage`, or None when nothing is open.

    Who is not patient passes over what somebody else is writing to.
    """
    found = tx.openings(NOW, limit=1) if is_patient else tx.free_opening(NOW)
    while found:
        opening = found[0]
        record = get_change(tx, opening.change)
        command = Claim(opening.stage, holder, holder)
        if not isinstance(decide(record, command, NOW), Refusal):
            apply(tx, record, command, NOW)
            return f"{opening.change}/{opening.stage}"
        found = tx.openings(NOW, after=opening, limit=1) if is_patient else tx.free_opening(NOW, after=opening)
    return None


def evaluation(name: str = "c1.e1", *, purpose: Purpose = Purpose.ATTEMPT, not_before: datetime = NOW) -> EvaluationRow:
    return EvaluationRow(name, "c1", "code", purpose, EvaluationState.QUEUED, NOW, not_before, attempt=1)


def evidence(gate: str = "tests", name: str = "c1.e1") -> StoredEvidence:
    found = Evidence(gate, "command", Outcome.PASSED, 3, "tests", "3 tests passed")
    return StoredEvidence(name, "c1", "code", 1, "a" * 40, "t" * 40, "policy", "gate", found)


def started(store: Store, count: int = 1) -> None:
    """As many new changes, in one transaction."""
    store.run(lambda tx: [start(tx) for _ in range(count)])


def write_each(store: Store, write: Callable[[Tx, T], None], items: Iterable[T]) -> None:
    """Write every item, in one transaction."""

    def work(tx: Tx) -> None:
        for item in items:
            write(tx, item)

    store.run(work)


def assert_whole(store: Store, change: str) -> None:
    """The record is there, and is what its events make of it (invariant I9)."""

    def look(tx: Tx) -> None:
        record = tx.find_change(change)
        events = tx.events(change, limit=EVENTS_MAX)
        assert record is not None
        assert [number for number, _ in events] == list(range(1, record.version + 1))
        assert replay([event for _, event in events]) == record

    store.read(look)
