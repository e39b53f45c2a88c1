"""The spans that the events of a change tell: what there was, from when to when, within what, and how it ended.

A span is told by the event that ended it, so there is one exactly when the record says that the thing happened, and
whoever reads the same events tells the same spans. Pure.

    change                             from its start to landed or cancelled
      stage NAME                       each time it is open, until it passed, was reopened or closed
        unclaimed | escalated NAME     nobody has it; people are to decide
        lease NAME                     somebody has it
        attempt NAME                   from handing in to the verdict
          gate NAME                    one that the server judged
          in review NAME               reviewers or people are asked about it
          reviewing NAME               a reviewer has it
      landing                          each try
        gate NAME, landing asking, landing blocked

and, within what it was done to and without duration, what agents and people did: `claim`, `submit` and the others of
`ACTS`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from ...gates.machine.evolve import evolve
from ...schemas import events as e
from ...schemas.events import Event
from ...schemas.records import ChangeRecord, ChangeState, Landing, LandingStep
from .gate_spans import EvidenceOf, gate_spans, judged_by
from .span import CHANGE, RESULTS, End, Span, Value, about_stage, attempt_key, landing_key
from .stage_spans import StageSpans

__all__ = ["ACTS", "CHANGE", "LANDING_WAITS", "Span", "spans_of"]

# What agents and people do, by the event that says so.
ACTS: Mapping[type[object], str] = {
    e.StageClaimed: "claim",
    e.LeaseReleased: "release",
    e.ArtifactSubmitted: "submit",
    e.AttemptWithdrawn: "withdraw",
    e.ReviewClaimed: "claim review",
    e.ReviewGiven: "review",
    e.ReviewReleased: "release review",
    e.ApprovalGiven: "approve",
    e.QuestionAnswered: "answer",
    e.DecisionGiven: "decide",
    e.AttemptsGranted: "grant",
    e.StageReopened: "reopen",
    e.LandingAnswered: "answer landing",
    e.LandingApproved: "approve landing",
    e.PolicyRepinned: "repin",
    e.ChangeCancelled: "cancel",
}
# What comes after is no part of the change: work that is kept late.
OVER = frozenset({ChangeState.LANDED, ChangeState.CANCELLED})
LANDING_WAITS: Mapping[LandingStep, str] = {
    LandingStep.ASKING: "landing asking",
    LandingStep.BLOCKED: "landing blocked",
}


def spans_of(
    history: Iterable[tuple[int, Event]], evidence_of: EvidenceOf, *, after: int = 0
) -> Iterator[tuple[int, Span]]:
    """(number, span) of what was ended by an event with a number above `after`; `history` is all of the change's.

    `evidence_of` gives what was found by an evaluation, and is asked only about those that were settled since.
    """
    telling = _Telling(evidence_of, after)
    for number, event in history:
        told = telling.take(End(number, event))
        if number > after:
            yield from ((number, span) for span in told)


class _Telling:
    """Goes through the events of a change, and remembers when what is still going on began."""

    def __init__(self, evidence_of: EvidenceOf, after: int) -> None:
        self._evidence_of = evidence_of
        self._after = after
        self._record: ChangeRecord | None = None
        self._stages = StageSpans()
        self._judged: set[str] = set()
        self._landing_since: datetime | None = None
        self._step_since: tuple[int, datetime] | None = None

    def take(self, end: End) -> list[Span]:
        """What the event ended."""
        before, after = self._record, evolve(self._record, end.event)
        self._record = after
        if before is None or before.state in OVER:
            return []
        told = list(self._gates(before, end))
        told += self._stages.take(before, after, end)
        told += self._landing(before.landing, after.landing, end)
        told += self._act(after, end)
        if after.state in OVER:
            told.append(_change(after, end))
        return told

    def _gates(self, before: ChangeRecord, end: End) -> Iterator[Span]:
        """Those of an evaluation that was settled just now, each for once."""
        judged = judged_by(before, end)
        if judged is None or judged.evaluation in self._judged:
            return
        self._judged.add(judged.evaluation)
        if end.number > self._after:
            began_at = self._stages.began_at(judged.evaluation, judged.began_at)
            yield from gate_spans(judged, end, began_at, self._evidence_of)

    def _landing(self, was: Landing | None, now: Landing | None, end: End) -> Iterator[Span]:
        is_other = was is None or now is None or was.number != now.number
        is_moved = is_other or was is None or now is None or was.step is not now.step
        if was is not None and is_moved and was.step in LANDING_WAITS:
            assert self._step_since is not None, "a step begins before it ends"
            number, since = self._step_since
            what = LANDING_WAITS[was.step]
            yield Span(f"{what}/{number}", landing_key(was.number), what, "", since, end.at)
        if was is not None and (is_other or now is None or (is_moved and now.step is LandingStep.LANDED)):
            assert self._landing_since is not None, "a landing begins before it ends"
            yield _landing(was, self._landing_since, end)
        if now is not None and is_moved:
            self._step_since = (end.number, end.at)
            self._landing_since = end.at if is_other else self._landing_since

    def _act(self, after: ChangeRecord, end: End) -> Iterator[Span]:
        event, name = end.event, getattr(end.event, "stage", "")
        what = ACTS.get(type(event))
        if what is None or (isinstance(event, e.ArtifactSubmitted) and after.rule(name).is_transform):
            return
        within = self._stages.opening_key(name) if name else CHANGE
        if hasattr(event, "attempt") or isinstance(event, e.ReviewReleased):
            within = attempt_key(after.stage(name))
        elif isinstance(event, e.LandingAnswered | e.LandingApproved):
            within = landing_key(event.number)
        more: dict[str, Value] = {}
        if isinstance(event, e.StageClaimed):
            more = {"gatewright.holder": event.lease.holder, "gatewright.takeover": event.taken_over is not None}
        attributes = about_stage(name) | more
        key = f"{event.kind}/{end.number}"
        yield Span(key, within, what, name, end.at, end.at, is_act=True, attributes=attributes)


def _landing(was: Landing, since: datetime, end: End) -> Span:
    is_landed = isinstance(end.event, e.ChangeLanded)
    more: dict[str, Value] = {} if was.new is None else {"vcs.ref.head.revision": was.new}
    outcome = "landed" if is_landed else end.event.kind.removeprefix("landing_")
    return Span(
        key=landing_key(was.number),
        parent=CHANGE,
        what="landing",
        name="",
        began_at=since,
        ended_at=end.at,
        outcome=outcome,
        is_failed=isinstance(end.event, e.LandingAbandoned),
        attributes=more,
    )


def _change(record: ChangeRecord, end: End) -> Span:
    more: dict[str, Value] = {
        "cicd.pipeline.result": RESULTS[record.state],
        "vcs.ref.base.name": record.target,
        "vcs.ref.base.revision": record.base,
        "gatewright.policy": record.policy.digest,
    }
    if record.landed_commit is not None:
        more["vcs.ref.head.revision"] = record.landed_commit
    return Span(CHANGE, None, CHANGE, "", record.created_at, end.at, record.state, attributes=more)
