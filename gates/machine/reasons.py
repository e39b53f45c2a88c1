"""Why a stage or a landing does not move, and what would unlock it: pure.

The words are those of the refusal that a claimer would get, and each unlock was tried by `decide` on the very record:
what is named is accepted, so what is told cannot drift from what is done. Source: docs/protocol.md
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ...schemas.ids import LAND
from ...schemas.plan import ReviewRule
from ...schemas.records import Attempt, Cause, ChangeRecord, LandingStep, ReviewLease, StageRecord, StageState
from ...schemas.refusals import Refusal
from .. import graph
from ..lifecycle import decide
from ..text import number_of
from . import commands as c
from . import landing
from .approvals import open_approvals, open_approvals_of
from .precedence import is_expired, refuse_change, refuse_claim
from .questions import open_questions
from .reviewing import open_reviews

YOU = "<your name>"
# A principal that nobody is: what it may do, whoever has no part in the work yet may do.
ANYBODY = "anybody:else"
ANY_MODEL = "another"
UNLOCKS_MAX = 6

# What helps first, by why people were asked.
_FIRST: dict[Cause, type[c.Command]] = {
    Cause.BUDGET_SPENT: c.GrantAttempts,
    Cause.NO_PROGRESS: c.Answer,
    Cause.GATE_BROKEN: c.RetryGates,
    Cause.NEEDS_DECISION: c.Answer,
    Cause.REOPENS_SPENT: c.Answer,
}


class Who(StrEnum):
    """Whose move it is."""

    AGENT = "an agent"
    HOLDER = "its holder"
    REVIEWER = "a reviewer"
    PERSON = "a person"


@dataclass(frozen=True, slots=True)
class Unlock:
    """One thing that somebody can do now, or from `at` on: `how` is what they type or call, `command` what it means.

    `is_by_secret`: only somebody who is registered can, which the record does not know.
    """

    who: Who
    how: str
    command: c.Command
    at: datetime | None = None
    is_by_secret: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """`because` is a sentence; `is_claimable` says whether an agent can claim the stage now."""

    because: str
    is_claimable: bool
    unlocks: tuple[Unlock, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a review gate still wants: `given` reviews count, `reviewing` are those that are under way."""

    rule: ReviewRule
    given: int
    reviewing: tuple[ReviewLease, ...]

    @property
    def missing(self) -> int:
        """How many reviews are still to come, those under way among them."""
        return self.rule.quorum - self.given


def reason_of(record: ChangeRecord, stage: StageRecord, now: datetime) -> Reason:
    """Why the stage stands where it does, and what is accepted now that would move it."""
    over = refuse_change(record)
    if over is not None:
        return Reason(over.message, is_claimable=False, unlocks=())
    refusal = refuse_claim(record, stage, now)
    unlocks = _accepted(record, _candidates(record, stage, now), now)
    if refusal is None:
        return Reason(_claimable(stage), is_claimable=True, unlocks=unlocks)
    because = refusal.message
    if stage.state is StageState.IN_REVIEW:
        because = f"'{stage.name}' of {record.id} passed its floor and waits for {_awaited(record, stage, now)}."
    return Reason(because, is_claimable=False, unlocks=unlocks)


def reason_of_landing(record: ChangeRecord, now: datetime) -> Reason:
    """Why the change has not landed, as far as landing itself goes."""
    unlocks = _accepted(record, _landing_candidates(record), now)
    return Reason(_landing_because(record), is_claimable=False, unlocks=unlocks)


def wanted_reviews(record: ChangeRecord, stage: StageRecord, now: datetime) -> tuple[Wanted, ...]:
    """What the review gates of a stage in review still want."""
    attempt = stage.current
    if attempt is None:
        return ()
    return tuple(_wanted(rule, attempt, now) for rule in open_reviews(record, stage))


def _wanted(rule: ReviewRule, attempt: Attempt, now: datetime) -> Wanted:
    given = sum(review.gate == rule.gate for review in attempt.reviews)
    leases = (lease for lease in attempt.review_leases if lease.gate == rule.gate and lease.expires_at > now)
    return Wanted(rule, given, tuple(leases))


def _claimable(stage: StageRecord) -> str:
    if stage.lease is not None:
        return f"open to a takeover: the lease of '{stage.lease.holder}' has run out, who may still submit until then"
    return "open"


def _awaited(record: ChangeRecord, stage: StageRecord, now: datetime) -> str:
    parts = []
    for wanted in wanted_reviews(record, stage, now):
        busy = _quoted([lease.reviewer for lease in wanted.reviewing])
        under_way = f" ({busy} at it)" if busy else ""
        parts.append(f"{number_of(wanted.missing, 'more reviews')} by '{wanted.rule.gate}'{under_way}")
    if questions := open_questions(record, stage):
        parts.append(f"people to answer what {_quoted(questions)} asks")
    if approvals := open_approvals(record, stage):
        parts.append(f"people to approve: {_quoted(approvals)}")
    return "; ".join(parts)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _accepted(record: ChangeRecord, candidates: Iterator[Unlock], now: datetime) -> tuple[Unlock, ...]:
    """Those of the candidates that would change something, each once."""
    found: dict[str, Unlock] = {}
    for unlock in candidates:
        decided = decide(record, unlock.command, now if unlock.at is None else unlock.at)
        if decided and not isinstance(decided, Refusal):
            found.setdefault(unlock.how, unlock)
    return tuple(found.values())[:UNLOCKS_MAX]


