"""Everything that anybody may ask of one stage, allowed or not.

Each has a name and makes its command out of the world as it is, or None where it would say nothing new. What is not
allowed is tried like the rest: the machine must refuse it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gatewright.gates.machine import commands as c
from gatewright.schemas.records import (
    Answered,
    AttemptState,
    Finding,
    GateOutcome,
    Maker,
    Outcome,
    ReviewLease,
    StageRecord,
    StageState,
)

from .plans import LEASE_S, Scenario
from .world import World

LATE_S = LEASE_S * 2
BASE = "b"
LATE = "late"
FINGERPRINTS = ("x",)
BLOCKING = Finding("r1", "peer", "blocking", "review", "wrong", "fp-r1", "a", 1)
JUDGED = {StageState.EVALUATING, StageState.IN_REVIEW}

Make = Callable[[World, StageRecord], c.Command | None]


@dataclass(frozen=True, slots=True)
class OfStage:
    """Something that is asked of one stage, so many seconds from now."""

    name: str
    make: Make
    seconds: float = 0.0


def of_stages(scenario: Scenario) -> tuple[OfStage, ...]:
    """What anybody may ask of any stage of the scenario."""
    found = [*AGENTS, *EVALUATOR, *PEOPLE]
    for extra, more in EXTRAS.items():
        found.extend(more if extra in scenario.extras else ())
    for who in scenario.reviewers:
        found.extend(_by_reviewer(who))
    found.extend(OfStage(f"{person} approves", _approve(f"person:{person}")) for person in scenario.people)
    if any(rule.approvals for rule in scenario.plan.stages):
        person = f"person:{scenario.people[0]}"
        found.append(OfStage("approve another commit", _approve(person, commit="another")))
        found.append(OfStage("approve for another target", _approve(person, target="another")))
        found.append(OfStage("do not approve", _approve(person, is_given=False)))
        found.append(OfStage("approve own", _approve_own))
    return tuple(found)


# --- agents


def _claim(_: World, stage: StageRecord) -> c.Command:
    other = "bob" if stage.lease is not None and stage.lease.holder == "ada" else "ada"
    return c.Claim(stage.name, other, f"stdio:{other}")


def _claim_late(_: World, stage: StageRecord) -> c.Command | None:
    return c.Claim(stage.name, "bob", "stdio:bob") if stage.state in JUDGED else None


def _renew(_: World, stage: StageRecord) -> c.Command | None:
    return c.Renew(stage.name, stage.fence) if stage.lease is not None else None


def _submit(name: str, *, behind: int = 0, same: bool = False, dispute: bool = False, answer: bool = False) -> OfStage:
    def make(_: World, stage: StageRecord) -> c.Command | None:
        last = stage.current
        if (last is None or last.state is not AttemptState.FAILED) and (same or dispute or answer):
            return None
        number = len(stage.attempts) + 1
        found = FINGERPRINTS if last is not None and last.fingerprints == FINGERPRINTS else ()
        reviewed = tuple(f.id for f in last.review_findings) if last is not None else ()
        said = "disputed" if dispute else "fixed"
        answers = (
            *(Answered(f, said, fingerprint=f) for f in found),
            *(Answered(f, said) for f in reviewed),
        )
        return c.Submit(
            stage=stage.name,
            fence=stage.fence - behind,
            commit=last.commit if same and last is not None else f"{stage.name}{number}",
            tree=last.tree if same and last is not None else f"tree{number}",
            base=BASE,
            summary="s",
            answers=answers if dispute or answer else (),
            open_findings=found,
        )

    return OfStage(name, make)


def _adopt(_: World, stage: StageRecord) -> c.Command | None:
    """Hand the former artifact in again, where no failure forbids it."""
    last = stage.current
    if last is None or last.state is AttemptState.FAILED:
        return None
    return c.Submit(stage.name, stage.fence, last.commit, last.tree, BASE, "s")


def _keep_late(_: World, stage: StageRecord) -> c.Command:
    """What somebody made who held the stage before, known by its tree."""
    return c.KeepOrphan(stage.name, stage.fence - 1, LATE, "cleo", "n", "stdio:cleo", None, LATE)


def _adopt_late(_: World, stage: StageRecord) -> c.Command | None:
    """Hand that in as it is, by another commit."""
    return c.Submit(stage.name, stage.fence, f"{stage.name}{len(stage.attempts) + 1}", LATE, BASE, "s")


def _release(because: c.Because, behind: int = 0) -> OfStage:
    def make(world: World, stage: StageRecord) -> c.Command | None:
        upstream = (*world.record.rule(stage.name).needs, stage.name)[0]
        return c.Release(stage.name, stage.fence - behind, because, "r", upstream)

    return OfStage(f"release as {because}{' with an old lease' if behind else ''}", make)


def _orphan(world: World, stage: StageRecord) -> c.Command:
    return c.KeepOrphan(stage.name, stage.fence - 1, f"late{world.record.version}", "ada", "n")


AGENTS = (
    OfStage("claim", _claim),
    OfStage("claim while it is judged, when the lease has run out", _claim_late, LATE_S),
    OfStage("renew", _renew),
    _submit("submit"),
    _submit("submit with an old lease", behind=1),
    _submit("submit the same again", same=True),
    OfStage("submit the former artifact", _adopt),
    *(_release(because) for because in c.Because),
    _release(c.Because.DONE_FOR_NOW, behind=1),
)


# --- the evaluator


def _settle(outcome: Outcome | None) -> OfStage:
    """The result of what is judged now; None: of some gates only, all passed. Approvals always ask."""

    def make(world: World, stage: StageRecord) -> c.Command | None:
        evaluation = stage.transform or (stage.current.evaluation if stage.current is not None else None)
        return None if evaluation is None else result(world, stage, evaluation, outcome)

    return OfStage(f"the gates {outcome or 'pass, those that answer'}", make)


def result(world: World, stage: StageRecord, evaluation: str, outcome: Outcome | None) -> c.Settle:
    rule = world.record.rule(stage.name)
    asking = {approval.gate for approval in rule.approvals}
    gates = [GateOutcome(g, Outcome.PENDING if g in asking else Outcome.PASSED) for g in rule.gates if g != "test"]
    if outcome is not None:
        gates.append(GateOutcome("test", outcome))
    fingerprints = FINGERPRINTS if outcome is Outcome.FAILED else ()
    made = None
    if rule.is_transform:
        number = len(stage.attempts) + 1
        made = c.Made(f"{stage.name}{number}", f"tree{number}", BASE, "s")
    return c.Settle(stage.name, evaluation, tuple(gates), fingerprints, made)


def _settle_late(back: int) -> OfStage:
    """A result for a former attempt, or for an evaluation that was lost and started again."""

    def make(world: World, stage: StageRecord) -> c.Command | None:
        known = {attempt.evaluation for attempt in stage.attempts[-1:]} | {stage.transform}
        former = [a.evaluation for a in stage.attempts[:-1]]
        if stage.current is not None and stage.current.error_retries:
            former.append(f"{world.record.id}.e{int(stage.current.evaluation.rpartition('.e')[2]) - 1}")
        former = [evaluation for evaluation in former if evaluation not in known]
        return result(world, stage, former[-back], Outcome.PASSED) if len(former) >= back else None

    return OfStage(f"a result comes late, {back} behind", make)


EVALUATOR = (_settle(Outcome.PASSED), _settle(Outcome.FAILED), _settle_late(1), _settle_late(2))


# --- reviewers


def _by_reviewer(who: str) -> tuple[OfStage, ...]:
    principal = f"stdio:{who}"

    def held(stage: StageRecord) -> ReviewLease | None:
        leases = stage.current.review_leases if stage.current is not None else ()
        return next((lease for lease in leases if lease.principal == principal), None)

    def claim(world: World, stage: StageRecord) -> c.Command | None:
        has_reviews = bool(world.record.rule(stage.name).reviews)
        return c.ClaimReview(stage.name, who, principal) if has_reviews else None

    def claim_own(world: World, stage: StageRecord) -> c.Command | None:
        if stage.current is None or not world.record.rule(stage.name).reviews:
            return None
        maker = makers_of(stage)[-1]
        return c.ClaimReview(stage.name, maker.holder, maker.principal)

    def renew(_: World, stage: StageRecord) -> c.Command | None:
        lease = held(stage)
        return c.RenewReview(stage.name, lease.number) if lease else None

    def release(_: World, stage: StageRecord) -> c.Command | None:
        lease = held(stage)
        return c.ReleaseReview(stage.name, lease.number, "r") if lease else None

    def give(*findings: Finding) -> Make:
        def make(_: World, stage: StageRecord) -> c.Command | None:
            lease = held(stage)
            return c.GiveReview(stage.name, lease.number, findings, ("all",)) if lease else None

        return make

    def give_void(_: World, stage: StageRecord) -> c.Command | None:
        """With a lease that has ended: of a former attempt, or released."""
        live = {x.number for x in stage.current.review_leases} if stage.current is not None else set[int]()
        former = [n for n in range(1, stage.review_leases + 1) if n not in live]
        return c.GiveReview(stage.name, former[-1], (), ("all",)) if former else None

    return (
        OfStage(f"{who} claims a review", claim),
        OfStage(f"the author claims a review beside {who}", claim_own),
        OfStage(f"{who} renews", renew),
        OfStage(f"{who} lets go of the review", release),
        OfStage(f"{who} finds nothing", give()),
        OfStage(f"{who} rejects", give(BLOCKING)),
        OfStage(f"a review by {who} comes late", give_void),
    )


# --- people


def _answer(*, allowed: bool) -> OfStage:
    return OfStage(
        f"answer {'yes' if allowed else 'no'}",
        lambda _, stage: c.Answer(stage.name, None, allowed, "person:eve", "n"),
    )


def _grant(_: World, stage: StageRecord) -> c.Command | None:
    return None if stage.granted else c.GrantAttempts(stage.name, "person:eve", 1)


def _approve(person: str, *, commit: str | None = None, target: str | None = None, is_given: bool = True) -> Make:
    def make(world: World, stage: StageRecord) -> c.Command | None:
        if stage.current is None or not world.record.rule(stage.name).approvals:
            return None
        named = (commit or stage.current.commit, target or world.record.target)
        return c.Approve(stage.name, None, person, "secret", *named, is_given, "n")

    return make


def _approve_own(world: World, stage: StageRecord) -> c.Command | None:
    return _approve(makers_of(stage)[-1].principal)(world, stage) if stage.current is not None else None


PEOPLE = (
    _answer(allowed=True),
    _answer(allowed=False),
    OfStage("reopen", lambda _, stage: c.Reopen(stage.name, "person:eve", "again")),
)


def makers_of(stage: StageRecord) -> list[Maker]:
    """Who made the newest attempt: its holder, and then whoever made what was kept of the same tree."""
    attempt = stage.current
    assert attempt is not None, "there is an artifact that somebody made"
    kept = (orphan.maker for orphan in stage.orphans if orphan.tree == attempt.tree)
    return [attempt.maker, *(maker for maker in kept if maker is not None)]


# What happens only where a scenario says so: each multiplies the states.
EXTRAS = {
    "adoption": (OfStage("keep late work", _keep_late), OfStage("adopt late work", _adopt_late)),
    "answers": (_submit("submit with answers", answer=True),),
    "asks": (_settle(Outcome.PENDING),),
    "disputes": (_submit("submit the same, everything disputed", same=True, dispute=True),),
    "errors": (_settle(Outcome.ERRORED), _settle(None)),
    "grants": (OfStage("grant", _grant),),
    "orphans": (OfStage("keep a late commit", _orphan),),
    "retries": (OfStage("retry gates", lambda _, stage: c.RetryGates(stage.name, "person:eve")),),
}
