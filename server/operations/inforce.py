"""The policy in force: what the tip of the trusted branch declares, for whoever asks what will be judged."""

from collections.abc import Iterable

from ...gates import graph
from ...gates.kinds import KINDS
from ...gates.policy import Policy, land_gates_of
from ...gates.text import number_of
from ...schemas.pipeline import GateSpec, Otherwise, Stage
from ...schemas.replies import GateBrief
from ...schemas.views import LandView, PipelineView, StageView
from ..services import Services


async def read_pipeline(services: Services) -> PipelineView:
    """The pipeline as it stands on the trusted branch now; raises `Refused` (policy_missing, policy_invalid)."""
    return view_of(await services.act(lambda: services.policies.at(services.policies.known_tip())))


def view_of(policy: Policy) -> PipelineView:
    """A policy as it is told, its stages in an order in which needs come first."""
    pipeline = policy.pipeline
    order = graph.order({name: stage.needs for name, stage in pipeline.stages.items()})
    return PipelineView(
        summary=f"{number_of(len(order), 'stages')}, {', '.join(order)}; then landing on '{pipeline.target}'.",
        target=pipeline.target,
        commit=policy.commit,
        digest=policy.digest,
        stages=tuple(_stage(name, pipeline.stages[name]) for name in order),
        land=LandView(
            needs=pipeline.land.needs, strategy=pipeline.land.strategy, gates=_gates(land_gates_of(pipeline))
        ),
        next="start_change(title, intent) begins a change that goes through it; get_status() shows those under way.",
    )


def _stage(name: str, stage: Stage) -> StageView:
    return StageView(
        stage=name,
        needs=stage.needs,
        role=stage.role,
        goal=stage.goal,
        writes=stage.writes,
        run=stage.run,
        attempts=stage.attempts,
        otherwise=f"reopen {stage.otherwise.reopen}" if isinstance(stage.otherwise, Otherwise) else stage.otherwise,
        gates=_gates(stage.gates),
    )


def _gates(gates: Iterable[GateSpec]) -> tuple[GateBrief, ...]:
    return tuple(
        GateBrief(
            gate=gate.name,
            kind=gate.kind,
            about=KINDS[gate.kind].about(KINDS[gate.kind].options.model_validate(gate.options)),
        )
        for gate in gates
    )
