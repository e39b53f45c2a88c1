"""Every sequence of commands over the real decisions: whatever anybody asks for, the invariants of the protocol hold.

Records that differ only in names, times and the length of their past are taken for one, and budgets are small, so that
the search ends. It follows every command from every such record, refusals included.
"""

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from unittest.mock import patch

import pytest

from gatewright.gates import commands as c
from gatewright.gates import graph
from gatewright.gates.evolve import evolve
from gatewright.gates.lifecycle import decide, live_evaluations
from gatewright.schemas.ids import LAND
from gatewright.schemas.plan import PolicyPin, StageRule
from gatewright.schemas.records import (
    AttemptState,
    ChangeRecord,
    ChangeState,
    GateOutcome,
    LandingStep,
    Outcome,
    StageRecord,
    StageState,
)
from gatewright.schemas.refusals import Refusal

from .lifecycle_story import LEASE_S, Story, rule

EVE = "person:eve"
STATES_MAX = 60_000
# As many are enough to tell the last from the one before.
LANDING_FAILURES_MAX = 1
PLANS: dict[str, tuple[StageRule, ...]] = {
    "one stage": (rule("code", attempts=2, reopens=1),),
    "one after the other": (rule("plan", attempts=1, reopens=1), rule("code", "plan", attempts=1, otherwise="plan")),
    "made from an agent's": (rule("code", attempts=1, reopens=1), rule("docs", "code", otherwise="code", is_run=True)),
    "made first": (rule("docs", reopens=1, is_run=True), rule("code", "docs", attempts=1, reopens=1)),
    "made by the server alone": (rule("docs", reopens=1, is_run=True),),
}
STARTED = {StageState.OPEN, StageState.CLAIMED, StageState.EVALUATING, StageState.IN_REVIEW, StageState.PASSED}
Key = tuple[object, ...]


def key_of(record: ChangeRecord) -> Key:
    """What decisions depend on."""
    landing = record.landing
    return (
        record.state,
        record.policy.digest,
        landing and (landing.step, landing.asked, landing.allowed),
        min(record.landing_failures, LANDING_FAILURES_MAX),
        tuple(map(stage_key, record.stages)),
    )


def stage_key(stage: StageRecord) -> Key:
    now = stage.current
    errors = sum(a.fence == stage.fence and a.outcome is Outcome.ERRORED for a in stage.attempts)
    return (
        stage.state,
        stage.lease is not None,
        stage.accepted is not None,
        (stage.failed - stage.granted, stage.granted > 0, stage.stuck > 2, stage.reopened),
        stage.escalation and stage.escalation.cause,
        stage.carried is not None,
        stage.transform is not None and min(errors, 3),
        now is not None
        and (
            (now.outcome, now.asked, now.allowed, now.error_retries, now.is_free)
            if now.state is AttemptState.JUDGING
            else now.state
        ),
    )


def commands(record: ChangeRecord) -> Iterator[tuple[c.Command, float]]:
    """Everything that anybody may ask for now, with the seconds that pass before."""
    for stage in record.stages:
        for command in about_stage(record, stage):
            yield command, 0.0
        yield c.Claim(stage.name, "bob", "stdio:bob"), LEASE_S * 2
    for command in about_change(record):
        yield command, 0.0


def about_stage(record: ChangeRecord, stage: StageRecord) -> Iterator[c.Command]:
    name, fence = stage.name, stage.fence
    yield c.Claim(name, "ada", "stdio:ada")
    yield c.Renew(name, fence)
    for lease in {fence, fence - 1}:
        yield c.Submit(name, lease, f"commit{len(stage.attempts)}", f"tree{len(stage.attempts)}", "b", "s")
    for because in c.Because:
        yield c.Release(name, fence, because, "reason", (*record.rule(name).needs, name)[0])
    for evaluation in {stage.transform, stage.current.evaluation if stage.current else None} - {None}:
        for outcome in Outcome:
            yield settled(record.rule(name), str(evaluation), outcome)
        yield c.Settle(name, str(evaluation), (), made=c.Made("m", "t", "b", "s"))
    yield c.Answer(name, None, True, EVE, "yes")
    yield c.Answer(name, None, False, EVE, "no")
    yield c.RetryGates(name, EVE)
    yield c.Reopen(name, EVE, "again")
    # What is asked for once, or of one stage, shows all that it leads to; of each it would only multiply the records.
    if not stage.granted and len(record.stages) == 1:
        yield c.GrantAttempts(name, EVE, 1)


def settled(declared: StageRule, evaluation: str, outcome: Outcome) -> c.Settle:
    gates = (*(GateOutcome(gate, Outcome.PASSED) for gate in declared.gates[:-1]), GateOutcome("test", outcome))
    return c.Settle(declared.name, evaluation, gates, ("x",), c.Made("m", "t", "b", "s"))


def about_change(record: ChangeRecord) -> Iterator[c.Command]:
    yield c.Cancel(EVE, "enough")
    yield c.RetryLanding(EVE)
    if len(record.stages) == 1:
        yield c.Repin(PolicyPin("q" * 40, "other"), record.plan, "another policy")
    yield c.Answer(LAND, None, True, EVE, "yes")
    yield c.Answer(LAND, None, False, EVE, "no")
    if record.landing is None:
        return
    number, evaluation = record.landing.number, record.landing.evaluation
    for outcome in Outcome:
        paths = (f"{record.stages[-1].name}/a",)
        yield c.SettleLanding(evaluation, "old", "new", "tree", (GateOutcome("test", outcome),), paths, because="x")
    yield c.SettleLanding(evaluation, "old", "new", "tree", (), conflicts=(f"{record.stages[-1].name}/a",))
    yield c.SettleLanding(evaluation, "old", "new", "tree", (), conflicts=("nobody/s",))
    yield c.BlockLanding(evaluation, "in the way")
    yield c.ConfirmLanding(number)
    yield c.LoseLanding(number, "the target had moved")


