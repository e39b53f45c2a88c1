"""The spans of stages, and of what lies in them but gates. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from ...schemas import events as e
from ...schemas.records import (
    Attempt,
    AttemptState,
    ChangeRecord,
    ChangeState,
    Lease,
    ReviewLease,
    StageRecord,
    StageState,
)
from .span import CHANGE, End, Span, Value, about_stage, attempt_key

# A stage stands in these because somebody is waited for; in the others it is worked on, or was not opened yet.
WAITS: Mapping[StageState, str] = {
    StageState.OPEN: "unclaimed",
    StageState.ESCALATED: "escalated",
    StageState.IN_REVIEW: "in review",
}


class StageSpans:
    """Goes through the events of a change, and remembers when what is still going on in its stages began."""

    def __init__(self) -> None:
        # Of each stage: how often it was opened, since when it is open, and which event brought it into its state.
        self._times: dict[str, int] = {}
        self._open_since: dict[str, datetime] = {}
        self._state_since: dict[str, tuple[int, datetime]] = {}
        # Of the evaluation that makes the artifact of a `run:` stage.
        self._run_since: dict[str, datetime] = {}

    def take(self, before: ChangeRecord, after: ChangeRecord, end: End) -> Iterator[Span]:
        """What the event ended in any stage."""
        # What a cancelled change was about is over, whatever its stages stood at.
        is_over = after.state is ChangeState.CANCELLED
        for name in dict.fromkeys(stage.name for record in (before, after) for stage in record.stages):
            was, now = before.find_stage(name), None if is_over else after.find_stage(name)
            if was is not now:
                yield from self._of_stage(name, was, now, end)

    def opening_key(self, name: str) -> str:
        """The key of the span that everything in the stage lies in just now."""
        return f"stage/{name}/{self._times.get(name, 0)}"

    def began_at(self, evaluation: str, otherwise: datetime) -> datetime:
        """When the server began what it runs in an evaluation."""
        return self._run_since.get(evaluation, otherwise)

    def _of_stage(self, name: str, was: StageRecord | None, now: StageRecord | None, end: End) -> Iterator[Span]:
        is_anew = isinstance(end.event, e.StageReopened) and end.event.stage == name
        is_moved = is_anew or was is None or now is None or was.state is not now.state
        if was is not None:
            if is_moved and was.state in WAITS:
                yield self._wait(was, end)
            yield from self._ended_reviews(was, now, end)
            yield from self._ended_attempt(was, now, end)
            if was.lease is not None and (now is None or now.lease is None or now.lease.fence != was.lease.fence):
                yield self._lease(name, was.lease, end)
        if name in self._open_since and (is_anew or now is None or not _is_open(now)):
            yield self._opening(name, now, end)
        if now is not None:
            self._note(now, end, is_moved=is_moved)

    def _note(self, now: StageRecord, end: End, *, is_moved: bool) -> None:
        if _is_open(now) and now.name not in self._open_since:
            self._times[now.name] = self._times.get(now.name, 0) + 1
            self._open_since[now.name] = end.at
        if is_moved:
            self._state_since[now.name] = (end.number, end.at)
        if now.transform is not None:
            self._run_since.setdefault(now.transform, end.at)

    def _opening(self, name: str, now: StageRecord | None, end: End) -> Span:
        is_passed = now is not None and now.state is StageState.PASSED
        return Span(
            key=self.opening_key(name),
            parent=CHANGE,
            what="stage",
            name=name,
            began_at=self._open_since.pop(name),
            ended_at=end.at,
            outcome="passed" if is_passed else end.event.kind,
            attributes=about_stage(name),
        )

    def _wait(self, was: StageRecord, end: End) -> Span:
        number, since = self._state_since[was.name]
        what = WAITS[was.state]
        return Span(
            key=f"{what}/{was.name}/{number}",
            parent=attempt_key(was) if was.state is StageState.IN_REVIEW else self.opening_key(was.name),
            what=what,
            name=was.name,
            began_at=since,
            ended_at=end.at,
            attributes=about_stage(was.name),
        )

    def _lease(self, name: str, lease: Lease, end: End) -> Span:
        more: dict[str, Value] = {"gatewright.holder": lease.holder, "gatewright.fence": lease.fence}
        return Span(
            key=f"lease/{name}/{lease.fence}",
            parent=self.opening_key(name),
            what="lease",
            name=name,
            began_at=lease.granted_at,
            ended_at=end.at,
            outcome="taken_over" if isinstance(end.event, e.StageClaimed) else end.event.kind,
            attributes=about_stage(name) | more,
        )

    def _ended_attempt(self, was: StageRecord, now: StageRecord | None, end: End) -> Iterator[Span]:
        attempt = was.current
        if attempt is None or attempt.state is not AttemptState.JUDGING:
            return
        state = _state_of(attempt, now)
        if state is AttemptState.JUDGING:
            return
        more: dict[str, Value] = {
            "gatewright.attempt": attempt.number,
            "gatewright.holder": attempt.holder,
            "vcs.ref.head.revision": attempt.commit,
            "vcs.ref.base.revision": attempt.base,
        }
        yield Span(
            key=attempt_key(was),
            parent=self.opening_key(was.name),
            what="attempt",
            name=was.name,
            began_at=self.began_at(attempt.evaluation, attempt.submitted_at),
            ended_at=end.at,
            outcome=state,
            is_failed=state is AttemptState.FAILED,
            attributes=about_stage(was.name) | more,
        )

    def _ended_reviews(self, was: StageRecord, now: StageRecord | None, end: End) -> Iterator[Span]:
        current = None if now is None else now.current
        live = set() if current is None else {lease.number for lease in current.review_leases}
        for lease in () if was.current is None else was.current.review_leases:
            if lease.number not in live:
                yield _reviewing(was, lease, end)


def _reviewing(was: StageRecord, lease: ReviewLease, end: End) -> Span:
    more: dict[str, Value] = {"gatewright.gate": lease.gate, "gatewright.holder": lease.reviewer}
    return Span(
        key=f"reviewing/{was.name}/{lease.number}",
        parent=attempt_key(was),
        what="reviewing",
        name=was.name,
        began_at=lease.granted_at,
        ended_at=end.at,
        outcome=end.event.kind,
        attributes=about_stage(was.name) | more,
    )


def _state_of(attempt: Attempt, now: StageRecord | None) -> AttemptState:
    """What has become of an attempt; that of a stage which the policy left out is superseded."""
    attempts = () if now is None else now.attempts
    return next((other.state for other in attempts if other.number == attempt.number), AttemptState.SUPERSEDED)


def _is_open(stage: StageRecord) -> bool:
    return stage.state not in {StageState.WAITING, StageState.PASSED}