def _candidates(record: ChangeRecord, stage: StageRecord, now: datetime) -> Iterator[Unlock]:
    match stage.state:
        case StageState.WAITING:
            for root in _roots(record, stage):
                yield from _candidates(record, root, now)
        case StageState.OPEN:
            yield _claim(record, stage)
        case StageState.CLAIMED:
            assert stage.lease is not None, "a claimed stage has a lease"
            is_free = is_expired(stage.lease, now)
            yield _claim(record, stage, at=None if is_free else stage.lease.expires_at)
            yield _release(stage, c.Because.DONE_FOR_NOW)
        case StageState.EVALUATING:
            yield _release(stage, c.Because.WITHDRAW)
        case StageState.IN_REVIEW:
            yield from _review_candidates(record, stage, now)
        case StageState.ESCALATED:
            yield from _escalated_candidates(record, stage)
        case StageState.PASSED:
            yield _reopen(record, stage.name)


def _roots(record: ChangeRecord, stage: StageRecord) -> tuple[StageRecord, ...]:
    """The stages before it whose move it is: neither waiting themselves nor passed."""
    before = graph.upstream(stage.name, {rule.name: rule.needs for rule in record.plan.stages})
    settled = {StageState.WAITING, StageState.PASSED}
    return tuple(s for s in record.stages if s.name in before and s.state not in settled)


def _review_candidates(record: ChangeRecord, stage: StageRecord, now: datetime) -> Iterator[Unlock]:
    claim = c.ClaimReview(stage.name, YOU, ANYBODY, model=ANY_MODEL)
    for wanted in wanted_reviews(record, stage, now):
        is_full = len(wanted.reviewing) >= wanted.missing
        free_at = min(lease.expires_at for lease in wanted.reviewing) if is_full else None
        yield Unlock(Who.REVIEWER, _claim_text(record, stage), claim, free_at)
    if open_questions(record, stage):
        yield _answer(record, stage.name)
    yield from _approvals(record, stage.name)
    yield _release(stage, c.Because.WITHDRAW)


def _escalated_candidates(record: ChangeRecord, stage: StageRecord) -> Iterator[Unlock]:
    name = f"{record.id} {stage.name}"
    grant = c.GrantAttempts(stage.name, ANYBODY, 1)
    retry = c.RetryGates(stage.name, ANYBODY)
    offered = [
        _answer(record, stage.name),
        Unlock(Who.PERSON, f"`gatewright grant-attempts {name} 1`", grant),
        Unlock(Who.PERSON, f"`gatewright retry-gates {name}`", retry),
        _reopen(record, stage.name),
    ]
    first = None if stage.escalation is None else _FIRST[stage.escalation.cause]
    yield from sorted(offered, key=lambda unlock: type(unlock.command) is not first)
    for need in record.rule(stage.name).needs:
        yield _reopen(record, need)


def _claim(record: ChangeRecord, stage: StageRecord, at: datetime | None = None) -> Unlock:
    return Unlock(Who.AGENT, _claim_text(record, stage), c.Claim(stage.name, YOU, ANYBODY), at)


def _claim_text(record: ChangeRecord, stage: StageRecord) -> str:
    return f'claim_stage(change="{record.id}", stage="{stage.name}")'


def _release(stage: StageRecord, because: c.Because) -> Unlock:
    how = f'release_stage(lease=<its lease>, because="{because}", reason="...")'
    return Unlock(Who.HOLDER, how, c.Release(stage.name, stage.fence, because, "..."))


def _answer(record: ChangeRecord, name: str) -> Unlock:
    return Unlock(
        Who.PERSON, f"`gatewright answer {record.id} {name}`", c.Answer(name, None, allowed=True, by=ANYBODY, note="")
    )


def _approvals(record: ChangeRecord, name: str) -> Iterator[Unlock]:
    for wanted in open_approvals_of(record):
        if wanted.stage == name:
            given = c.Approve(name, wanted.gate, ANYBODY, "", wanted.commit, wanted.target, is_given=True, note="")
            yield Unlock(Who.PERSON, f"`{wanted.command}`", given, is_by_secret=not wanted.is_signed)


def _reopen(record: ChangeRecord, name: str) -> Unlock:
    how = f'`gatewright reopen {record.id} {name} --reason "..."`'
    return Unlock(Who.PERSON, how, c.Reopen(name, ANYBODY, "..."))


def _landing_candidates(record: ChangeRecord) -> Iterator[Unlock]:
    found = record.landing
    if found is None:
        return
    if found.step is LandingStep.ASKING and landing.open_questions(record, found):
        yield _answer(record, LAND)
    yield from _approvals(record, LAND)
    if found.step is LandingStep.BLOCKED:
        yield Unlock(Who.PERSON, f"`gatewright land {record.id}`", c.RetryLanding(ANYBODY))


def _landing_because(record: ChangeRecord) -> str:
    over, found = refuse_change(record), record.landing
    if over is not None:
        return over.message
    if found is None:
        missing = [name for name in record.plan.land_needs if record.stage(name).state is not StageState.PASSED]
        return f"Landing {record.id} waits for {_quoted(missing)} to pass."
    match found.step:
        case LandingStep.PREPARING:
            return (
                f"The server merges {record.id} with '{record.target}' and judges that (evaluation {found.evaluation})."
            )
        case LandingStep.ASKING:
            asked = _quoted([gate for gate in found.asked if gate not in found.allowed])
            return f"Landing {record.id} on '{record.target}' waits for people to answer {asked}."
        case LandingStep.BLOCKED:
            return f"Something is in the way of landing {record.id} on '{record.target}': {found.because}."
        case LandingStep.INTENDED | LandingStep.LANDED:
            return f"Landing {record.id}: '{record.target}' moves to {found.new}."
