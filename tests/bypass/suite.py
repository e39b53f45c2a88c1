"""What a bad commit is, what the right answer to it is, and the list of all of them.

A case is a small function with a name and a docstring. It returns files to commit on top of the sample, or makes the
commit itself in a repository. Its answers say what must come out: never that everything passed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gatewright.schemas.records import Evidence, Outcome

if TYPE_CHECKING:
    from .sample import Files
    from .workshop import Workshop


class Layer(StrEnum):
    """The five layers of docs/gates.md, and the machine around them."""

    STORE = "store"
    POLICY = "policy"
    REGIME = "regime"
    EVIDENCE = "evidence"
    SANDBOX = "sandbox"
    PROTOCOL = "protocol"


@dataclass(frozen=True)
class Refusal:
    """The commit never reaches a gate; the code that a submission is told, and the sentence."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Refused:
    """The right answer is a refusal with this code, and with these words in its sentence."""

    code: str
    words: str

    def __str__(self) -> str:
        return f"refused ({self.code})"

    def differs_from(self, answer: "Given") -> str | None:
        """What is wrong with an answer; None when it is the right one."""
        if isinstance(answer, Refusal):
            is_right = answer.code == self.code and self.words in answer.sentence
            return None if is_right else f"refused for another reason: {answer}"
        told = answer.text if isinstance(answer, Reply) else _outcomes(answer)
        return f"not refused, but judged: {told}"


@dataclass(frozen=True)
class Judged:
    """The right answer is one gate's outcome, by this rule (an error has none), with these words in what it says."""

    gate: str
    outcome: Outcome
    rule: str | None
    words: str

    def __str__(self) -> str:
        rule = f", {self.rule}" if self.rule else ""
        said = "a person is asked" if self.outcome is Outcome.PENDING else self.outcome.value
        return f"{said} ({self.gate}{rule})"

    def differs_from(self, answer: "Given") -> str | None:
        """What is wrong with an answer; None when it is the right one."""
        if isinstance(answer, Refusal | Reply):
            return f"not judged: {answer}"
        evidence = answer[self.gate]
        if evidence.outcome is not self.outcome:
            said = [finding.message for finding in evidence.findings]
            return f"{self.gate} is {evidence.outcome}, not {self.outcome}: {evidence.summary} {said} {evidence.output}"
        found = [f"{f.path} {f.message}" for f in evidence.findings if self.rule in (None, f.rule)]
        texts = [*found, *([evidence.summary, evidence.output] if self.rule is None else [])]
        if any(self.words in text for text in texts):
            return None
        rules = [f"{f.rule}: {f.path} {f.message}" for f in evidence.findings]
        return f"{self.gate} is {evidence.outcome} for another reason: {evidence.summary} {rules}"


@dataclass(frozen=True)
class Reply:
    """What an agent is told that was not refused: the verdict, and all of the text."""

    outcome: str
    text: str


@dataclass(frozen=True)
class Told:
    """The right answer is a verdict with this outcome, and with these words in what is told."""

    outcome: Outcome
    words: str

    def __str__(self) -> str:
        return f"{self.outcome} (verdict)"

    def differs_from(self, answer: "Given") -> str | None:
        """What is wrong with an answer; None when it is the right one."""
        is_right = isinstance(answer, Reply) and answer.outcome == self.outcome and self.words in answer.text
        return None if is_right else f"not {self.outcome} with {self.words!r}: {answer}"


@dataclass(frozen=True)
class Either:
    """Both are right, because what a program can reach depends on the machine."""

    one: Judged
    other: Judged

    def __str__(self) -> str:
        return f"{self.one} or {self.other}"

    def differs_from(self, answer: "Given") -> str | None:
        """What is wrong with an answer; None when it is one of the right ones."""
        problem = self.one.differs_from(answer)
        return None if self.other.differs_from(answer) is None else problem


Given = Refusal | Reply | Mapping[str, Evidence]
Answer = Refused | Judged | Told | Either
Build = Callable[..., "Files | str | Awaitable[Given]"]
Check = Callable[["Workshop"], None]


@dataclass(frozen=True)
class Case:
    """A bad commit. `build` is given a repository of its own where `is_alone`; `level` is the weakest that stops it.

    `afterwards` looks for harm that no evidence tells of. `gates` are those that are asked, `scope` always is.
    """

    name: str
    layer: Layer
    what: str
    build: Build
    answers: tuple[Answer, ...]
    gates: tuple[str, ...]
    quick: bool = False
    is_alone: bool = False
    level: str | None = None
    afterwards: Check | None = None
    in_child: bool = False


CASES: dict[str, Case] = {}


def refused(code: str, words: str) -> Refused:
    """It is refused."""
    return Refused(code, words)


def failed(gate: str, rule: str, words: str = "") -> Judged:
    """The gate fails it."""
    return Judged(gate, Outcome.FAILED, rule, words)


def asked(gate: str, rule: str, words: str = "") -> Judged:
    """The gate asks a person."""
    return Judged(gate, Outcome.PENDING, rule, words)


def errored(gate: str, words: str) -> Judged:
    """The gate could not judge: that opens nothing."""
    return Judged(gate, Outcome.ERRORED, None, words)


def passed(gate: str) -> Judged:
    """The gate lets it through: for what is documented as its limit, and never the only answer."""
    return Judged(gate, Outcome.PASSED, None, "")


def told(outcome: Outcome, words: str) -> Told:
    """It is judged so, as the agent is told."""
    return Told(outcome, words)


def either(one: Judged, other: Judged) -> Either:
    """One of two, neither of which is a pass."""
    return Either(one, other)


def bad(
    layer: Layer,
    *answers: Answer,
    quick: bool = False,
    is_alone: bool = False,
    level: str | None = None,
    afterwards: Check | None = None,
    in_child: bool = False,
    gates: tuple[str, ...] = (),
) -> Callable[[Build], Build]:
    """Put a builder on the list."""

    def register(build: Build) -> Build:
        name = str(build.__name__)
        assert name not in CASES, f"{name} is there twice"
        judged = [a.one if isinstance(a, Either) else a for a in answers]
        named = dict.fromkeys((*(a.gate for a in judged if isinstance(a, Judged) and a.gate != "scope"), *gates))
        CASES[name] = Case(
            name=name,
            layer=layer,
            what=" ".join((build.__doc__ or "").split()),
            build=build,
            answers=answers,
            gates=tuple(named),
            quick=quick,
            is_alone=is_alone,
            level=level,
            afterwards=afterwards,
            in_child=in_child,
        )
        return build

    return register


def _outcomes(answer: Mapping[str, Evidence]) -> str:
    return ", ".join(f"{gate} {evidence.outcome}" for gate, evidence in answer.items())
