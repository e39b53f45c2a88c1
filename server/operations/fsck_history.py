"""Whether what is stored of a change agrees with itself: its events, its record, what follows from it, its evidence."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...gates.lifecycle import live_evaluations
from ...gates.machine.evolve import evolve
from ...gates.machine.invariants import broken
from ...gates.text import number_of
from ...schemas.records import Attempt, ChangeRecord, Landing, LandingStep, Outcome, StageRecord
from ..store import Purpose, StoredEvidence, StoreUnavailable, openings_of
from .fsck_problem import Kind, Problem

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ..store.tx import Tx

EVENTS_PAGE = 500
OPENINGS_MAX = 1_000
DIFFERENCES_TOLD_MAX = 5
# Every lease has ended by then.
FOR_EVER = datetime(9_000, 1, 1, tzinfo=UTC)
BACKUP = "Restore the store from a backup, or report it with `gatewright log CHANGE --json`."


def problems_of_change(tx: "Tx", change: str) -> tuple[tuple[Problem, ...], ChangeRecord | None]:
    """Everything that is wrong with one change in the store, and its record if that can be read."""
    try:
        record = tx.find_change(change)
    except StoreUnavailable:
        return (Problem(Kind.UNREADABLE, f"The record of {change} cannot be read.", BACKUP, change),), None
    assert record is not None, "its id was read from the same table"
    found = [*_history(tx, record), *_invariants(record)]
    try:
        found += [*_openings(tx, record), *_evaluations(tx, record), *_evidence(tx, record)]
    except StoreUnavailable:
        found.append(Problem(Kind.UNREADABLE, f"Evidence of {change} cannot be read.", BACKUP, change))
    return tuple(found), record


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Where two records differ, as paths: `stages.code.fence`."""
    if one == other:
        return []
    if is_dataclass(one) and type(one) is type(other):
        return [
            path
            for field in fields(one)
            for path in differences(getattr(one, field.name), getattr(other, field.name), _join(where, field.name))
        ]
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [path for n, (a, b) in pairs for path in differences(a, b, _join(where, getattr(a, "name", str(n))))]
    return [where or "everything"]


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _invariants(record: ChangeRecord) -> Iterator[Problem]:
    do = f"End it with `gatewright cancel {record.id} --reason ...`, and report what `gatewright log {record.id}` says."
    try:
        for item in broken(record):
            yield Problem(Kind.INVARIANT, f"{record.id} breaks {item}.", do, record.id)
    except (AssertionError, LookupError, StopIteration, ValueError) as exc:
        # A record that nothing of ours can have written.
        yield Problem(Kind.INVARIANT, f"{record.id} is no possible record ({exc!r}).", do, record.id)


def _history(tx: "Tx", record: ChangeRecord) -> Iterator[Problem]:
    """Versions without a gap, and a replay that gives exactly the record (I9)."""
    change = record.id
    version, state = tx.columns_of(change)
    if (version, state) != (record.version, str(record.state)):
        told = f"it is listed as {state} at version {version}, and is {record.state} at {record.version}"
        yield Problem(Kind.RECORD, f"{change} is not what the list says: {told}.", BACKUP, change)
    count, lowest, highest = tx.event_versions(change)
    if (count, lowest, highest) != (record.version, 1, record.version):
        told = f"{number_of(count, 'events')} from {lowest} to {highest}, and its record is at version {record.version}"
        yield Problem(Kind.HISTORY, f"The history of {change} is not without gaps: it has {told}.", BACKUP, change)
        return
    replayed = _replayed(tx, change)
    if isinstance(replayed, Problem):
        yield replayed
    elif replayed != record:
        differ = ", ".join(differences(record, replayed)[:DIFFERENCES_TOLD_MAX])
        what = f"The record of {change} is not what its events amount to; they differ in {differ}."
        yield Problem(Kind.RECORD, what, f"The events are what happened. {BACKUP}", change)


def _replayed(tx: "Tx", change: str) -> ChangeRecord | Problem | None:
    """What the events amount to, or why they amount to nothing."""
    record: ChangeRecord | None = None
    done = 0
    try:
        for event in _events(tx, change):
            record = evolve(record, event)
            done += 1
    except StoreUnavailable as exc:
        return Problem(Kind.UNREADABLE, f"Event {done + 1} of {change} cannot be read: {exc}", BACKUP, change)
    except (AssertionError, LookupError, StopIteration, ValueError) as exc:
        # What `evolve` asserts, and what it runs into where an event speaks of what there is not.
        what = f"The history of {change} is not possible: event {done + 1} cannot follow those before it ({exc})."
        return Problem(Kind.HISTORY, what, BACKUP, change)
    return record


