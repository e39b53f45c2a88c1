"""Start, cancel and re-pin a change."""

from typing import TYPE_CHECKING

from ...gates.machine import commands as c
from ...gates.policy import Policy, plan_of
from ...schemas.arguments import StartChange
from ...schemas.plan import PolicyPin
from ...schemas.records import ChangeRecord, StageState
from ...schemas.replies import StartedReply
from ..people.known import Person
from ..services import Services
from ..store import EvaluationRow, EvaluationState, Purpose
from .clearing import clear
from .deciding import apply, get_change, runs_on
from .people import decide
from .repeating import Reference, Request, once

if TYPE_CHECKING:
    from ..store.tx import Tx


async def start_change(services: Services, request: Request, arguments: StartChange) -> StartedReply:
    """Open a change on the tip and the policy of the trusted branch; environments begin to warm up."""
    policy = await services.act(lambda: _policy_of_tip(services))

    def start(tx: "Tx") -> Reference:
        now = services.clock()
        command = c.Start(
            change=tx.next_change_id(),
            title=arguments.title,
            intent=arguments.intent,
            principal=request.principal,
            base=policy.commit,
            target=services.policies.target,
            policy=PolicyPin(policy.commit, policy.digest),
            plan=plan_of(policy.pipeline),
        )
        record = apply(tx, None, command, now)
        _enqueue_warming(tx, record)
        return {"change": record.id}

    reference = await services.run(lambda tx: once(tx, request, services.clock(), lambda: start(tx)))
    record = await services.read(lambda tx: get_change(tx, str(reference["change"])))
    return _started(record)


async def cancel(
    services: Services, change: str, *, by: Person, reason: str, request: Request | None = None
) -> ChangeRecord:
    """A person ends a change; its workspaces go, and everything that was made stays in refs."""
    record = await decide(services, change, c.Cancel(by.by, reason), by, request)
    await clear(services, record)
    return record


async def repin(
    services: Services, change: str, *, by: Person, reason: str, request: Request | None = None
) -> ChangeRecord:
    """Judge a change by the trusted branch's policy of now, in order, former artifacts carried."""
    policy = await services.act(lambda: _policy_of_tip(services))
    command = c.Repin(PolicyPin(policy.commit, policy.digest), plan_of(policy.pipeline), f"{by.by}: {reason}")
    return await decide(services, change, command, by, request)


def _policy_of_tip(services: Services) -> Policy:
    tip = services.policies.tip()
    policy = services.policies.at(tip)
    services.artifacts.keep(tip, f"bases/{tip}")
    return policy


def _enqueue_warming(tx: "Tx", record: ChangeRecord) -> None:
    """Prepare environments and the base's own results before anybody submits. It settles nothing."""
    row = EvaluationRow(
        id=tx.next_dry_run(record.id),
        change=record.id,
        stage=record.plan.land_needs[-1],
        purpose=Purpose.WARM,
        state=EvaluationState.QUEUED,
        created_at=record.created_at,
        not_before=record.created_at,
        commit=record.base,
        scope_base=record.base,
    )
    tx.enqueue(row, runs_on(record, row))


def _started(record: ChangeRecord) -> StartedReply:
    open_now = tuple(stage.name for stage in record.stages if stage.state is StageState.OPEN)
    following = f'wait_for_update(change="{record.id}") tells what opens when the server has run what comes first.'
    if open_now:
        following = f'claim_stage(agent="<your name>", change="{record.id}", stage="{open_now[0]}") to work on it.'
    return StartedReply(
        change=record.id,
        title=record.title,
        base_commit=record.base,
        stages=tuple(stage.name for stage in record.stages),
        open=open_now,
        next=following,
    )
