"""What people are still to approve in a change: pure.

One place for it, so that the status, the brief of a waiting agent and the command that approves cannot tell it
differently. Source: docs/protocol.md, rule 10.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ...schemas.ids import LAND, short
from ...schemas.plan import ApprovalRule
from ...schemas.records import Approval, ChangeRecord, LandingStep, Maker
from . import reviewing


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """One approval gate that has not enough of them yet.

    `number` is the attempt's, or the landing's when `stage` is `land`; `base` is what `commit` was made from. `given`
    are the approvals so far, `holders` who made what is to be approved, under the names that they declared.
    """

    change: str
    stage: str
    gate: str
    commit: str
    base: str
    target: str
    number: int
    evaluation: str
    given: tuple[Approval, ...]
    minimum: int
    holders: tuple[str, ...]

    @property
    def command(self) -> str:
        """How a person approves it."""
        return f"gatewright approve {self.change} {self.stage} --gate {self.gate}"

    @property
    def sentence(self) -> str:
        """What is awaited, for a status line."""
        so_far = f"{len(self.given)} of {self.minimum}" if self.minimum > 1 else "nobody yet"
        where = f"{self.change}/{self.stage}"
        return f"gate '{self.gate}' of {where} waits for people to approve {short(self.commit)} ({so_far})"

    @property
    def question(self) -> str:
        """What people are asked."""
        return question(self.commit, self.target, self.minimum)


def question(commit: str, target: str, minimum: int) -> str:
    """What an approval gate asks: it names the commit and the target, and is void when either changes."""
    wanted = "One person's approval is" if minimum == 1 else f"Approvals of {minimum} people are"
    return f"May commit {commit} go towards '{target}'? {wanted} wanted."


def open_approvals_of(record: ChangeRecord) -> tuple[OpenApproval, ...]:
    """Every approval that a change waits for, stages first, in the order of the plan."""
    found = [
        _of_stage(record, stage.name, rule)
        for stage in record.stages
        for rule in record.rule(stage.name).approvals
        if rule.gate in reviewing.open_approvals(record, stage)
    ]
    landing = record.landing
    if landing is None or landing.step is not LandingStep.ASKING:
        return tuple(found)
    waiting = {*landing.asked} - {*landing.allowed}
    return (*found, *(_of_landing(record, rule) for rule in record.plan.land_approvals if rule.gate in waiting))


def _of_stage(record: ChangeRecord, stage: str, rule: ApprovalRule) -> OpenApproval:
    attempt = record.stage(stage).current
    assert attempt is not None, "what waits for an approval was handed in"
    return OpenApproval(
        change=record.id,
        stage=stage,
        gate=rule.gate,
        commit=attempt.commit,
        base=attempt.base,
        target=record.target,
        number=attempt.number,
        evaluation=attempt.evaluation,
        given=_given(attempt.approvals, rule.gate),
        minimum=rule.minimum,
        holders=_names(record.stage(stage).makers(attempt)),
    )


def _of_landing(record: ChangeRecord, rule: ApprovalRule) -> OpenApproval:
    landing = record.landing
    assert landing is not None, "a landing asks"
    assert landing.old is not None, "what asks was merged"
    assert landing.new is not None, "what asks was merged"
    landed = [(stage, artifact) for stage in record.stages if (artifact := stage.artifact) is not None]
    return OpenApproval(
        change=record.id,
        stage=LAND,
        gate=rule.gate,
        commit=landing.new,
        base=landing.old,
        target=record.target,
        number=landing.number,
        evaluation=landing.evaluation,
        given=_given(landing.approvals, rule.gate),
        minimum=rule.minimum,
        holders=_names(maker for stage, artifact in landed for maker in stage.makers(artifact)),
    )


def _names(makers: Iterable[Maker]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(maker.holder for maker in makers))


def _given(approvals: tuple[Approval, ...], gate: str) -> tuple[Approval, ...]:
    return tuple(approval for approval in approvals if approval.gate == gate and approval.is_given)