def _events(tx: "Tx", change: str) -> "Iterator[Event]":
    """All of them in order; one by one from where a page cannot be read, so that those before it are told."""
    after, limit = 0, EVENTS_PAGE
    while True:
        try:
            page = tx.events(change, after=after, limit=limit)
        except StoreUnavailable:
            if limit == 1:
                raise
            limit = 1
            continue
        if not page:
            return
        yield from (event for _, event in page)
        after = page[-1][0]


def _openings(tx: "Tx", record: ChangeRecord) -> Iterator[Problem]:
    """The index of what can be claimed is exactly what follows from the record."""
    stored = set(tx.openings(FOR_EVER, change=record.id, limit=OPENINGS_MAX))
    due = set(openings_of(record))
    stages = ", ".join(sorted({f"'{opening.stage}'" for opening in stored ^ due}))
    if stages:
        do = f"The next thing that happens to {record.id} writes it anew; `gatewright why {record.id}` tells what can."
        what = f"What can be claimed of {record.id} is not listed as it is: {stages}."
        yield Problem(Kind.OPENINGS, what, do, record.id)


def _evaluations(tx: "Tx", record: ChangeRecord) -> Iterator[Problem]:
    """Live evaluations are exactly those that the change waits for; a dry run has its lease."""
    rows = tx.evaluations(change=record.id)
    settling = {row.id for row in rows if row.purpose in {Purpose.ATTEMPT, Purpose.RUN, Purpose.LAND}}
    waited_for = live_evaluations(record)
    for evaluation in sorted(waited_for - settling):
        do = f"`gatewright cancel {record.id} --reason ...` and begin anew, or have the stage before it reopened."
        yield Problem(Kind.EVALUATIONS, f"{record.id} waits for {evaluation}, which is not queued.", do, record.id)
    for evaluation in sorted(settling - waited_for):
        do = "Its result will change nothing; restart the server if it keeps running."
        yield Problem(Kind.EVALUATIONS, f"{evaluation} is queued or runs, and nobody waits for it.", do, record.id)
    for row in rows:
        stage = record.find_stage(row.stage)
        lease = None if stage is None else stage.lease
        if row.purpose is Purpose.DRY and (lease is None or lease.fence != row.fence):
            do = "Its result goes nowhere; restart the server if it keeps running."
            yield Problem(Kind.EVALUATIONS, f"The check {row.id} goes on without the lease that asked.", do, record.id)


def _evidence(tx: "Tx", record: ChangeRecord) -> Iterator[Problem]:
    """What passed has evidence for every gate, naming the commit, its tree and the policy (I4)."""
    for stage in record.stages:
        if stage.artifact is not None:
            yield from _evidence_of_stage(tx, record, stage, stage.artifact)
    landing = record.landing
    if landing is not None and landing.step in {LandingStep.INTENDED, LandingStep.LANDED}:
        yield from _evidence_of_landing(tx, record, landing)


def _evidence_of_stage(tx: "Tx", record: ChangeRecord, stage: StageRecord, artifact: Attempt) -> Iterator[Problem]:
    stored = {item.evidence.gate: item for item in tx.evidence_of(artifact.evaluation)}
    subject = (artifact.commit, artifact.tree, record.policy.digest)
    for gate in record.rule(stage.name).every_gate:
        lack = _lack(stored.get(gate), subject, is_allowed=gate in artifact.allowed)
        if lack is not None:
            what = f"'{stage.name}' of {record.id} passed with attempt {artifact.number}, and gate '{gate}' {lack}."
            do = f"`gatewright reopen {record.id} {stage.name} --reason ...` has it judged again."
            yield Problem(Kind.EVIDENCE, what, do, record.id)


def _evidence_of_landing(tx: "Tx", record: ChangeRecord, landing: Landing) -> Iterator[Problem]:
    stored = {item.evidence.gate: item for item in tx.evidence_of(landing.evaluation)}
    subject = (landing.new or "", landing.tree or "", record.policy.digest)
    for gate in record.plan.land_gates:
        lack = _lack(stored.get(gate), subject, is_allowed=gate in landing.allowed)
        if lack is not None:
            what = f"{record.id} landed as {landing.new}, and gate '{gate}' {lack}."
            do = "Have that content judged in a change of its own; `gatewright log` tells who was asked."
            yield Problem(Kind.EVIDENCE, what, do, record.id)


def _lack(item: StoredEvidence | None, subject: tuple[str, str, str], *, is_allowed: bool) -> str | None:
    """What is wrong with the evidence of one gate; None when it shows that the gate passed, or was allowed."""
    if item is None:
        return "has no evidence"
    if (item.commit, item.tree, item.policy_digest) != subject:
        return f"has evidence about another commit or policy ({item.commit[:10]})"
    outcome = item.evidence.outcome
    is_enough = outcome is Outcome.PASSED or (outcome is Outcome.PENDING and is_allowed)
    return None if is_enough else f"has evidence that it {outcome}"
