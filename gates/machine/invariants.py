"""What always holds, as predicates over the real record: pure.

`broken` is about one record, `broken_between` about what a decision did to it. Both say what they find instead of
raising, so that the search through every state, the examination of a store and the chaos run share one truth. They
decide nothing and call none of the functions that decide: a defect there must not hide itself here. What they share
with those is what a word means (`independence`, `StageRecord.makers`) and how large a bound is.
Source: docs/protocol.md, Invariants
"""

from collections.abc import Collection, Iterator, Sequence

from ...schemas.plan import ReviewRule, StageRule
from ...schemas.records import (
    Attempt,
    AttemptState,
    ChangeRecord,
    ChangeState,
    Landing,
    LandingStep,
    Maker,
    Outcome,
    Review,
    StageRecord,
    StageState,
)
from ..text import number_of
from . import settlement
from .independence import AGENT, FAMILY, family
from .step_invariants import Broken, broken_between

__all__ = ["Broken", "broken", "broken_between"]

_S = StageState
# Only these go with needs that have all passed, and with a lease.
STARTED = frozenset({_S.OPEN, _S.CLAIMED, _S.EVALUATING, _S.IN_REVIEW, _S.PASSED})
HELD = frozenset({_S.CLAIMED, _S.EVALUATING, _S.IN_REVIEW})
JUDGED = frozenset({_S.EVALUATING, _S.IN_REVIEW})
OPENABLE = frozenset({Outcome.PASSED, Outcome.PENDING})


def broken(record: ChangeRecord, stages: Collection[str] | None = None) -> tuple[Broken, ...]:
    """What one record shows of I1 to I7 and I9 to I12; empty when everything holds.

    `stages`: only about these, and the change. A cancelled change keeps the states of its stages as they were, with
    nothing live left on them.
    """
    found = list(_change(record))
    for rule in record.plan.stages:
        if stages is None or rule.name in stages:
            found.extend(_stage(record, record.stage(rule.name), rule))
    if record.landing is not None:
        found.extend(_landing(record, record.landing))
    return tuple(found)