class Search:
    """The graph of all records: which follows which, and by whose command."""

    def __init__(self, rules: tuple[StageRule, ...]) -> None:
        first = Story(rules).record
        self.records: dict[Key, ChangeRecord] = {key_of(first): first}
        self.after: dict[Key, set[Key]] = {}
        # The shortest way to each comes first, so that no record has a longer past than it must.
        waiting = deque(self.records)
        while waiting:
            here = waiting.popleft()
            self.after[here] = set()
            for found in self.follow(self.records[here]):
                key = key_of(found)
                self.after[here].add(key)
                if key not in self.records:
                    self.records[key] = found
                    waiting.append(key)
                    assert len(self.records) < STATES_MAX, "the search ends"

    def follow(self, record: ChangeRecord) -> Iterator[ChangeRecord]:
        for command, seconds in commands(record):
            decided = decide(record, command, record.touched_at + timedelta(seconds=seconds))
            if isinstance(decided, Refusal):
                continue
            found = record
            for event in decided:
                found = evolve(found, event)
            assert found.version == record.version + len(decided), "events are gapless (I9)"
            check_step(record, command, found)
            yield found


def check_step(before: ChangeRecord, command: c.Command, after: ChangeRecord) -> None:
    """What must hold between a record and the next."""
    for old, new in zip(before.stages, after.stages, strict=True):
        assert new.fence in (old.fence, old.fence + 1), "fences rise by one (I2)"
        assert new.attempts[: len(old.attempts)] == old.attempts or len(new.attempts) >= len(old.attempts)
        for was, now in zip(old.attempts, new.attempts, strict=False):
            is_final = was.state is not AttemptState.JUDGING
            assert not is_final or (was.state, was.commit) == (now.state, now.commit), "settled once (I3)"
    if isinstance(command, c.Settle) and command.evaluation not in live_evaluations(before):
        assert after is before, f"nobody waits for {command.evaluation} (I3)"
    if isinstance(command, c.Reopen | c.Release):
        reopened = [s.name for s, was in zip(after.stages, before.stages, strict=True) if s.reopened > was.reopened]
        for name in reopened:
            for consumer in graph.consumers(name, {rule.name: rule.needs for rule in after.plan.stages}):
                assert after.stage(consumer).state not in STARTED, "no consumer stands on it (I7)"


def check_record(record: ChangeRecord) -> None:
    """What must hold of every record."""
    for stage in record.stages:
        declared = record.rule(stage.name)
        if record.state is ChangeState.CANCELLED:
            assert stage.lease is None
            continue
        if stage.state in STARTED:
            needs = [record.stage(need) for need in declared.needs]
            assert all(n.state is StageState.PASSED and n.artifact for n in needs), "all needs passed (I1)"
        if declared.is_transform:
            assert stage.state not in {StageState.OPEN, StageState.CLAIMED}, "what the server runs is never open"
            assert stage.lease is None
        assert stage.lease is None or stage.lease.fence == stage.fence, "one lease, the newest (I2)"
        assert (stage.state is StageState.PASSED) == (stage.accepted is not None)
        if stage.artifact is not None:
            passed = {gate.gate for gate in stage.artifact.gates if gate.outcome is Outcome.PASSED}
            assert passed == set(declared.gates), "passed evidence for every gate (I4)"
        waits = stage.state is StageState.EVALUATING and record.state is ChangeState.ACTIVE
        evaluation = stage.transform or (stage.current.evaluation if stage.current else None)
        assert not waits or evaluation in live_evaluations(record), "what is evaluated is going to be judged"
    if record.landing is not None and record.landing.step is LandingStep.LANDED:
        assert record.landed_commit == record.landing.new, "what landed is what was intended (I11)"


@cache
def searched(plan: str) -> Search:
    with patch("gatewright.gates.landing.LANDING_FAILURES_MAX", LANDING_FAILURES_MAX):
        return Search(PLANS[plan])


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_no_sequence_of_commands_breaks_an_invariant(plan: str) -> None:
    for record in searched(plan).records.values():
        check_record(record)


@pytest.mark.parametrize("plan", PLANS)
def test_from_every_record_something_leads_to_landed_and_to_cancelled(plan: str) -> None:
    """Invariant I12: no dead ends."""
    search = searched(plan)
    for end in (ChangeState.LANDED, ChangeState.CANCELLED):
        reaching = {key for key, record in search.records.items() if record.state is end}
        assert reaching
        before: dict[Key, set[Key]] = {}
        for key, following in search.after.items():
            for after in following:
                before.setdefault(after, set()).add(key)
        waiting = list(reaching)
        while waiting:
            for key in before.get(waiting.pop(), set()) - reaching:
                reaching.add(key)
                waiting.append(key)
        stuck = {key for key in search.records if key not in reaching}
        over = {key for key in stuck if search.records[key].state in {ChangeState.LANDED, ChangeState.CANCELLED}}
        assert stuck == over


@pytest.mark.parametrize("plan", PLANS)
def test_every_state_of_a_stage_that_there_is_is_reached(plan: str) -> None:
    """The search is worth something only if it gets everywhere."""
    reached = {(s.name, s.state) for record in searched(plan).records.values() for s in record.stages}

    for declared in PLANS[plan]:
        never = {StageState.OPEN, StageState.CLAIMED} if declared.is_transform else set()
        never |= {StageState.WAITING} if not declared.needs and not declared.is_transform else set()
        missing = {state for state in StageState if (declared.name, state) not in reached} - {StageState.WAITING}
        assert missing <= never
