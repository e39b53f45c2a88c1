"""What `why` says cannot drift from what is done: it is held against `decide` in every record that can come about."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from gatewright.gates.lifecycle import decide
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import evolve
from gatewright.gates.machine.reasons import Who, reason_of, reason_of_landing, wanted_reviews
from gatewright.schemas.ids import LAND
from gatewright.schemas.plan import ApprovalRule, Plan, PolicyPin, ReviewRule
from gatewright.schemas.records import (
    BLOCKING,
    ChangeRecord,
    ChangeState,
    Finding,
    GateOutcome,
    LandingStep,
    Outcome,
    StageRecord,
    StageState,
)
from gatewright.schemas.refusals import Refusal

from ..model.records import records_of
from .lifecycle_story import LEASE_S, PASSED, PENDING, START, Story, rule

ADA, BOB, CARL, EVE = "stdio:ada", "stdio:bob", "stdio:carl", "person:eve"
SEARCHED = ("one stage", "one after the other", "reviewed by two", "approved by two", "made first")
WALKS, STEPS = 60, 60
REVIEWED = replace(
    rule("code", "plan", attempts=2),
    gates=("scope", "test", "lead"),
    reviews=(ReviewRule("peer", 2, "principal"),),
    approvals=(ApprovalRule("lead", 1),),
)
PLAN = Plan((rule("plan"), REVIEWED), ("code",), ("test", "owner"), LEASE_S, (ApprovalRule("owner", 1),))
START_REVIEWED = c.Start("c1", "t", "i", "stdio:1", "b" * 40, "main", PolicyPin("p" * 40, "digest"), PLAN)


def is_accepted(record: ChangeRecord, command: c.Command, seconds: float = 0.0) -> bool:
    decided = decide(record, command, record.touched_at + timedelta(seconds=seconds))
    return bool(decided) and not isinstance(decided, Refusal)


def begun() -> ChangeRecord:
    return after(None, START_REVIEWED)


def after(record: ChangeRecord | None, command: c.Command, seconds: float = 0.0) -> ChangeRecord:
    """The record after a command that must be accepted."""
    now = START if record is None else record.touched_at + timedelta(seconds=seconds)
    decided = decide(record, command, now)
    assert not isinstance(decided, Refusal), decided
    for event in decided:
        record = evolve(record, event)
    assert record is not None
    return record


def by_people(stage: StageRecord) -> Iterator[c.Command]:
    yield c.Answer(stage.name, None, True, EVE, "yes")
    yield c.RetryGates(stage.name, EVE)
    yield c.GrantAttempts(stage.name, EVE, 1)
    yield c.Reopen(stage.name, EVE, "again")


def check(record: ChangeRecord) -> None:
    """Sound: what is named is accepted. Complete: what is accepted is named."""
    for seconds in (0.0, LEASE_S * 2):
        now = record.touched_at + timedelta(seconds=seconds)
        for stage in record.stages:
            reason = reason_of(record, stage, now)
            claim = c.Claim(stage.name, "zoe", "stdio:zoe")
            assert reason.because
            assert reason.is_claimable == is_accepted(record, claim, seconds), reason
            for unlock in reason.unlocks:
                decided = decide(record, unlock.command, unlock.at or now)
                assert decided, unlock
                assert not isinstance(decided, Refusal), unlock
            named = {type(u.command) for u in reason.unlocks if getattr(u.command, "stage", None) == stage.name}
            accepted = {type(command) for command in by_people(stage) if is_accepted(record, command, seconds)}
            assert accepted <= named, f"{stage.name} {stage.state}: {accepted - named} is not told"
            review = c.ClaimReview(stage.name, "zoe", "stdio:zoe", "zeta")
            if is_accepted(record, review, seconds):
                assert c.ClaimReview in named
            is_stuck = record.state is ChangeState.ACTIVE and stage.state is StageState.ESCALATED
            assert not is_stuck or any(u.who is Who.PERSON for u in reason.unlocks), "people can always go on"
        check_landing(record)


def check_landing(record: ChangeRecord) -> None:
    reason = reason_of_landing(record, record.touched_at)
    assert reason.because
    assert all(is_accepted(record, unlock.command) for unlock in reason.unlocks)
    step = record.landing.step if record.landing else None
    if record.state is ChangeState.ACTIVE and step in {LandingStep.ASKING, LandingStep.BLOCKED}:
        assert reason.unlocks, "what waits for people names what they do"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SEARCHED)
def test_why_says_what_decide_does_in_every_record_that_commands_lead_to(scenario: str) -> None:
    for record in records_of(scenario):
        check(record)


def asked_about(record: ChangeRecord, random: Random) -> c.Command:
    """Something that somebody may ask for, with reviews and approvals."""
    stage = random.choice(record.stages)
    name, now = stage.name, stage.current
    who = random.choice((ADA, BOB, CARL))
    commit = now.commit if now else ""
    lease = random.choice(now.review_leases).number if now and now.review_leases else stage.review_leases
    finding = Finding("f1", "peer", random.choice((BLOCKING, "note")), "r", "no", "fp")
    landing = record.landing
    made = f"t{record.version}"
    choices: list[c.Command] = [
        c.Claim(name, who, who),
        c.Submit(name, stage.fence, f"commit-{made}", made, "b", "s"),
        c.ClaimReview(name, who, who, "gpt"),
        c.ReleaseReview(name, lease, "r"),
        c.GiveReview(name, lease, random.choice(((), (), (finding,))), ("all",)),
        c.Approve(name, None, EVE, "tty", commit, "main", random.random() < 0.8, ""),
        c.Approve(LAND, None, EVE, "tty", landing.new or "" if landing else "", "main", random.random() < 0.8, ""),
    ]
    if random.random() < 0.1 or stage.state is StageState.ESCALATED:
        choices = [*by_people(stage), c.Release(name, stage.fence, random.choice(list(c.Because)), "r", "plan")]
    if now is not None:
        outcomes = [random.choice((*[PASSED] * 9, Outcome.FAILED)) for _ in record.rule(name).gates]
        approvals = {rule.gate for rule in record.rule(name).approvals}
        gates = zip(record.rule(name).gates, outcomes, strict=True)
        found = tuple(GateOutcome(g, PENDING if g in approvals else outcome) for g, outcome in gates)
        choices += [c.Settle(name, now.evaluation, found, ("x",))] * 4
    if landing is not None:
        approving = {rule.gate for rule in record.plan.land_approvals}
        gates_of_landing = tuple(GateOutcome(g, PENDING if g in approving else PASSED) for g in record.plan.land_gates)
        choices += [c.SettleLanding(landing.evaluation, "old", "new", "tree", gates_of_landing)] * 2
        choices += [c.BlockLanding(landing.evaluation, "in the way"), c.LoseLanding(landing.number, "moved")]
    return random.choice(choices)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_why_says_what_decide_does_where_reviewers_and_people_judge(seed: int) -> None:
    random, seen = Random(seed), set[tuple[str, StageState]]()
    for _ in range(WALKS):
        record = random.choice((begun, in_review, in_review))()
        for _ in range(STEPS):
            command = asked_about(record, random)
            decided = decide(record, command, record.touched_at + timedelta(seconds=random.choice((1, LEASE_S))))
            if isinstance(decided, Refusal):
                continue
            for event in decided:
                record = evolve(record, event)
            if decided:
                check(record)
                seen |= {(s.name, s.state) for s in record.stages}

    assert {state for name, state in seen if name == "code"} == set(StageState), "the walks get everywhere"


def in_review() -> ChangeRecord:
    """Ada's work on `code` has passed its floor."""
    record = begun()
    for name, gates in (("plan", ("scope", "test")), ("code", ("scope", "test"))):
        record = after(record, c.Claim(name, "ada", ADA))
        record = after(record, c.Submit(name, 1, f"commit-{name}", f"tree-{name}", "b", "s"))
        current = record.stage(name).current
        assert current is not None
        found = tuple(GateOutcome(gate, PASSED) for gate in gates)
        asked = () if name == "plan" else (GateOutcome("lead", PENDING),)
        record = after(record, c.Settle(name, current.evaluation, (*found, *asked)))
    return record


