"""The spans of gates: what one evaluation found, told when it is settled. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...schemas import events as e
from ...schemas.records import ChangeRecord, Evidence, Outcome, StageRecord
from .span import RESULTS, End, Span, Value, about_stage, attempt_key, landing_key

EvidenceOf = Callable[[str], Sequence[Evidence]]
HELD = frozenset({Outcome.FAILED, Outcome.ERRORED})


@dataclass(frozen=True, slots=True)
class Judged:
    """An evaluation that is settled: of which stage (empty for landing), within which span, and since when."""

    evaluation: str
    stage: str
    within: str
    began_at: datetime


def judged_by(before: ChangeRecord, end: End) -> Judged | None:
    """What the event settles, if it does; `before` is the record that it met."""
    match end.event:
        case (
            e.FloorPassed(stage=name, evaluation=evaluation)
            | e.StagePassed(stage=name, evaluation=evaluation)
            | e.AttemptFailed(stage=name, evaluation=evaluation)
            | e.EvaluationErrored(stage=name, evaluation=evaluation)
        ):
            return _of_attempt(before.stage(name), evaluation)
        case e.StageEscalated(stage=name, gates=gates) if gates:
            current = before.stage(name).current
            return None if current is None else _of_attempt(before.stage(name), current.evaluation)
        case e.LandingAsked() | e.LandingIntended() | e.LandingAbandoned():
            found = before.landing
            assert found is not None, "there is a landing"
            return Judged(found.evaluation, "", landing_key(found.number), found.since or before.touched_at)
        case _:
            return None


def gate_spans(judged: Judged, end: End, began_at: datetime, evidence_of: EvidenceOf) -> Iterator[Span]:
    """One for each gate that has spoken. `began_at` is when the server began what it judged, at the earliest."""
    settled = {gate.gate for gate in getattr(end.event, "gates", ()) if gate.outcome is not Outcome.PENDING}
    for item in evidence_of(judged.evaluation):
        if item.gate in settled or isinstance(end.event, e.LandingAbandoned):
            yield _gate_span(item, judged, end, began_at)


def _of_attempt(stage: StageRecord, evaluation: str) -> Judged:
    assert stage.current is not None, "what is judged was handed in"
    return Judged(evaluation, stage.name, attempt_key(stage), stage.current.submitted_at)


def _gate_span(item: Evidence, judged: Judged, end: End, began_at: datetime) -> Span:
    """What was served from an earlier verdict took no time."""
    told_at = None if item.cached else item.told_at
    ended_at = end.at if told_at is None else min(max(told_at, began_at), end.at)
    took = timedelta() if item.cached else timedelta(seconds=item.duration_s)
    more: dict[str, Value] = about_stage(judged.stage) | {
        "cicd.pipeline.task.name": item.gate,
        "cicd.pipeline.task.run.id": judged.evaluation,
        "cicd.pipeline.task.run.result": RESULTS.get(item.outcome, str(item.outcome)),
        "gatewright.gate.kind": item.kind,
        "gatewright.gate.cached": item.cached,
        "gatewright.gate.counted": item.counted,
        "gatewright.gate.findings": len(item.findings),
    }
    return Span(
        key=f"gate/{judged.evaluation}/{item.gate}",
        parent=judged.within,
        what="gate",
        name=item.gate,
        began_at=max(ended_at - took, began_at),
        ended_at=ended_at,
        outcome=item.outcome,
        is_failed=item.outcome in HELD,
        attributes=more,
    )