def _stage(record: ChangeRecord, stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    yield from _attempts(stage)
    yield from _opinions(record, stage, rule)
    if record.state is ChangeState.CANCELLED:
        if stage.lease is not None:
            yield Broken("I2", f"'{stage.name}' is still leased, and the change is cancelled")
        return
    yield from _inputs(record, stage, rule)
    yield from _lease(stage, rule)
    yield from _judgement(stage, rule)
    yield from _passed(stage, rule)
    yield from _bounds(stage, rule)


def _change(record: ChangeRecord) -> Iterator[Broken]:
    """What is true of the change as a whole."""
    numbers = [_number(a.evaluation) for stage in record.stages for a in stage.attempts]
    numbers.extend(_number(stage.transform) for stage in record.stages if stage.transform is not None)
    if max(numbers, default=0) > record.evaluations or len(numbers) != len(set(numbers)):
        yield Broken("I9", f"its evaluations are not numbered without gaps up to {record.evaluations}")
    if (record.state is ChangeState.LANDED) != (record.landed_commit is not None):
        yield Broken("I11", f"it is {record.state}, and what landed is {record.landed_commit}")
    step = record.landing.step if record.landing is not None else None
    if (record.state is ChangeState.LANDING) != (step is LandingStep.INTENDED):
        yield Broken("I11", f"it is {record.state}, and its landing is {step}")
    if (record.state is ChangeState.LANDED) != (step is LandingStep.LANDED):
        yield Broken("I11", f"it is {record.state}, and its landing is {step}")


def _inputs(record: ChangeRecord, stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """A started stage stands on its needs' artifacts of now."""
    if stage.state not in STARTED:
        return
    for need in rule.needs:
        before = record.stage(need)
        if before.state is not _S.PASSED or before.artifact is None:
            yield Broken("I1", f"'{stage.name}' is {stage.state}, and its need '{need}' is {before.state}")
    is_made = (stage.state in JUDGED and stage.transform is None) or stage.state is _S.PASSED
    if is_made and stage.current is not None and stage.current.inputs != record.inputs_of(stage.name):
        yield Broken("I7", f"'{stage.name}' is {stage.state} with what was made from former artifacts of its needs")


def _lease(stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """One lease at most, the newest, and only where somebody may hold the stage."""
    lease = stage.lease
    if stage.state is _S.CLAIMED and lease is None:
        yield Broken("I2", f"'{stage.name}' is claimed by nobody")
    if lease is not None and stage.state not in HELD:
        yield Broken("I2", f"'{stage.name}' is {stage.state} and leased to {lease.holder}")
    if lease is not None and lease.fence != stage.fence:
        yield Broken("I2", f"the lease of '{stage.name}' has fence {lease.fence}, the stage {stage.fence}")
    if rule.is_transform and (lease is not None or stage.state in {_S.OPEN, _S.CLAIMED}):
        yield Broken("I2", f"'{stage.name}' is the server's to run, and {stage.state} for somebody")
    fences = [attempt.fence for attempt in stage.attempts]
    if fences != sorted(fences) or any(fence > stage.fence for fence in fences):
        yield Broken("I2", f"the attempts of '{stage.name}' have fences {fences}, the stage {stage.fence}")


def _attempts(stage: StageRecord) -> Iterator[Broken]:
    """Numbered without gaps, and every one but the newest is settled for good."""
    if [attempt.number for attempt in stage.attempts] != list(range(1, len(stage.attempts) + 1)):
        yield Broken("I3", f"the attempts of '{stage.name}' are not numbered from 1 on")
    for attempt in stage.attempts:
        is_newest = attempt is stage.attempts[-1]
        if attempt.state is AttemptState.JUDGING and not is_newest:
            yield Broken("I3", f"attempt {attempt.number} of '{stage.name}' is judged beside a newer one")
        if attempt.state is not AttemptState.JUDGING and attempt.review_leases:
            yield Broken("I5", f"attempt {attempt.number} of '{stage.name}' is {attempt.state}, and still reviewed")
        made_from = [a.inputs for a in stage.attempts[: attempt.number - 1] if a.commit == attempt.commit]
        if attempt.is_free and attempt.inputs not in made_from:
            yield Broken(
                "I7", f"attempt {attempt.number} of '{stage.name}' is judged again on what it was not made from"
            )
        if attempt.state is AttemptState.PASSED and attempt.outcome is not Outcome.PASSED:
            yield Broken("I3", f"attempt {attempt.number} of '{stage.name}' passed with outcome {attempt.outcome}")


def _judgement(stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """What is judged is the newest attempt; what is in review has a floor that passed, and something to wait for."""
    current = stage.current
    is_judging = current is not None and current.state is AttemptState.JUDGING
    if is_judging != (stage.state in JUDGED and stage.transform is None):
        yield Broken("I3", f"'{stage.name}' is {stage.state}, and its newest attempt is {current and current.state}")
    if stage.state is not _S.IN_REVIEW or current is None:
        return
    if {*rule.gates} - {g.gate for g in current.gates} or any(g.outcome not in OPENABLE for g in current.gates):
        yield Broken("I6", f"'{stage.name}' is in review on top of a floor that did not pass")
    wanted = {*current.asked} - {*current.allowed}
    if not wanted and all(_count(current, review) >= review.quorum for review in rule.reviews):
        yield Broken("I12", f"'{stage.name}' is in review, and nothing is asked any more")


def _passed(stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """Passed means one accepted attempt for which everything spoke."""
    if (stage.state is _S.PASSED) != (stage.accepted is not None):
        yield Broken("I4", f"'{stage.name}' is {stage.state}, and accepted is attempt {stage.accepted}")
    artifact = stage.artifact
    if stage.state is not _S.PASSED or artifact is None:
        return
    if artifact is not stage.current or artifact.state is not AttemptState.PASSED:
        yield Broken("I4", f"'{stage.name}' passed with attempt {artifact.number}, which is {artifact.state}")
    outcomes = {gate.gate: gate.outcome for gate in artifact.gates}
    if missing := [gate for gate in rule.every_gate if gate not in outcomes]:
        yield Broken("I4", f"'{stage.name}' passed without {', '.join(missing)}")
    if others := sorted(gate for gate, outcome in outcomes.items() if outcome is not Outcome.PASSED):
        yield Broken("I6", f"'{stage.name}' passed although {', '.join(others)} did not")
    if unanswered := sorted({*artifact.asked} - {*artifact.allowed}):
        yield Broken("I6", f"'{stage.name}' passed, and {', '.join(unanswered)} was not answered")
    for review in rule.reviews:
        if _count(artifact, review) < review.quorum:
            wanted = number_of(review.quorum, "reviews")
            yield Broken("I4", f"'{stage.name}' passed with fewer than {wanted} of '{review.gate}'")
    for approval in rule.approvals:
        people = {a.person for a in artifact.approvals if a.gate == approval.gate and a.is_given}
        if len(people) < approval.minimum:
            given = number_of(len(people), "approvals")
            yield Broken("I4", f"'{stage.name}' passed with {given} of '{approval.gate}'")


def _opinions(record: ChangeRecord, stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """Nobody's own word, nobody's twice, and none about another commit (I5)."""
    for attempt in stage.attempts:
        if not attempt.reviews and not attempt.approvals:
            continue
        where = f"attempt {attempt.number} of '{stage.name}'"
        principals = [review.principal for review in attempt.reviews]
        makers = {maker.principal for maker in stage.makers(attempt)}
        if makers & {*principals} or len(principals) != len(set(principals)):
            yield Broken("I5", f"{where}, by {attempt.principal}, was reviewed by {', '.join(principals)}")
        people = [(a.gate, a.person) for a in attempt.approvals if a.is_given]
        if any(a.person in makers for a in attempt.approvals) or len(people) != len(set(people)):
            yield Broken("I5", f"{where}, by {attempt.principal}, was approved by {people}")
        if any(review.commit != attempt.commit for review in attempt.reviews):
            yield Broken("I5", f"a review of another commit counts for {where}")
        if any((a.commit, a.target) != (attempt.commit, record.target) for a in attempt.approvals):
            yield Broken("I5", f"an approval of another commit or target counts for {where}")
        if attempt.state is AttemptState.JUDGING and not _are_independent(attempt, stage.makers(attempt), rule):
            yield Broken("I5", f"{where} was reviewed by some that do not count as others")


def _are_independent(attempt: Attempt, makers: Sequence[Maker], rule: StageRule) -> bool:
    """Whether reviewers are as different from makers, and each other, as the policy of now asks, by what they declare.

    Makers may be alike.
    """
    for wanted in rule.reviews:
        given = [review for review in attempt.reviews if review.gate == wanted.gate]
        labels = [*{maker.holder for maker in makers}, *(review.reviewer for review in given)]
        models = [*{family(maker.model) for maker in makers}, *(family(review.model) for review in given)]
        if wanted.independence in {AGENT, FAMILY} and len(labels) != len(set(labels)):
            return False
        if wanted.independence == FAMILY and len(models) != len(set(models)):
            return False
    return True


def _bounds(stage: StageRecord, rule: StageRule) -> Iterator[Broken]:
    """What goes on by itself has budget left (I10)."""
    budget = rule.attempts + stage.granted
    is_going = stage.state in {_S.OPEN, _S.CLAIMED}
    if stage.failed > budget or (is_going and stage.failed >= budget):
        yield Broken("I10", f"'{stage.name}' is {stage.state} after {stage.failed} failed attempts of {budget}")
    if is_going and stage.stuck >= settlement.STUCK_MAX:
        yield Broken("I10", f"'{stage.name}' is {stage.state}, and nothing moved {stage.stuck} times")
    if stage.failed > sum(a.state is AttemptState.FAILED and not a.is_free for a in stage.attempts):
        yield Broken("I10", f"'{stage.name}' counts {stage.failed} failed attempts, and has not that many")
    errors = max((_errors(stage, attempt, rule) for attempt in stage.attempts[-1:]), default=0)
    if errors > len(settlement.ERROR_RETRY_DELAYS_S):
        yield Broken("I10", f"'{stage.name}' was judged again after errors {errors} times")


def _landing(record: ChangeRecord, landing: Landing) -> Iterator[Broken]:
    """What lands is what passed, judged as a whole, approved by others than its makers."""
    for need in record.plan.land_needs:
        if record.stage(need).state is not _S.PASSED:
            yield Broken("I11", f"it is {landing.step}, and '{need}' is {record.stage(need).state}")
    landed = [(stage, artifact) for stage in record.stages if (artifact := stage.artifact) is not None]
    makers = {maker.principal for stage, artifact in landed for maker in stage.makers(artifact)}
    given = [(a.gate, a.person) for a in landing.approvals if a.is_given]
    if len(given) != len(set(given)) or any(person in makers for _, person in given):
        yield Broken("I5", f"the landing of what {', '.join(sorted(makers))} made was approved by {given}")
    if any((a.commit, a.target) != (landing.new, record.target) for a in landing.approvals):
        yield Broken("I5", "an approval of another commit or target counts for the landing")
    if landing.step not in {LandingStep.INTENDED, LandingStep.LANDED}:
        return
    outcomes = {gate.gate: gate.outcome for gate in landing.gates}
    if {*record.plan.land_gates} - outcomes.keys() or {*outcomes.values()} != {Outcome.PASSED}:
        yield Broken("I11", f"what is {landing.step} did not pass every land gate")
    for rule in record.plan.land_approvals:
        if sum(gate == rule.gate for gate, _ in given) < rule.minimum:
            yield Broken("I11", f"what is {landing.step} has too few approvals of '{rule.gate}'")
    if landing.old is None or landing.new is None or landing.tree is None:
        yield Broken("I11", f"it is {landing.step} from {landing.old} to {landing.new}")
    if landing.step is LandingStep.LANDED and record.landed_commit != landing.new:
        yield Broken("I11", f"{record.landed_commit} landed, and {landing.new} was intended")


def _count(attempt: Attempt, rule: ReviewRule) -> int:
    """How many principals' reviews speak for the attempt's commit."""
    return len({r.principal for r in attempt.reviews if r.gate == rule.gate and _speaks_for(r, attempt)})


def _speaks_for(review: Review, attempt: Attempt) -> bool:
    return not review.is_rejecting and review.commit == attempt.commit and review.principal != attempt.principal


def _errors(stage: StageRecord, attempt: Attempt, rule: StageRule) -> int:
    """How often the gates could not judge; each try of a `run:` stage is an attempt, under the fence of its start."""
    if not rule.is_transform:
        return attempt.error_retries
    return sum(a.fence == attempt.fence and a.outcome is Outcome.ERRORED for a in stage.attempts)


def _number(evaluation: str) -> int:
    return int(evaluation.rpartition(".e")[2])
