"""Each single thing that can happen to a change.

Events are versioned and kept for ever: a field is never renamed or given another meaning, a new one gets a default.
`kind` names the event in the store. An event says what was decided, not why it was allowed: `gates/lifecycle.py`
decides.
"""

from functools import cache
from typing import Annotated, Union

from pydantic import Field, TypeAdapter

from .change_events import (
    ChangeCancelled,
    ChangeLanded,
    ChangeStarted,
    LandingAbandoned,
    LandingAnswered,
    LandingApproved,
    LandingAsked,
    LandingBlocked,
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
    "FloorPassed",
    "LandingAbandoned",
    "LandingAnswered",
    "LandingApproved",
    "LandingAsked",
    "LandingBlocked",
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
]

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
        LandingAbandoned,
        ChangeLanded,
        PolicyRepinned,
        ChangeCancelled,
    ],
    Field(discriminator="kind"),
]


@cache
def event_adapter() -> TypeAdapter[Event]:
    """The JSON form of an event; built on first use, because building it costs tens of milliseconds."""
    return TypeAdapter(Event)
