"""The world of one change: what is stored, where the target stands, and which effect is still to be told.

A decision is a transaction: what was decided and not committed leaves nothing behind, so a crash there is no step.
What was committed and not acted on is in the record, and recovery acts on it as the server would have. The only act
outside the store that matters here is the move of the target, with a crash before it and after it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gatewright.gates import lifecycle
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.decision import Decision
from gatewright.schemas.events import Event
from gatewright.schemas.records import ChangeRecord, LandingStep
from gatewright.schemas.refusals import Refusal

TIP, MOVED, ELSEWHERE = "tip", "moved", "elsewhere"


@dataclass(frozen=True, slots=True)
class World:
    """`holds` is the last commit of ours that the target contains; `tips` how often others moved it.

    `merged` is the tip that the running landing was merged with, once it was. `told` is what the act has found and not
    yet reported: a crash forgets it, and the act is done again.
    """

    record: ChangeRecord
    now: datetime
    target: str = TIP
    tips: int = 0
    holds: str | None = None
    merged: str | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """A step: the world after it and, when it was decided, the events."""

    world: World
    events: tuple[Event, ...] = ()


class Watched(Decision):
    """The real one, which lets the search see the record that it ends with instead of making it a second time."""

    last: Decision

    def __init__(self, record: ChangeRecord, now: datetime) -> None:
        super().__init__(record, now)
        Watched.last = self


def decide(world: World, command: c.Command, seconds: float = 0.0) -> Happened | None:
    """Decide and commit `command` after so many seconds; None when it is refused or changes nothing.

    `lifecycle.Decision` must be `Watched` meanwhile.
    """
    now = world.now + timedelta(seconds=seconds) if seconds else world.now
    decided = lifecycle.decide(world.record, command, now)
    if isinstance(decided, Refusal) or not decided:
        return None
    after = Watched.last.record
    return Happened(_with_record(world, after, now), decided)


def pass_time(world: World, seconds: float) -> Happened:
    """The clock ticks."""
    return Happened(replace(world, now=world.now + timedelta(seconds=seconds)))


def merge(world: World) -> Happened | None:
    """The server merges with the tip of now; a landing that others overtook is merged again after a crash."""
    landing = world.record.landing
    if landing is None or landing.step is not LandingStep.PREPARING or world.merged == world.target:
        return None
    return Happened(replace(world, merged=world.target))


def move_target(world: World) -> Happened | None:
    """Act on the durable intent, as `SharedRepository.move_target` does: by compare-and-swap, safe to repeat."""
    landing = world.record.landing
    if landing is None or landing.step is not LandingStep.INTENDED or world.told is not None:
        return None
    assert landing.new is not None, "an intent names where the target moves to"
    if compare(world.target, landing.old):
        return Happened(replace(world, target=landing.new, holds=landing.new, told=MOVED))
    return Happened(replace(world, told=MOVED if world.holds == landing.new else ELSEWHERE))


def compare(target: str, old: str | None) -> bool:
    """The comparison of compare-and-swap."""
    return target == old


def report(world: World) -> Happened | None:
    """Tell the record what the act found."""
    landing = world.record.landing
    if landing is None or world.told is None:
        return None
    if world.told == MOVED:
        return decide(world, c.ConfirmLanding(landing.number))
    return decide(world, c.LoseLanding(landing.number, "the target had moved"))


def crash(world: World) -> Happened | None:
    """What was found and not reported is forgotten; so is a merge that was not yet judged."""
    if world.told is None and world.merged is None:
        return None
    return Happened(replace(world, told=None, merged=None))


def move_by_others(world: World) -> Happened | None:
    """Somebody else adds a commit to the target, wherever it stands. Without a landing nobody would notice."""
    landing = world.record.landing
    if landing is None or world.target not in {world.merged, landing.old, landing.new}:
        return None
    return Happened(replace(world, target=f"{TIP}{world.tips + 1}", tips=world.tips + 1))


def _with_record(world: World, record: ChangeRecord, now: datetime) -> World:
    """A landing that is over, or at its next try, has neither a merge nor anything to tell."""
    before, after = world.record.landing, record.landing
    is_same = before is not None and after is not None and before.number == after.number
    merged = world.merged if is_same and after is not None and after.step is LandingStep.PREPARING else None
    told = world.told if is_same and after is not None and after.step is LandingStep.INTENDED else None
    return World(record, now, world.target, world.tips, world.holds, merged, told)
