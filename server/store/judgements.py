"""What gates said and people upheld, in one line each: what the ledger counts."""

from pydantic import BaseModel, ValidationError
from sqlalchemy import bindparam, select

from ...schemas.events import DecisionGiven
from ...schemas.records import Outcome
from . import schema
from .forms import read_event
from .part import Part, Prepared, Row
from .problems import StoreUnavailable
from .rows import Judgement, Upheld

NUMBER_MAX = 2**62

_evidence = schema.evidence
_event = schema.event


class Judgements(Part):
    """Evidence of attempts, and disputes that people decided for the holder."""

    def judgements(self, *, before: int | None = None, limit: int) -> tuple[Judgement, ...]:
        """Up to `limit` pieces of evidence about attempts, newest first; `before` is the number of the last one told.

        Dry runs and landings are no attempts.
        """
        rows = self._rows(_JUDGEMENTS, before=NUMBER_MAX if before is None else before, most=limit)
        return tuple(_judgement(row) for row in rows)

    def upheld(self, *, limit: int) -> tuple[Upheld, ...]:
        """Up to `limit` disputes that were upheld, newest first."""
        found = ((row[0], read_event(row[1])) for row in self._rows(_DECISIONS, most=limit))
        return tuple(
            Upheld(change, event.stage, event.upheld.attempt, frozenset(event.upheld.fingerprints))
            for change, event in found
            if isinstance(event, DecisionGiven) and event.upheld is not None
        )


class _Finding(BaseModel):
    fingerprint: str


class _Kept(BaseModel):
    """What is counted of stored evidence; the rest of it, the output above all, is passed over."""

    gate: str
    kind: str
    outcome: Outcome
    findings: tuple[_Finding, ...]


def _judgement(row: Row) -> Judgement:
    number, change, stage, attempt, tree, policy, digest, text = row
    try:
        kept = _Kept.model_validate_json(text)
    except ValidationError as exc:
        raise StoreUnavailable(f"The evidence with the number {number} cannot be read: it is damaged.") from exc
    return Judgement(
        number=number,
        change=change,
        stage=stage,
        attempt=attempt,
        subject=(tree, policy, digest),
        gate=kept.gate,
        kind=kept.kind,
        outcome=kept.outcome,
        fingerprints=frozenset(finding.fingerprint for finding in kept.findings),
    )


_JUDGEMENTS = Prepared(
    select(
        _evidence.c.number,
        _evidence.c.change,
        _evidence.c.stage,
        _evidence.c.attempt,
        _evidence.c.tree,
        _evidence.c.policy_digest,
        _evidence.c.gate_digest,
        _evidence.c.evidence,
    )
    .where(_evidence.c.attempt.is_not(None), _evidence.c.number < bindparam("before"))
    .order_by(_evidence.c.number.desc())
    .limit(bindparam("most"))
)
_DECISIONS = Prepared(
    select(_event.c.change, _event.c.event)
    .where(_event.c.kind == "decision_given")
    .order_by(_event.c.position.desc())
    .limit(bindparam("most"))
)
