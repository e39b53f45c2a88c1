"""What must hold of an answer and of the world, beside what `gates.invariants` says of records."""

from collections.abc import Iterator

from gatewright.gates.machine import commands as c
from gatewright.gates.machine.invariants import Broken
from gatewright.schemas.records import ChangeRecord, ChangeState, StageRecord, StageState

from .about_stages import makers_of
from .world import World


def broken_answer(record: ChangeRecord, stage: StageRecord, command: c.Command) -> Iterator[Broken]:
    """What is wrong with `command` about this stage having been allowed."""
    current = stage.current
    match command:
        case c.Submit(fence=fence) | c.Release(fence=fence) | c.Renew(fence=fence):
            if stage.lease is None or stage.lease.fence != fence:
                yield Broken("I2", f"fence {fence} acted on '{stage.name}', whose lease is {stage.lease}")
        case c.Settle(evaluation=evaluation):
            awaited = stage.transform or (current.evaluation if current is not None else None)
            if stage.state is not StageState.EVALUATING or awaited != evaluation:
                yield Broken("I3", f"the result of {evaluation} counted for '{stage.name}', which waits for {awaited}")
        case c.ClaimReview(principal=principal):
            if current is None or principal in {maker.principal for maker in makers_of(stage)}:
                yield Broken("I5", f"{principal} was let review its own work")
        case c.GiveReview(number=number):
            if current is None or number not in {lease.number for lease in current.review_leases}:
                yield Broken("I5", f"review lease {number} counted for '{stage.name}', and has ended")
        case c.Approve(commit=commit, target=target, person=person):
            if current is None or (current.commit, record.target) != (commit, target):
                yield Broken("I5", f"an approval of {commit} for {target} counted for {current and current.commit}")
            elif person in {maker.principal for maker in makers_of(stage)}:
                yield Broken("I5", f"{person} was let approve its own work")
        case _:
            pass


def broken_move(before: World, name: str, after: World) -> Iterator[Broken]:
    """The target moves by us from where the intent says, and what comes late to a landing moves nothing."""
    landing = before.record.landing
    old = landing.old if landing is not None and before.record.state is ChangeState.LANDING else None
    if after.holds != before.holds and before.target != old:
        yield Broken("I11", f"the target moved from {before.target} to {after.target}, and was to move from {old}")
    if name.startswith("a late "):
        yield Broken("I3", f"{name} changed something")
    if name == "approve another landing":
        yield Broken("I5", "an approval of another commit counted for the landing")
    if name == "approve own landing":
        yield Broken("I5", "a maker approved the landing")


def broken_world(world: World) -> Iterator[Broken]:
    """What the target holds of ours is what landed, or is about to be told as landed."""
    record = world.record
    if record.state is ChangeState.LANDED and world.holds != record.landed_commit:
        yield Broken("I11", f"{record.landed_commit} is told as landed, and the target holds {world.holds}")
    intended = record.landing.new if record.landing is not None else None
    if world.holds is not None and (record.state is ChangeState.CANCELLED or world.holds != intended):
        yield Broken("I11", f"the target holds {world.holds}, and the change is {record.state} with {intended}")
