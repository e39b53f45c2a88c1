"""Make one bad commit, hand it in, and hold the answer against the right one."""

from collections.abc import Awaitable, Mapping
from pathlib import Path

from gatewright.schemas.records import Evidence, Outcome

from .suite import Case, Refusal
from .workshop import Workshop


def try_case(case: Case, workshop: Workshop, place: Path) -> list[str]:
    """What of the answer differs from the right one; nothing when the commit was stopped as it should be.

    `place` is an empty folder for a repository that only this case touches.
    """
    if case.is_alone:
        workshop = workshop.copy(place)
    answer = workshop.hand_in(make(case, workshop), case)
    wrong = [problem for right in case.answers if (problem := right.differs_from(answer)) is not None]
    if not isinstance(answer, Refusal) and got_through(answer):
        wrong.append("it got through: every gate passed")
    if case.afterwards is not None:
        case.afterwards(workshop)
    return wrong


def make(case: Case, workshop: Workshop) -> str:
    """The bad commit, or the text that stands for one."""
    made = case.build(workshop)
    assert not isinstance(made, Awaitable), "stories with agents are told elsewhere"
    return made if isinstance(made, str) else workshop.commit(made)


def got_through(answer: Mapping[str, Evidence]) -> bool:
    """Whether a stage with these gates would pass."""
    return all(evidence.outcome is Outcome.PASSED for evidence in answer.values())
