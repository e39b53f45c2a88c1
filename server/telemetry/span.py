"""A span that a record tells, and the words that are used for what it is and how it ended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...schemas.events import Event
from ...schemas.records import ChangeState, Outcome, StageRecord

CHANGE = "change"
Value = str | int | bool

# By the words of the conventions for CI: cicd.pipeline.result and cicd.pipeline.task.run.result.
RESULTS: Mapping[str, str] = {
    Outcome.PASSED: "success",
    Outcome.FAILED: "failure",
    Outcome.ERRORED: "error",
    ChangeState.LANDED: "success",
    ChangeState.CANCELLED: "cancellation",
}


@dataclass(frozen=True, slots=True)
class End:
    """What ended a span: an event, and its number in the change."""

    number: int
    event: Event

    @property
    def at(self) -> datetime:
        """When."""
        return self.event.at


@dataclass(frozen=True, slots=True)
class Span:
    """`key` names it within its change, `parent` is the key of what it lies in; `what` and `name` make its title.

    `outcome` says how it ended. `is_failed`: not as it should have. `is_act`: somebody did it, which took no time.
    """

    key: str
    parent: str | None
    what: str
    name: str
    began_at: datetime
    ended_at: datetime
    outcome: str = ""
    is_failed: bool = False
    is_act: bool = False
    attributes: Mapping[str, Value] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The span's name: there are as few as there are stages and gates."""
        return f"{self.what} {self.name}".strip()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.began_at).total_seconds()


def attempt_key(stage: StageRecord) -> str:
    """The key of the span of a stage's newest attempt."""
    return f"attempt/{stage.name}/{stage.current.number if stage.current is not None else 0}"


def landing_key(number: int) -> str:
    """The key of the span of a try at landing."""
    return f"landing/{number}"


def about_stage(name: str) -> dict[str, Value]:
    """The attributes of everything that lies in a stage."""
    return {"gatewright.stage": name} if name else {}
