"""What the server and a runner say to each other, and what a gate kind is.

The server hands a runner one `Job` as a line of JSON and reads `Message`s back, one JSON object a line, until `Done`. A
runner that ends without `Done` is a lost runner: the evaluation is evaluated again, whatever was already said.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never

from pydantic import TypeAdapter

from ..schemas.pipeline import GateSpec, Limits, Model
from ..schemas.records import Answered, Evidence, Finding
from .policy import Policy

if TYPE_CHECKING:
    from .judging.submission import Submission

NOBODYS_FAULT = "This is not your fault: do not change the code."

OptionsT = TypeVar("OptionsT", bound=Model)


@dataclass(frozen=True, slots=True)
class Run:
    """The command of a `run:` stage, and the message and date of the commit that its output becomes.

    Both are the evaluation's own, so that running it once more makes the same commit.
    """

    command: str
    network: bool
    message: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Handed:
    """What a stage before handed over: the commit, and the paths that it changed."""

    stage: str
    commit: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """What was wanted, for a program that reviews: never what the author says of the work.

    `findings` are those of the stage's last failed attempt, and `answers` what was said about them since.
    """

    intent: str
    goal: str
    inputs: tuple[Handed, ...]
    findings: tuple[Finding, ...] = ()
    answers: tuple[Answered, ...] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """What git by itself makes of a merge that is in an artifact or under it: the tree of `commit`.

    `conflicts` are the paths that both sides had altered each in its own way: text has conflict markers there; of
    anything else, and of what one side removed, git keeps one side's whole.
    """

    commit: str
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One evaluation, complete: a runner needs nothing else and asks nobody.

    `base` is what the commit is judged against (the change's base; for landing the target's tip). `scope_base` is what
    the stage started from, merged with what the artifact has taken in of the target since: only what differs from it
    may be blamed on this artifact. The `scope` gate is not in `gates`; it always runs. `writes` has its substitutions
    made; `merges` are those of the server under the stage, and those of the target in the artifact. `merged_again` is
    what comes of merging the target with the artifact's files as though it had not been taken in: the same files, when
    nothing of the target is missing in them; None when nothing was taken in.
    `store` is our bare store, `shared` the user's common git directory, `cache` the folder for checkouts, environments
    and scratch. `baselines` are base results already known, by key; new ones come back as `BaseResult`. `allowed` are
    the fingerprints of findings that people have allowed in this change, each as often as it was allowed: a gate that
    asks nothing else passes. `upheld` are those that a gate failed by and a person said to be no fault, counted alike,
    in another tree than theirs by what they say (`as_said`): a gate that finds nothing else passes. With `run`,
    `commit` is the stage's base; what its command makes of it is judged, and told by `Made`. `spec` is set where a
    program reviews.
    """

    evaluation: str
    change: str
    stage: str
    commit: str
    base: str
    scope_base: str
    policy: Policy
    gates: tuple[GateSpec, ...]
    writes: tuple[str, ...]
    store: Path
    shared: Path
    cache: Path
    slots: int
    merges: tuple[Merged, ...] = ()
    merged_again: Merged | None = None
    baselines: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    upheld: tuple[str, ...] = ()
    run: Run | None = None
    spec: Spec | None = None

    @property
    def limits(self) -> Limits:
        """The bounds that the policy sets."""
        return self.policy.pipeline.limits


@dataclass(frozen=True, slots=True)
class Started:
    """The gate of this name has begun."""

    gate: str


@dataclass(frozen=True, slots=True)
class Found:
    """One gate has finished; exactly one per gate and evaluation, `scope` included."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class BaseResult:
    """What was found about the base, worth keeping: the same key never has another value."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Made:
    """The commit that the command of a `run:` stage made, kept in our store; the base when there was nothing to add.

    `paths` counts what it wrote and removed. From here on the gates judge it.
    """

    commit: str
    paths: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A line for people and agents who wait."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Every gate was told; nothing follows."""


Message = Started | Found | Made | BaseResult | Progress | Done


def _nothing_is_protected(_path: str) -> bool:
    return False


def _no_patch_applies(_patch: bytes) -> Mapping[str, bytes | None]:
    raise PatchRefused("No patch can be applied here.")


