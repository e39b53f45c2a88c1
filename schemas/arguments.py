"""What the eleven tools take: strict models, so that an unknown or wrongly typed argument is refused, never guessed.

No argument carries a verdict: there is no field in which an agent could say that its work passed. The descriptions
are read by agents. Source: docs/tools.md
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from .ids import CHANGE_ID, COMMIT_ID, EVALUATION_ID, STAGE_NAME

WAIT_S_MAX = 290
FILES_MAX = 200
TEXT_CHARS_MAX = 20_000
# What is in every brief must leave room for the rest of it.
INTENT_CHARS_MAX = 4_000
# What a reviewer says reaches the author whole.
FINDING_CHARS_MAX = 600
INSPECTED_CHARS_MAX = 300
# Gemini CLI adds it to the schema of every tool, for its own scheduling, and passes on what its model gave.
GEMINI_SCHEDULING = "wait_for_previous"


def _says_something(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "it is blank")
    return text


def _is_one_line(text: str) -> str:
    if any(ord(char) < ord(" ") or char in "\x7f\x85\u2028\u2029" for char in text):
        raise PydanticCustomError("control", "it has line breaks or control characters")
    return _says_something(text)


Change = Annotated[
    str, StringConstraints(pattern=f"^{CHANGE_ID.pattern}$"), Field(description="change id, such as c12")
]
StageRef = Annotated[str, StringConstraints(pattern=f"^{STAGE_NAME.pattern}$"), Field(description="stage name")]
Lease = Annotated[str, StringConstraints(max_length=200), Field(description="from claim_stage, copied exactly")]
Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="a call repeated with it has one effect"),
]
WaitS = Annotated[
    int,
    Field(ge=0, le=WAIT_S_MAX, description="seconds to wait; default: what your client bears"),
]
Offset = Annotated[int, Field(ge=0, description="next_offset of the last reply")]
AttemptNumber = Annotated[int, Field(ge=1, description="attempt number; default: the latest")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX), AfterValidator(_says_something)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_is_one_line)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_is_one_line)]
Intent = Annotated[str, StringConstraints(min_length=1, max_length=INTENT_CHARS_MAX), AfterValidator(_says_something)]


class Arguments(BaseModel):
    """Strict: no coercion, no unknown names but the one that a client's model cannot know to be none of ours."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_scheduling(cls, given: object) -> object:
        match given:
            case {**arguments} if isinstance(arguments.get(GEMINI_SCHEDULING), bool):
                return {name: value for name, value in arguments.items() if name != GEMINI_SCHEDULING}
            case _:
                return given


class StartChange(Arguments):
    """`start_change`."""

    title: Annotated[Line, Field(description="one line")]
    intent: Annotated[Intent, Field(description="what should be true afterwards, as the person asked for it")]
    key: Key | None = None


class ClaimStage(Arguments):
    """`claim_stage`."""

    agent: Annotated[Label, Field(description="a name for yourself, shown to others")]
    change: Change | None = None
    stage: StageRef | None = None
    role: Annotated[Label | None, Field(description="only work for this role")] = None
    model: Annotated[Label | None, Field(description="your model, shown as declared")] = None
    wait_s: Annotated[WaitS | None, Field(description="seconds to wait for work; default: 0")] = None
    key: Key | None = None


class RenewLease(Arguments):
    """`renew_lease`."""

    lease: Lease


class CheckGates(Arguments):
    """`check_gates`."""

    lease: Lease
    gates: Annotated[tuple[Label, ...] | None, Field(strict=False, description="only these gates; default: all")] = None
    wait_s: WaitS | None = None


class FindingAnswer(Arguments):
    """What was done about one finding."""

    finding: Label
    disposition: Literal["fixed", "disputed", "not_applicable"]
    note: Annotated[str, StringConstraints(max_length=2_000)] = ""


class SubmitArtifact(Arguments):
    """`submit_artifact`."""

    lease: Lease
    summary: Annotated[Text, Field(description="what you did, for whoever works on it next")]
    files: Annotated[
        dict[str, str | None] | None,
        Field(max_length=FILES_MAX, description="path to text, or null to delete; only without a file system"),
    ] = None
    commit: Annotated[
        str | None,
        StringConstraints(pattern=f"^({COMMIT_ID.pattern})$"),
        Field(
            description="full id of your own commit on top of base_commit; default: your workspace, or what you pushed"
        ),
    ] = None
    answers: Annotated[tuple[FindingAnswer, ...] | None, Field(strict=False, max_length=200)] = None
    wait_s: WaitS | None = None
    key: Key | None = None


class WaitForUpdate(Arguments):
    """`wait_for_update`."""

    change: Change | None = None
    evaluation: Annotated[
        str | None, StringConstraints(pattern=f"^{EVALUATION_ID.pattern}$"), Field(description="wait for this verdict")
    ] = None
    after: Annotated[int | None, Field(ge=0, description="`position` of the last reply: wake for what came later")] = (
        None
    )
    wait_s: WaitS | None = None


class ReadArtifact(Arguments):
    """`read_artifact`."""

    change: Change
    stage: StageRef | None = None
    path: Annotated[
        str | None,
        StringConstraints(max_length=1_000),
        Field(description="a file; 'diff' for the diff; default: the list"),
    ] = None
    attempt: AttemptNumber | None = None
    offset: Offset = 0


class ReviewFinding(Arguments):
    """One thing that a reviewer objects to."""

    severity: Literal["blocking", "minor", "note"]
    path: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    line: Annotated[int, Field(ge=1)] | None = None
    message: Annotated[
        str, StringConstraints(min_length=1, max_length=FINDING_CHARS_MAX), AfterValidator(_says_something)
    ]


class ReviewArtifact(Arguments):
    """`review_artifact`."""

    lease: Lease
    findings: Annotated[tuple[ReviewFinding, ...], Field(strict=False, max_length=200)]
    inspected: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=INSPECTED_CHARS_MAX)], ...],
        Field(strict=False, max_length=500, description="what you looked at"),
    ]
    note: Text | None = None
    key: Key | None = None


class ReleaseStage(Arguments):
    """`release_stage`."""

    lease: Lease
    because: Literal["done_for_now", "withdraw", "cannot", "spec_conflict", "needs_decision"]
    reason: Annotated[Text, Field(description="for the next holder, the stage before, or the person who decides")]
    stage: Annotated[StageRef | None, Field(description="spec_conflict: the earlier stage that owns the defect")] = None
    key: Key | None = None


class GetStatus(Arguments):
    """`get_status`."""

    change: Change | None = None
    stage: StageRef | None = None


class GetEvidence(Arguments):
    """`get_evidence`."""

    change: Change
    stage: StageRef
    attempt: AttemptNumber | None = None
    gate: Label | None = None
    offset: Offset = 0


TOOLS: Mapping[str, type[Arguments]] = {
    "start_change": StartChange,
    "claim_stage": ClaimStage,
    "renew_lease": RenewLease,
    "check_gates": CheckGates,
    "submit_artifact": SubmitArtifact,
    "wait_for_update": WaitForUpdate,
    "read_artifact": ReadArtifact,
    "review_artifact": ReviewArtifact,
    "release_stage": ReleaseStage,
    "get_status": GetStatus,
    "get_evidence": GetEvidence,
}
