"""What people decide by a command or over HTTP: what each command takes, what is shown before, what is answered.

Strict models, as those of the tools: what is unknown or of another type is refused. A decision says what the person was
shown, so that nobody decides about something that has moved meanwhile. Names are compared and looked up here, and never
become a path, a ref or an option. Source: docs/decisions/0024-people-decide-over-http.md
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from .arguments import TEXT_CHARS_MAX, Line
from .replies import StageWhy, Status

KEY_CHARS_MAX = 200
NOTE_CHARS_MAX = 1_000
SIGNATURE_CHARS_MAX = 20_000
NUMBER_MAX = 10**9
# Numbers of transactions of a shared database are in it, with 20 bits below each.
POSITION_MAX = 2**63 - 1
SUBJECT_CHARS_MAX = 100_000


def _can_be_kept(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("unkept", "it has a NUL in it, which no database keeps")
    return text


Key = Annotated[Line, StringConstraints(max_length=KEY_CHARS_MAX)]
Name = Line
Note = Annotated[str, StringConstraints(max_length=NOTE_CHARS_MAX), AfterValidator(_can_be_kept)]
Words = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX), AfterValidator(_can_be_kept)]
Number = Annotated[int, Field(ge=0, le=NUMBER_MAX)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Decision(_Model):
    """What every command takes. `key`: the same person's same command under it has one effect."""

    change: Name
    key: Key | None = None


class ShownApproval(_Model):
    """What was shown to whoever approves: this attempt's commit, on its way to this target, under this policy."""

    number: Number
    commit: Name
    target: Name
    policy: Name


class ShownQuestion(_Model):
    """Which question was shown to whoever answers it."""

    subject: Annotated[str, StringConstraints(max_length=SUBJECT_CHARS_MAX)]
    gates: Annotated[tuple[Name, ...], Field(strict=False, max_length=100)]


class Signed(_Model):
    """The signature of an approval's statement, and whose it is said to be."""

    identity: Name
    signature: Annotated[str, StringConstraints(max_length=SIGNATURE_CHARS_MAX), AfterValidator(_can_be_kept)]


class Approval(Decision):
    """`approve` and `reject`. Without `shown` only what was decided before under the key is told again."""

    stage: Name
    gate: Name | None = None
    note: Note = ""
    shown: ShownApproval | None = None
    signed: Signed | None = None


class Answer(Decision):
    """`answer`: of one gate's question, or of all that are open. Without `shown` as for approvals."""

    stage: Name
    allow: bool
    gate: Name | None = None
    note: Words = ""
    shown: ShownQuestion | None = None


class Reopening(Decision):
    """`reopen`."""

    stage: Name
    reason: Words


class Retry(Decision):
    """`retry-gates`."""

    stage: Name


class Grant(Decision):
    """`grant-attempts`."""

    stage: Name
    count: Annotated[int, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)] = 1


class Reasoned(Decision):
    """`repin` and `cancel`."""

    reason: Words


class Landing(Decision):
    """`land`."""


# All that people decide, by the names of their commands.
TAKES: Mapping[str, type[Decision]] = {
    "approve": Approval,
    "reject": Approval,
    "answer": Answer,
    "reopen": Reopening,
    "retry-gates": Retry,
    "grant-attempts": Grant,
    "repin": Reasoned,
    "cancel": Reasoned,
    "land": Landing,
}


class Asking(_Model):
    """What somebody wants to see before they decide by `command`."""

    command: Name
    change: Name
    stage: Name | None = None
    gate: Name | None = None


class Looking(_Model):
    """`why`: a change, or one stage of it."""

    change: Name
    stage: Name | None = None


class Paging(_Model):
    """`log`: of one change from the number `after`, or of all from that position."""

    change: Name | None = None
    after: Annotated[int, Field(ge=0, le=POSITION_MAX)] = 0


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ChangedFile(_Told):
    """A file of what is to be approved: added, removed or changed."""

    path: str
    how: str


class GateFound(_Told):
    """What one gate found."""

    gate: str
    outcome: str
    summary: str


class ApprovalAsked(_Told):
    """What is to be approved: the question, the commit, what it changes and what the gates found.

    `changes` are the first of `changes_total`; `given` are sentences about approvals so far.
    """

    change: str
    stage: str
    gate: str
    number: int
    commit: str
    base: str
    target: str
    policy: str
    question: str
    about: str
    is_signed: bool
    given: tuple[str, ...]
    changes: tuple[ChangedFile, ...]
    changes_total: int
    found: tuple[GateFound, ...]

    @property
    def shown(self) -> ShownApproval:
        """What the decision names."""
        return ShownApproval(number=self.number, commit=self.commit, target=self.target, policy=self.policy)


class QuestionAsked(_Told):
    """What waits for an answer. `subject` is equal exactly while it is the same question."""

    change: str
    stage: str
    gates: tuple[str, ...]
    texts: tuple[str, ...]
    subject: str
    about: str
    is_escalation: bool
    is_dispute: bool

    @property
    def shown(self) -> ShownQuestion:
        """What the decision names."""
        return ShownQuestion(subject=self.subject, gates=self.gates)


class ChangeAsked(_Told):
    """What any other command is about."""

    change: str
    title: str
    stands: str


class StageStands(_Told):
    """A stage of a change."""

    stage: str
    state: str


class Decided(_Told):
    """How a change stands after a decision."""

    change: str
    state: str
    stages: tuple[StageStands, ...]
    landing: str | None = None

    @property
    def stages_told(self) -> str:
        """`plan passed, code in review`."""
        return ", ".join(f"{one.stage} {one.state.replace('_', ' ')}" for one in self.stages)

    @property
    def landing_told(self) -> str:
        """What follows the stages, when the change is landing; begins with a comma."""
        return f", landing {self.landing}" if self.landing is not None else ""

    @property
    def sentence(self) -> str:
        """Where everything is."""
        return f"{self.change} is {self.state}: {self.stages_told}{self.landing_told}."


class ChangeWhy(_Told):
    """`why`: one consistent look at a change. `questions` are what people are asked, by stage."""

    change: str
    title: str
    state: str
    base: str
    target: str
    policy: str
    status: Status
    told: tuple[StageWhy, ...]
    questions: dict[str, tuple[str, ...]]


class ExportedEvent(_Told):
    """One event as `gatewright log --json` has it."""

    change: str
    number: int
    event: dict[str, object]


class EventPage(_Told):
    """A page of what happened; `after` is what to ask for the next one after. Empty at the end."""

    events: tuple[ExportedEvent, ...]
    after: int