def test_a_stage_in_review_says_how_many_are_missing_and_who_is_at_it() -> None:
    record = in_review()
    one = after(record, c.ClaimReview("code", "bob", BOB))
    reason = reason_of(one, one.stage("code"), one.touched_at)
    (wanted,) = wanted_reviews(one, one.stage("code"), one.touched_at)

    assert "waits for 2 more reviews by 'peer' ('bob' at it); people to approve: 'lead'" in reason.because
    assert (wanted.given, wanted.missing, [lease.reviewer for lease in wanted.reviewing]) == (0, 2, ["bob"])
    assert "`gatewright approve c1 code --gate lead`" in [unlock.how for unlock in reason.unlocks]
    assert 'claim_stage(change="c1", stage="code")' in [unlock.how for unlock in reason.unlocks]


def test_while_every_review_is_under_way_it_says_from_when_on_somebody_else_may() -> None:
    record = in_review()
    for who in (BOB, CARL):
        record = after(record, c.ClaimReview("code", who, who), 60)
    reason = reason_of(record, record.stage("code"), record.touched_at)
    (review,) = (unlock for unlock in reason.unlocks if unlock.who is Who.REVIEWER)

    assert review.at == START + timedelta(seconds=60 + LEASE_S)


def test_what_helps_first_stands_first() -> None:
    story = Story().in_state(StageState.ESCALATED)
    asked = reason_of(story.record, story.stage("code"), story.now)
    story = Story((rule("code", attempts=1),))
    story.attempt("code", Outcome.FAILED)
    spent = reason_of(story.record, story.stage("code"), story.now)

    assert asked.unlocks[0].how == "`gatewright answer c1 code`"
    assert spent.unlocks[0].how == "`gatewright grant-attempts c1 code 1`"


def test_a_waiting_stage_names_what_would_move_the_one_that_it_waits_for() -> None:
    story = Story()
    reason = reason_of(story.record, story.stage("code"), story.now)

    assert [unlock.how for unlock in reason.unlocks] == ['claim_stage(change="c1", stage="plan")']