@dataclass(frozen=True, slots=True)
class Specimen:
    """A tree on which a gate is proved. A kind reads it to say what a good artifact, or a bad one, would have.

    `paths` are its regular files, sorted; `read` gives the bytes of one, or None. `writes` are the stage's globs with
    their substitutions made. `patched` gives what a patch makes of the tree, None for a file that it removes, and
    raises `PatchRefused`.
    """

    change: str
    stage: str
    writes: tuple[str, ...]
    paths: tuple[str, ...]
    read: Callable[[str], bytes | None]
    is_protected: Callable[[str], bool] = _nothing_is_protected
    patched: Callable[[bytes], Mapping[str, bytes | None]] = _no_patch_applies


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Files to write over a good tree (None removes one) so that a gate must fail; `what` says what was planted.

    `what` is the end of a sentence: "a syntax error in src/a.py". The gate is believed when a finding of it is about
    one of `files`, or when its text holds `mark`. Unless it `is_certain` that the gate looks there, passing tells
    nothing.
    """

    files: Mapping[str, bytes | None]
    what: str
    mark: str | None = None
    is_certain: bool = True


class PatchRefused(Exception):
    """A patch does not apply to the tree; `str()` is one sentence."""


class GateKind(Protocol[OptionsT]):
    """The code that performs one kind of check. One module in `gates/kinds/` has one, as `KIND`.

    `unit` names what `counted` counts. A soft kind is answered by people or reviewers and opens after the
    others passed.
    """

    name: str
    unit: str
    is_soft: bool
    options: type[OptionsT]

    def about(self, options: OptionsT) -> str:
        """One concrete line for the agent's brief: what is checked and what is counted."""
        ...

    def references(self, options: OptionsT) -> tuple[str, ...]:
        """Paths of the policy commit that the options refer to; they are protected."""
        ...

    async def check(self, submission: "Submission", gate: GateSpec, options: OptionsT) -> Evidence:
        """Judge the submission. Raises `CannotJudge` for what is nobody's fault; any other exception is our own bug."""
        ...

    def specimen(self, options: OptionsT, tree: Specimen) -> Mapping[str, bytes]:
        """What a good artifact adds to the trusted branch, `tree`, so that the gate has something to count.

        Empty where the branch itself will do, and where the kind cannot know.
        """
        ...

    def spoil(self, options: OptionsT, tree: Specimen) -> Spoiled | None:
        """A change to the good `tree` (the branch with `specimen`) that this gate must answer with a finding.

        None where the kind cannot know one: the gate was then never seen red. Raises `PatchRefused`.
        """
        ...


# A kind pairs its methods with its own options model, which a mapping of kinds cannot express.
AnyGateKind = GateKind[Any]


class CannotJudge(Exception):
    """The gate could not judge; `str()` is one sentence for the agent, `output` what a program said about it.

    `advice` says what follows from it; as a rule nobody is to blame.
    """

    def __init__(self, sentence: str, *, output: str = "", advice: str = NOBODYS_FAULT) -> None:
        super().__init__(sentence)
        self.output = output
        self.advice = advice


def get_ready() -> None:
    """Build what reading jobs and writing evidence need, tens of milliseconds, before there is a job to wait for."""
    _jobs()
    _evidences()


def format_job(job: Job) -> str:
    """The job as one line of JSON, without the newline."""
    return _jobs().dump_json(job).decode()


def parse_job(line: str | bytes) -> Job:
    """The inverse of `format_job`; raises pydantic's ValidationError."""
    return _jobs().validate_json(line)


def format_message(message: Message) -> str:
    """The message as one line of JSON, without the newline."""
    match message:
        case Started(gate):
            said: dict[str, object] = {"started": gate}
        case Found(evidence):
            said = {"evidence": _evidences().dump_python(evidence, mode="json")}
        case Made(commit, paths):
            said = {"made": {"commit": commit, "paths": paths}}
        case BaseResult(key, value):
            said = {"baseline": {"key": key, "value": value}}
        case Progress(text):
            said = {"progress": text}
        case Done():
            said = {"done": True}
        case _:
            assert_never(message)
    return json.dumps(said)


def parse_message(line: str | bytes) -> Message:
    """The inverse of `format_message`; raises ValueError for a line that a runner did not write."""
    match json.loads(line):
        case {"started": str(gate)}:
            return Started(gate)
        case {"evidence": dict(evidence)}:
            return Found(_evidences().validate_python(evidence, strict=False))
        case {"made": {"commit": str(commit), "paths": int(paths)}}:
            return Made(commit, paths)
        case {"baseline": {"key": str(key), "value": str(value)}}:
            return BaseResult(key, value)
        case {"progress": str(text)}:
            return Progress(text)
        case {"done": True}:
            return Done()
        case _:
            raise ValueError("not a message of a runner")


@cache
def _jobs() -> TypeAdapter[Job]:
    return TypeAdapter(Job)


@cache
def _evidences() -> TypeAdapter[Evidence]:
    return TypeAdapter(Evidence)
