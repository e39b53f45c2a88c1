"""Decide about approvals, and say what people are still to approve: pure.

One place for it, so that the status, the brief of a waiting agent, the command that approves and what decides cannot
tell it differently. An approval names one commit and one target and is void when either changes. Whoever made the
artifact does not approve it, and nobody counts twice. Source: docs/protocol.md, rule 10.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ...schemas import events as e
from ...schemas import refusals
from ...schemas.ids import LAND, short
from ...schemas.plan import ApprovalRule
from ...schemas.records import Approval, Attempt, ChangeRecord, Landing, LandingStep, Maker, StageRecord, StageState
from ...schemas.refusals import Refusal
from . import settlement
from .commands import Approve
from .decision import Decision
from .precedence import refuse_claim

Decided: TypeAlias = tuple[e.Event, ...] | Refusal


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """One approval gate that has not enough of them yet.

    `number` is the attempt's, or the landing's when `stage` is `land`; `base` is what `commit` was made from. `given`
    are the approvals so far, `makers` who made what is to be approved, `is_signed` says that signatures alone count.
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
    is_signed: bool
    makers: tuple[Maker, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """The names that its makers declared."""
        return tuple(dict.fromkeys(maker.holder for maker in self.makers))

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

    def is_enough_with(self, command: Approve) -> bool:
        """Whether this word makes as many as are wanted."""
        return command.is_given and len(self.given) + 1 >= self.minimum


def approve(decision: Decision, stage: StageRecord, command: Approve) -> Decided:
    """Take a person's word in about the current attempt's commit; a no fails the attempt."""
    record = decision.record
    if stage.state is not StageState.IN_REVIEW:
        return refuse_claim(record, stage, decision.now) or refusals.unknown_attempt(
            record.id, stage.name, "nothing to approve: no attempt has passed its floor"
        )
    asked = find_open(record, stage.name, command.gate)
    if asked is None:
        return refusals.unknown_attempt(record.id, stage.name, "no approval open")
    refusal = refuse_approval(asked, command)
    if refusal is not None:
        return refusal
    approval = approval_of(command, asked.gate, decision.now)
    decision.add(e.ApprovalGiven(decision.now, stage.name, asked.number, approval, asked.is_enough_with(command)))
    if command.is_given:
        settlement.pass_when_answered(decision, stage.name)
    else:
        because = f"{command.person} did not approve: {command.note or 'no reason given'}"
        settlement.fail_gate(decision, stage.name, asked.gate, (f"refused:{asked.gate}",), because)
    return decision.events


def refuse_approval(asked: OpenApproval, command: Approve) -> Refusal | None:
    """Why a word about what is asked does not count: of a stage as of the landing."""
    if command.person in {maker.principal for maker in asked.makers}:
        return refusals.own_work(asked.change, asked.stage, "approve")
    if command.is_given and any(approval.person == command.person for approval in asked.given):
        return refusals.already_approved(asked.change, asked.stage, command.person)
    if (command.commit, command.target) != (asked.commit, asked.target):
        return refusals.approval_stale(asked.change, asked.stage, asked.commit)
    return None


def approval_of(command: Approve, gate: str, at: datetime) -> Approval:
    """What is kept of a person's word; `gate` is the one that it was taken for, `at` when it was decided."""
    return Approval(
        gate=gate,
        person=command.person,
        how=command.how,
        commit=command.commit,
        target=command.target,
        is_given=command.is_given,
        at=at,
        note=command.note,
        signature=command.signature,
    )


def question(commit: str, target: str, minimum: int) -> str:
    """What an approval gate asks: it names the commit and the target, and is void when either changes."""
    wanted = "One person's approval is" if minimum == 1 else f"Approvals of {minimum} people are"
    return f"May commit {commit} go towards '{target}'? {wanted} wanted."


def find_open(record: ChangeRecord, stage: str, gate: str | None) -> OpenApproval | None:
    """The first open approval of a stage, or of the landing; by this gate when it is named."""
    found = open_approvals_of(record)
    return next((asked for asked in found if asked.stage == stage and gate in (None, asked.gate)), None)


def open_approvals_of(record: ChangeRecord) -> tuple[OpenApproval, ...]:
    """Every approval that a change waits for, stages first, in the order of the plan."""
    return (*(asked for stage in record.stages for asked in _of_stage(record, stage)), *_of_landing(record))


def open_approvals(record: ChangeRecord, stage: StageRecord) -> tuple[str, ...]:
    """The approval gates of a stage in review that have not enough of them."""
    return tuple(asked.gate for asked in _of_stage(record, stage))


def _of_stage(record: ChangeRecord, stage: StageRecord) -> list[OpenApproval]:
    attempt = stage.current
    if stage.state is not StageState.IN_REVIEW or attempt is None:
        return []
    waiting = [rule for rule in record.rule(stage.name).approvals if rule.gate not in attempt.allowed]
    commits, makers = (attempt.base, attempt.commit), stage.makers(attempt) if waiting else ()
    return [_open(record, stage.name, attempt, rule, commits=commits, makers=makers) for rule in waiting]


def _of_landing(record: ChangeRecord) -> list[OpenApproval]:
    landing = record.landing
    if landing is None or landing.step is not LandingStep.ASKING:
        return []
    assert landing.old is not None, "what asks was merged"
    assert landing.new is not None, "what asks was merged"
    commits, makers = (landing.old, landing.new), _makers_of_landing(record)
    names = {*landing.asked} - {*landing.allowed}
    waiting = (rule for rule in record.plan.land_approvals if rule.gate in names)
    return [_open(record, LAND, landing, rule, commits=commits, makers=makers) for rule in waiting]


def _makers_of_landing(record: ChangeRecord) -> tuple[Maker, ...]:
    landed = [(stage, artifact) for stage in record.stages if (artifact := stage.artifact) is not None]
    return tuple(dict.fromkeys(maker for stage, artifact in landed for maker in stage.makers(artifact)))


def _open(
    record: ChangeRecord,
    stage: str,
    asking: Attempt | Landing,
    rule: ApprovalRule,
    *,
    commits: tuple[str, str],
    makers: tuple[Maker, ...],
) -> OpenApproval:
    base, commit = commits
    return OpenApproval(
        change=record.id,
        stage=stage,
        gate=rule.gate,
        commit=commit,
        base=base,
        target=record.target,
        number=asking.number,
        evaluation=asking.evaluation,
        given=tuple(a for a in asking.approvals if a.gate == rule.gate and a.is_given),
        minimum=rule.minimum,
        is_signed=rule.is_signed,
        makers=makers,
    )
