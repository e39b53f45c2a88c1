"""What the store holds in the end, read with queries and not through the server, and what is found to be wrong."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewright.schemas.events import Event
from gatewright.schemas.records import ChangeRecord
from gatewright.server.store import EvaluationState, StoredEvidence, open_store

from .world import World

if TYPE_CHECKING:
    from gatewright.server.store.tx import Tx

PAGE = 500
CHANGES_MAX = 100_000


@dataclass
class Findings:
    """What is wrong, in sentences: effects that are missing, that are there twice, and rules that do not hold."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [
            *(f"lost: {sentence}" for sentence in self.lost),
            *(f"doubled: {sentence}" for sentence in self.doubled),
            *(f"broken: {sentence}" for sentence in self.broken),
        ]


@dataclass(frozen=True)
class Truth:
    """All that the store holds."""

    records: Mapping[str, ChangeRecord]
    events: Mapping[str, Sequence[Event]]
    unsettled: Sequence[str]
    evidence: Mapping[str, Sequence[StoredEvidence]]

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for events in self.events.values() for event in events)

    def of_stage(self, change: str, stage: str) -> list[Event]:
        return [event for event in self.events.get(change, ()) if getattr(event, "stage", None) == stage]


def read_truth(world: World) -> Truth:
    """Read the whole store."""
    with closing(open_store(world.state, create=False)) as store:
        return store.read(truth_of)


def truth_of(tx: "Tx") -> Truth:
    """All that a transaction sees."""
    records = {record.id: record for record in tx.changes(limit=CHANGES_MAX)}
    rows = {name: tx.evaluations(change=name, states=tuple(EvaluationState)) for name in records}
    live = (EvaluationState.QUEUED, EvaluationState.RUNNING)
    return Truth(
        records=records,
        events={name: _events_of(tx, name) for name in records},
        unsettled=[row.id for found in rows.values() for row in found if row.state in live],
        evidence={row.id: tx.evidence_of(row.id) for found in rows.values() for row in found},
    )


def _events_of(tx: "Tx", change: str) -> list[Event]:
    events: list[Event] = []
    while page := tx.events(change, after=len(events), limit=PAGE):
        assert page[0][0] == len(events) + 1, f"the events of {change} have a gap after {len(events)}"
        events.extend(event for _, event in page)
    return events
