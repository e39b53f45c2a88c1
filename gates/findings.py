"""From what a tool reported to findings, and from findings to an outcome; pure.

A `Problem` is what a tool said. Its fingerprint is made of what stays the same when the problem moves: the rule, the
file it was in on the base, the text of the line and the message without line numbers; never the line's number. Problems
are compared with the base's as a multiset: what the base has as often is tolerated, what is more is the artifact's. A
problem that left one file and turns up in another with the very same line went along with code that was moved.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from ..schemas.pipeline import ISOLATION_LEVELS, GateSpec
from ..schemas.records import Evidence, Finding, Outcome
from .process import Finished
from .text import clean_text, number_of, shorten

FINDINGS_MAX = 500
MESSAGE_CHARS_MAX = 600
QUESTION_CHARS_MAX = 12_000
PLACE_CHARS_MAX = 1_000
ID_DIGITS = 7

_NUMBER_OF_LINE = re.compile(r"\b(line|lines|column|col)\s+\d+", re.IGNORECASE)
_ADDRESS = re.compile(r"\b0x[0-9a-f]+", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a tool objects to; `text` is the source line that it is about, `column` counts from 1.

    `mark` is what makes the fingerprint, with the rule, where line and message do not tell it from its like.
    """

    rule: str
    message: str
    path: str | None = None
    line: int | None = None
    text: str = ""
    satisfy: str | None = None
    severity: str = "error"
    mark: str | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a person must decide: the sentence, the diff or lines it is about, and a finding for each place."""

    sentence: str
    about: tuple[Problem, ...]
    details: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a kind found out, from which `conclude` makes the outcome."""

    counted: int
    unit: str
    new: tuple[Problem, ...] = ()
    tolerated: tuple[Problem, ...] = ()
    questions: tuple[Question, ...] = ()
    summary: str = ""
    runs: tuple[Finished, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    moved: Mapping[str, str] | None = None


class Blamed(Exception):
    """The artifact itself keeps the gate from judging; `problem` becomes its finding and the gate fails."""

    def __init__(self, problem: Problem, *, output: str) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.output = output


def split_by_base(
    problems: Iterable[Problem], base: Iterable[Problem], moved: Mapping[str, str]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Return the problems that the base does not have, and those that it has; `moved` is new path to old path."""
    problems, base = tuple(problems), tuple(base)
    left = Counter(fingerprint(problem, {}) for problem in base)
    is_held = [_take(left, fingerprint(problem, moved)) for problem in problems]
    gone = [problem for problem in base if _take(left, fingerprint(problem, {}))]
    left = Counter(_wherever(problem) for problem in gone)
    # Only its line tells that a problem is the one that is gone.
    is_held = [
        held or (bool(p.text.strip()) and _take(left, _wherever(p))) for p, held in zip(problems, is_held, strict=True)
    ]
    new, tolerated = (
        tuple(p for p, held in zip(problems, is_held, strict=True) if held is wanted) for wanted in (False, True)
    )
    return new, tolerated


def fingerprint(problem: Problem, moved: Mapping[str, str]) -> str:
    """Sixteen hexadecimal digits, equal for the same problem on other lines and in a file that was moved."""
    if problem.mark is not None:
        return sha256(f"{problem.rule}\0{problem.mark}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    path = moved.get(problem.path, problem.path) if problem.path else ""
    message = _NUMBER_OF_LINE.sub(r"\1 #", problem.message)
    parts = (problem.rule, path or "", _SPACE.sub(" ", problem.text).strip(), _SPACE.sub(" ", message).strip())
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def as_said(finding: Finding) -> str:
    """The fingerprint and what was said: a test's alone is its name, and would stand for every failure it may have.

    Without numbers of lines and addresses, which differ though nothing else does.
    """
    words = _ADDRESS.sub("0x#", _NUMBER_OF_LINE.sub(r"\1 #", finding.message))
    parts = (finding.fingerprint, finding.rule, _SPACE.sub(" ", words).strip())
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def make_findings(
    gate: str, problems: Sequence[Problem], *, moved: Mapping[str, str], on_base: bool, taken: set[str]
) -> tuple[Finding, ...]:
    """At most `FINDINGS_MAX` findings whose ids are not in `taken`, to which they are added.

    Another attempt gives the same ids to the same problems: equal ones are told apart by their order alone.
    """
    return tuple(_finding(gate, problem, moved, on_base=on_base, taken=taken) for problem in problems[:FINDINGS_MAX])


def conclude(gate: GateSpec, judged: Judged) -> Evidence:
    """The evidence of one gate: a failure outranks a question, and nothing counted is never a pass."""
    asked = tuple(problem for question in judged.questions for problem in question.about)
    moved, taken = judged.moved or {}, set[str]()
    if judged.new:
        outcome = Outcome.FAILED
    elif judged.counted == 0:
        outcome = Outcome.ERRORED
    else:
        outcome = Outcome.PENDING if judged.questions else Outcome.PASSED
    return Evidence(
        gate=gate.name,
        kind=gate.kind,
        outcome=outcome,
        counted=judged.counted,
        unit=judged.unit,
        summary=_summary(outcome, judged),
        findings=make_findings(gate.name, (*judged.new, *asked), moved=moved, on_base=False, taken=taken),
        tolerated=make_findings(gate.name, judged.tolerated, moved=moved, on_base=True, taken=taken),
        question=_put(judged.questions) if outcome is Outcome.PENDING else None,
        unasked=_put(judged.questions) if outcome is Outcome.FAILED else "",
        output="\n".join(run.output for run in judged.runs if run.output),
        output_sha256=judged.runs[0].output_sha256 if judged.runs else "",
        isolation=_weakest(judged.runs),
        environment=judged.environment,
    )


def errored(gate: GateSpec, unit: str, sentence: str, *, output: str = "") -> Evidence:
    """The gate could not judge; the sentence says why, and what follows."""
    return Evidence(
        gate=gate.name,
        kind=gate.kind,
        outcome=Outcome.ERRORED,
        counted=0,
        unit=unit,
        summary=sentence,
        output=output,
    )


def on_one_line(text: str) -> str:
    """A rule or a path as a finding tells it."""
    return shorten(clean_text(text).replace("\n", " "), PLACE_CHARS_MAX)


def _take(left: Counter[str], mark: str) -> bool:
    """Take one of these away; False when there is none left."""
    left[mark] -= 1
    return left[mark] >= 0


def _wherever(problem: Problem) -> str:
    """The fingerprint without the file."""
    return fingerprint(replace(problem, path=None), {})


def _finding(gate: str, problem: Problem, moved: Mapping[str, str], *, on_base: bool, taken: set[str]) -> Finding:
    mark = name = fingerprint(problem, moved)
    while name[:ID_DIGITS] in taken:
        name = sha256(name.encode()).hexdigest()
    taken.add(name[:ID_DIGITS])
    return Finding(
        id=f"f{name[:ID_DIGITS]}",
        gate=gate,
        severity=problem.severity,
        rule=on_one_line(problem.rule),
        message=shorten(clean_text(problem.message).strip(), MESSAGE_CHARS_MAX),
        fingerprint=mark,
        # A path may be as deceitful as any text of the artifact's.
        path=on_one_line(problem.path) if problem.path else None,
        line=problem.line,
        satisfy=clean_text(problem.satisfy) if problem.satisfy else None,
        on_base=on_base,
    )


def _summary(outcome: Outcome, judged: Judged) -> str:
    if outcome is Outcome.ERRORED:
        return judged.summary or f"Checked nothing: there were no {judged.unit} to judge."
    parts = [number_of(judged.counted, judged.unit)]
    if judged.new:
        parts.append(number_of(len(judged.new), "new findings"))
    if judged.tolerated:
        parts.append(f"{len(judged.tolerated)} tolerated")
    if judged.questions and outcome is not Outcome.FAILED:
        parts.append("a person must decide")
    text = ", ".join(parts) + "."
    return f"{text} {judged.summary}" if judged.summary else text


def _put(questions: Sequence[Question]) -> str:
    blocks = [f"{question.sentence}\n{clean_text(question.details)}".strip() for question in questions]
    return shorten("\n\n".join(blocks), QUESTION_CHARS_MAX)


def _weakest(runs: Sequence[Finished]) -> str:
    levels = {run.isolation for run in runs}
    return max(levels, key=ISOLATION_LEVELS.index, default="none")
