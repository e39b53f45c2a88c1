"""What resources tell that no tool answers: the policy in force, and what its gates were worth so far.

Replies like those of the tools, held below the same size; `next` says what to call. Source: docs/tools.md
"""

from pydantic import BaseModel

from .replies import GateBrief, Reply


class StageView(BaseModel):
    """One stage of the pipeline. `run` is a command by which the server does the stage itself."""

    stage: str
    needs: tuple[str, ...]
    role: str | None
    goal: str
    writes: tuple[str, ...]
    run: str | None
    attempts: int
    otherwise: str
    gates: tuple[GateBrief, ...]


class LandView(BaseModel):
    """How a finished change reaches the target; the gates judge the merged tree."""

    needs: tuple[str, ...]
    strategy: str
    gates: tuple[GateBrief, ...]


class PipelineView(Reply):
    """`gatewright://pipeline`: the policy at the tip of the trusted branch. Changes under way keep theirs."""

    summary: str
    target: str
    commit: str
    digest: str
    stages: tuple[StageView, ...]
    land: LandView
    next: str

    def headline(self) -> str:
        """What there is."""
        return self.summary


class GateRates(BaseModel):
    """One gate's count of pieces of work, and three rates of it between 0 and 1; None where there is nothing to count.

    What is counted is said in `LedgerView`.
    """

    stage: str
    gate: str
    kind: str
    judged: int
    caught: int
    catch_rate: float | None
    false_alarms: int
    false_alarm_rate: float | None
    retried: int
    recovered: int
    recovery_rate: float | None
    errored: int


class LedgerView(Reply):
    """`gatewright://ledger`. `counted` says in words what the rates are rates of, `untold` what nobody can know."""

    summary: str
    judgements: int
    is_complete: bool
    gates: tuple[GateRates, ...]
    gates_total: int
    counted: tuple[str, ...]
    untold: tuple[str, ...]
    next: str

    def headline(self) -> str:
        """What there is."""
        return self.summary
