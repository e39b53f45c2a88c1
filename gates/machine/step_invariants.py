"""What always holds between a record and the next: pure. See `invariants`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...schemas import events as e
from ...schemas.records import AttemptState, ChangeRecord, ChangeState, Landing, StageRecord, StageState
from .. import graph
from . import decision, settlement

# A stage's holder, or the server, begins anew: each has a fence of its own.
STARTS = (e.StageClaimed, e.TransformStarted)
# What would pull the ground away under an intent to land.
UPSETTING = (e.StageReopened, e.PolicyRepinned, e.ChangeCancelled)
STANDING = frozenset({StageState.OPEN, StageState.CLAIMED, StageState.EVALUATING, StageState.IN_REVIEW})


@dataclass(frozen=True, slots=True)
class Broken:
    """One invariant that does not hold: its number in docs/protocol.md, and what was found, in one sentence."""

    invariant: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}"


def broken_between(before: ChangeRecord, events: Sequence[e.Event], after: ChangeRecord) -> tuple[Broken, ...]:
    """What one decision did that it must not: I2, I3, I7, I9, I10 and I11.

    `events` are those of one decision, in order, and led from `before` to `after`. Between two policies stages may
    come and go.
    """
    found = list(_change(before, events, after))
    is_same_plan = before.plan is after.plan
    for place, stage in enumerate(after.stages):
        former = before.stages[place] if is_same_plan else before.find_stage(stage.name)
        if former is not None and former is not stage:
            about = [event for event in events if getattr(event, "stage", None) == stage.name]
            found.extend(_leases(former, about, stage))
            found.extend(_attempts(former, stage))
            found.extend(_budget(before, former, about, stage))
    found.extend(_reopening(events, after))
    return tuple(found)


def _change(before: ChangeRecord, events: Sequence[e.Event], after: ChangeRecord) -> Iterator[Broken]:
    if after.version != before.version + len(events):
        yield Broken("I9", f"{len(events)} events led from version {before.version} to {after.version}")
    if events and after.touched_at < before.touched_at:
        yield Broken("I9", f"the time went back from {before.touched_at} to {after.touched_at}")
    if events and before.state in {ChangeState.LANDED, ChangeState.CANCELLED}:
        yield Broken("I11", f"{events[0].kind} happened to what is {before.state}")
    upset = next((event for event in events if isinstance(event, UPSETTING)), None)
    if before.state is ChangeState.LANDING and upset is not None:
        yield Broken("I11", f"{upset.kind} happened under the intent to land")
    for event in events:
        if isinstance(event, e.ChangeLanded | e.LandingIntended):
            yield from _intent(before.landing, event)


def _intent(landing: Landing | None, event: e.ChangeLanded | e.LandingIntended) -> Iterator[Broken]:
    """What was judged is what people were asked about, what is intended, and what lands."""
    new = landing.new if landing is not None else None
    if isinstance(event, e.ChangeLanded) and event.commit != new:
        yield Broken("I11", f"{event.commit} landed, and {new} was intended")
    if isinstance(event, e.LandingIntended) and landing is not None and new is not None:
        asked = (landing.old, new, landing.tree)
        if (event.old, event.new, event.tree) != asked:
            yield Broken("I11", f"people were asked about {new}, and {event.new} is to land")


def _leases(before: StageRecord, about: Sequence[e.Event], after: StageRecord) -> Iterator[Broken]:
    starts = [event for event in about if isinstance(event, STARTS)]
    if after.fence != before.fence + len(starts):
        yield Broken("I2", f"the fence of '{after.name}' went from {before.fence} to {after.fence}")
    first = starts[0] if starts else None
    if isinstance(first, e.StageClaimed) and about[0] is first:
        if before.state not in {StageState.OPEN, StageState.CLAIMED, StageState.WAITING}:
            yield Broken("I2", f"'{after.name}' was claimed while it was {before.state}")
        if before.lease is not None and before.lease.expires_at > first.at:
            yield Broken("I2", f"'{after.name}' was claimed under the live lease of {before.lease.holder}")
    holders = {(x.fence, x.holder, x.principal) for x in (before.lease, after.lease) if x is not None}
    if len(holders) > len({fence for fence, _, _ in holders}):
        yield Broken("I2", f"fence {after.fence} of '{after.name}' has two holders")


def _attempts(before: StageRecord, after: StageRecord) -> Iterator[Broken]:
    if len(after.attempts) < len(before.attempts):
        yield Broken("I3", f"'{after.name}' had {len(before.attempts)} attempts, and has {len(after.attempts)}")
    for was, now in zip(before.attempts, after.attempts, strict=False):
        if was is now:
            continue
        # What a person says to be no fault is noted on the attempt that it is about; nothing else is.
        if was.state is not AttemptState.JUDGING and was != replace(now, upheld=was.upheld):
            yield Broken("I3", f"attempt {was.number} of '{after.name}' was {was.state}, and was settled again")
        if (was.commit, was.tree, was.inputs, was.principal) != (now.commit, now.tree, now.inputs, now.principal):
            yield Broken("I3", f"attempt {was.number} of '{after.name}' is about something else than it was")


def _budget(
    before: ChangeRecord, former: StageRecord, about: Sequence[e.Event], after: StageRecord
) -> Iterator[Broken]:
    """Only failed verdicts cost, only automatic reopenings count, and people alone add (I10)."""
    failures = sum(isinstance(event, e.AttemptFailed) for event in about)
    if after.failed > former.failed + failures:
        yield Broken("I10", f"'{after.name}' paid for {after.failed - former.failed} attempts; {failures} failed")
    granted = sum(event.count for event in about if isinstance(event, e.AttemptsGranted))
    if after.granted > former.granted + granted:
        yield Broken("I10", f"'{after.name}' was given attempts by nobody")
    reopened = sum(isinstance(event, e.StageReopened) and event.is_automatic for event in about)
    if after.reopened != former.reopened + reopened:
        yield Broken("I10", f"'{after.name}' counts {after.reopened} reopenings after {former.reopened} + {reopened}")
    bound = before.rule(after.name).reopens if reopened else 0
    if reopened and after.reopened > bound:
        yield Broken("I10", f"'{after.name}' was reopened {after.reopened} times of {bound}")
    stuck = [event.stuck for event in about if isinstance(event, e.AttemptFailed)]
    if after.state in STANDING and stuck and stuck[-1] >= settlement.STUCK_MAX:
        yield Broken("I10", f"nothing moved in '{after.name}' {stuck[-1]} times, and it goes on")


def _reopening(events: Sequence[e.Event], after: ChangeRecord) -> Iterator[Broken]:
    """Consumers of what is taken back are closed, nobody else is; landing is tried again within its bound."""
    taken = [event.stage for event in events if isinstance(event, e.StageReopened | e.StageEscalated)]
    closed = {event.stage for event in events if isinstance(event, e.StageClosed)}
    if taken or closed:
        needs = {rule.name: rule.needs for rule in after.plan.stages}
        consumers = {name for stage in taken if stage in needs for name in graph.consumers(stage, needs)}
        if others := closed - consumers:
            yield Broken("I7", f"{', '.join(sorted(others))} consumed nothing of {', '.join(taken)}, and was closed")
        again = {event.stage for event in events if isinstance(event, e.StageOpened | e.TransformStarted)}
        for name in consumers - again:
            if after.stage(name).state in {*STANDING, StageState.PASSED}:
                yield Broken("I7", f"'{name}' is {after.stage(name).state} on an artifact that was taken back")
    kinds = [type(event) for event in events]
    if kinds == [e.LandingAbandoned, e.LandingStarted] and after.landing_failures >= decision.LANDING_FAILURES_MAX:
        yield Broken("I10", f"landing is tried again after {after.landing_failures} failures")
