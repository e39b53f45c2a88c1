"""The `review` kind: somebody else looks at the artifact, agents or a program of the policy's.

Without `run` agents do, on top of a passed floor, and no runner has a part in it: see `gates/machine/reviewing.py`.
With `run` a program does, after the stage's other gates, in a clean private copy of the artifact.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from ...schemas.pipeline import Duration, GateSpec, Model, Shell
from ...schemas.records import REMARK, Evidence, Outcome
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, conclude, make_findings
from ..judging.objections import is_rejected, problems_of
from ..judging.submission import Submission
from ..machine.independence import WORDS
from ..regime import what_was_restored
from ..text import shorten, some_of
from .review_run import Reviewed, review

ASK_CHARS_MAX = 2_000
ASK_SHOWN_CHARS_MAX = 300
INSPECTED_SHOWN_MAX = 8


class Options(Model):
    """`quorum` reviews by reviewers who differ by `independence`, or a program, `run`, given to `sh -c`.

    `ask` says what to look for.
    """

    quorum: int = Field(default=1, ge=1, le=9, strict=True)
    independence: Literal["principal", "agent", "family"] = "principal"
    ask: str | None = Field(default=None, max_length=ASK_CHARS_MAX)
    run: Shell | None = None
    network: bool = False
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _is_by_agents_or_by_a_program(self) -> Self:
        if self.run is not None:
            for option in ("quorum", "independence"):
                if option in self.model_fields_set:
                    raise ValueError(f"`{option}` is about reviews by agents and does not go with `run`")
        elif self.network or self.timeout is not None:
            raise ValueError("`network` and `timeout` are about the program of `run`")
        return self


class Review:
    """See the module."""

    name = "review"
    unit = "reviews"
    is_soft = True
    options = Options

    def about(self, options: Options) -> str:
        """Who reviews, what for, and what rejects."""
        ask = f" Asked: {shorten(' '.join(options.ask.split()), ASK_SHOWN_CHARS_MAX)}" if options.ask else ""
        if options.run is not None:
            what = f"`{options.run}` reviews what passed the other gates; a blocking finding rejects it."
            return f"{what} Counted: {self.unit}.{ask}"
        who = f"{options.quorum} of other {WORDS[options.independence].others}"
        return f"Reviews on top of the passed floor, {who}; one blocking finding rejects. Counted: {self.unit}.{ask}"

    def references(self, options: Options) -> tuple[str, ...]:
        """The policy itself protects the files that a command names."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Have the program review. A blocking finding fails, whatever else it says."""
        if options.run is None:
            raise CannotJudge("Agents review by this gate; no program answers for them.")
        reviewed = await review(submission, gate, options.run, options)
        problems = problems_of(reviewed.answer.objections, reviewed.contents)
        rejects = is_rejected(reviewed.answer.objections)
        held = tuple(p for p in problems if p.severity != REMARK) if rejects else ()
        shown = tuple(p for p in problems if p not in held)
        judged = Judged(1, self.unit, new=held, summary=await _summary(submission, reviewed), runs=(reviewed.finished,))
        evidence = conclude(gate, judged)
        assert (evidence.outcome is Outcome.FAILED) == rejects, "the verdict follows from the findings"
        taken = {finding.id.removeprefix("f") for finding in evidence.findings}
        remarks = make_findings(gate.name, shown, moved={}, on_base=False, taken=taken)
        answer = (reviewed.finished.stdout or b"").decode("utf-8", "replace").strip()
        return replace(evidence, tolerated=remarks, output="\n".join(filter(None, (answer, evidence.output))))

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A reviewer judges a difference: the trusted branch is none."""
        return {}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """What a reviewer must object to nobody can know."""
        return None


KIND = Review()


async def _summary(submission: Submission, reviewed: Reviewed) -> str:
    inspected = some_of(reviewed.answer.inspected, INSPECTED_SHOWN_MAX)
    parts = [f"It looked at {inspected}." if inspected else ""]
    if reviewed.repaired is not None:
        parts.append(f"Its first answer was no review and was given back: {reviewed.repaired}")
    return " ".join(part for part in (*parts, await what_was_restored(submission)) if part)
