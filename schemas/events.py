"""Each single thing that can happen to a change.

Events are kept for ever, in the format of `EVENT_FORMAT`: a field is never renamed or given another meaning, a new one
gets a default, and whatever was written once stays readable (`tests/gates/events_format_1.jsonl`). `kind` names the
event in the store. An event says what was decided, not why it was allowed: `gates/lifecycle.py` decides.
Source: docs/events.md
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Union

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from .change_events import (
    ChangeCancelled,
    ChangeLanded,
    ChangeStarted,
    LandingAbandoned,
    LandingAnswered,
    LandingApproved,
    LandingAsked,
    LandingBlocked,
    LandingDelayed,
    LandingIntended,
    LandingStarted,
    PolicyRepinned,
)
from .stage_events import (
    ApprovalGiven,
    ArtifactSubmitted,
    AttemptFailed,
    AttemptsGranted,
    AttemptWithdrawn,
    DecisionGiven,
    EvaluationErrored,
    FloorPassed,
    LeaseReleased,
    LeaseRenewed,
    OrphanKept,
    QuestionAnswered,
    ReviewClaimed,
    ReviewGiven,
    ReviewLeaseRenewed,
    ReviewReleased,
    StageClaimed,
    StageClosed,
    StageEscalated,
    StageOpened,
    StagePassed,
    StageReopened,
    TransformStarted,
)

__all__ = [
    "EVENT_FORMAT",
    "ApprovalGiven",
    "ArtifactSubmitted",
    "AttemptFailed",
    "AttemptWithdrawn",
    "AttemptsGranted",
    "ChangeCancelled",
    "ChangeLanded",
    "ChangeStarted",
    "DecisionGiven",
    "EvaluationErrored",
    "Event",
    "EventUnreadable",
    "FloorPassed",
    "LandingAbandoned",
    "LandingAnswered",
    "LandingApproved",
    "LandingAsked",
    "LandingBlocked",
    "LandingDelayed",
    "LandingIntended",
    "LandingStarted",
    "LeaseReleased",
    "LeaseRenewed",
    "OrphanKept",
    "PolicyRepinned",
    "QuestionAnswered",
    "ReviewClaimed",
    "ReviewGiven",
    "ReviewLeaseRenewed",
    "ReviewReleased",
    "StageClaimed",
    "StageClosed",
    "StageEscalated",
    "StageOpened",
    "StagePassed",
    "StageReopened",
    "TransformStarted",
    "event_adapter",
    "exported",
    "read_event",
]

# Raised only when an old event would come to mean something else; until then every stored event is of this format.
EVENT_FORMAT = 1
KIND_CHARS_MAX = 60

Event = Annotated[
    Union[  # noqa: UP007 - a discriminated union of this length reads better as a list
        ChangeStarted,
        StageOpened,
        StageClaimed,
        LeaseRenewed,
        LeaseReleased,
        TransformStarted,
        ArtifactSubmitted,
        AttemptWithdrawn,
        FloorPassed,
        StagePassed,
        AttemptFailed,
        EvaluationErrored,
        StageEscalated,
        QuestionAnswered,
        ReviewClaimed,
        ReviewLeaseRenewed,
        ReviewReleased,
        ReviewGiven,
        ApprovalGiven,
        DecisionGiven,
        AttemptsGranted,
        StageReopened,
        StageClosed,
        OrphanKept,
        LandingStarted,
        LandingAsked,
        LandingAnswered,
        LandingApproved,
        LandingBlocked,
        LandingIntended,
        LandingDelayed,
        LandingAbandoned,
        ChangeLanded,
        PolicyRepinned,
        ChangeCancelled,
    ],
    Field(discriminator="kind"),
]


class EventUnreadable(Exception):
    """A stored event that this version does not know or understand; `str()` is one sentence."""


def read_event(text: str) -> Event:
    """The event of a stored text. What this version does not know is not passed over: it may have mattered."""
    try:
        event = event_adapter().validate_json(text)
    except ValidationError as exc:
        raise EventUnreadable(_why_unreadable(exc)) from exc
    unknown = next(_unknown_fields(from_json(text), event), None)
    if unknown is not None:
        raise EventUnreadable(
            f"an event of kind '{event.kind}' has a field '{unknown}', which a newer gatewright wrote"
        )
    return event


def exported(change: str, number: int, event: Event) -> dict[str, object]:
    """The event as a line of `gatewright log --json` has it: where it belongs, and itself as it is stored."""
    stored = event_adapter().dump_python(event, mode="json")
    return {"format": EVENT_FORMAT, "change": change, "number": number, "event": stored}


@cache
def event_adapter() -> TypeAdapter[Event]:
    """The JSON form of an event; built on first use, because building it costs tens of milliseconds."""
    return TypeAdapter(Event)


def _why_unreadable(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        kind = str(first.get("ctx", {}).get("tag"))[:KIND_CHARS_MAX]
        return f"there is an event of a kind that this version does not know: {kind!r}"
    where = ".".join(str(part) for part in first["loc"])
    return f"an event is damaged{f' at {where}' if where else ''}: {first['msg']}"


def _unknown_fields(raw: object, value: object, where: str = "") -> Iterator[str]:
    """The fields of a JSON value that the read one has not got, as paths."""
    if isinstance(raw, dict) and is_dataclass(value):
        known = {field.name for field in fields(value)}
        for name, part in raw.items():
            if name in known:
                yield from _unknown_fields(part, getattr(value, name), f"{where}{name}.")
            else:
                yield f"{where}{name}"
    elif isinstance(raw, list) and isinstance(value, tuple):
        for one, read in zip(raw, value, strict=True):
            yield from _unknown_fields(one, read, where)
