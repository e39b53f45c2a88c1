"""Everything that may be asked of the change as a whole, its landing above all, and what happens around it."""

from collections.abc import Callable, Mapping

from gatewright.gates.machine import commands as c
from gatewright.schemas.ids import LAND
from gatewright.schemas.plan import PolicyPin
from gatewright.schemas.records import GateOutcome, LandingStep, Outcome, StageState

from .about_stages import LATE_S
from .plans import Scenario
from .world import Happened, World, crash, decide, merge, move_by_others, move_target, pass_time, report

TICK = "time passes"
PINS = {name: PolicyPin("p" * 40, name) for name in ("one", "other")}

Happen = Callable[[World], Happened | None]


def of_change(scenario: Scenario) -> Mapping[str, Happen]:
    """What may be asked of the change as a whole, and what happens around it."""
    found: dict[str, Happen] = {
        TICK: _tick,
        "cancel": lambda w: decide(w, c.Cancel("person:eve", "enough")),
        "merge": merge,
        "move the target": move_target,
        "report": report,
        "crash": crash,
        "others move the target": move_by_others,
        "a late confirmation": lambda w: decide(w, c.ConfirmLanding(w.record.landings - 1)),
        "a late loss": lambda w: decide(w, c.LoseLanding(w.record.landings - 1, "late")),
        "landing is in the way": _block,
        "the target cannot be moved": lambda w: decide(w, c.DelayLanding(w.record.landings, "the remote is down")),
        "retry landing": lambda w: decide(w, c.RetryLanding("person:eve")) if _is_blocked(w) else None,
        "land gates passed": _land(Outcome.PASSED),
        "land gates failed": _land(Outcome.FAILED),
        "land gates errored": _land(Outcome.ERRORED),
        "no land gate answered": _land(None),
        "the merge conflicts": _conflict("{last}/a"),
        "a late landing": _late_landing,
    }
    if "repin" in scenario.extras:
        found["repin"] = _repin
    if "shared files" in scenario.extras:
        found["the merge conflicts, in nobody's file"] = _conflict("nobody/s")
    if not scenario.plan.land_approvals:
        found["land gates ask"] = _land(Outcome.PENDING)
        found["yes to landing"] = lambda w: decide(w, c.Answer(LAND, None, True, "person:eve", "yes"))
        found["no to landing"] = lambda w: decide(w, c.Answer(LAND, None, False, "person:eve", "no"))
    for person in scenario.people if scenario.plan.land_approvals else ():
        found[f"{person} approves landing"] = _approve_landing(f"person:{person}")
    if scenario.plan.land_approvals:
        found["do not approve landing"] = _approve_landing("person:eve", is_given=False)
        found["approve another landing"] = _approve_landing("person:eve", commit="another")
        found["approve own landing"] = _approve_own_landing
    return found


def _land(outcome: Outcome | None) -> Happen:
    """The verdict about the merge; None: no gate answered. Approvals always ask."""

    def settle(world: World) -> Happened | None:
        landing = world.record.landing
        if landing is None or world.merged is None:
            return None
        asking = tuple(GateOutcome(rule.gate, Outcome.PENDING) for rule in world.record.plan.land_approvals)
        gates = (GateOutcome("test", outcome), *asking) if outcome is not None else ()
        return decide(world, _landing_result(world, landing.evaluation, gates))

    return settle


def _landing_result(world: World, evaluation: str, gates: tuple[GateOutcome, ...]) -> c.SettleLanding:
    new = f"merge{world.record.landings}-{world.merged}"
    paths = (f"{world.record.plan.stages[-1].name}/a",)
    return c.SettleLanding(evaluation, str(world.merged), new, f"tree-{new}", gates, paths, because="x")


def _late_landing(world: World) -> Happened | None:
    """The verdict about a merge that nobody waits for any more."""
    landing = world.record.landing
    late = f"{world.record.id}.e{int(landing.evaluation.rpartition('.e')[2]) - 1}" if landing is not None else "c1.e1"
    return decide(world, _landing_result(world, late, (GateOutcome("test", Outcome.PASSED),)))


def _conflict(path: str) -> Happen:
    def settle(world: World) -> Happened | None:
        landing = world.record.landing
        if landing is None or world.merged is None:
            return None
        conflicts = (path.format(last=world.record.plan.stages[-1].name),)
        return decide(world, c.SettleLanding(landing.evaluation, world.merged, "", "", (), conflicts=conflicts))

    return settle


def _block(world: World) -> Happened | None:
    landing = world.record.landing
    return None if landing is None else decide(world, c.BlockLanding(landing.evaluation, "in the way"))


def _is_blocked(world: World) -> bool:
    landing = world.record.landing
    return landing is None or landing.step is LandingStep.BLOCKED


def _approve_landing(person: str, *, commit: str | None = None, is_given: bool = True) -> Happen:
    def approve(world: World) -> Happened | None:
        landing = world.record.landing
        if landing is None or landing.new is None:
            return None
        named = (commit or landing.new, world.record.target)
        return decide(world, c.Approve(LAND, None, person, "secret", *named, is_given, "n"))

    return approve


def _approve_own_landing(world: World) -> Happened | None:
    makers = [stage.artifact.principal for stage in world.record.stages if stage.artifact is not None]
    return _approve_landing(makers[0])(world) if makers else None


def _tick(world: World) -> Happened | None:
    """Time passes until every lease has run out. Whoever still works renews, so every mix of live and expired comes."""
    stages = world.record.stages
    ends = [stage.lease.expires_at for stage in stages if stage.state is StageState.CLAIMED and stage.lease]
    ends.extend(lease.expires_at for stage in stages for a in stage.attempts[-1:] for lease in a.review_leases)
    is_any_live = any(end > world.now for end in ends)
    return pass_time(world, LATE_S) if is_any_live else None


def _repin(world: World) -> Happened | None:
    other = PINS["other" if world.record.policy == PINS["one"] else "one"]
    return decide(world, c.Repin(other, world.record.plan, "another policy"))
