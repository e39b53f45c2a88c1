"""The `trace` kind: every requirement that an earlier stage declared is named in the given files, and no other is.

Declared is what stands in the documents of the stage `from`, where this stage found them and as it leaves them, so that
nobody drops a requirement on the way. Naming counts on lines that the base does not have: ids start anew with every
plan, and what the tests of an older change name says nothing about this one. Only a requirement that the base has
already may be named on an old line.
"""

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, field_validator

from ...schemas.pipeline import PIPELINE_FILE, Duration, GateSpec, Glob, Model, Name, Pipeline
from ...schemas.records import Evidence
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude
from ..judging.planting import path_in
from ..judging.submission import Submission
from ..paths import escape, substitute
from ..patterns import example_of
from ..policies.pipeline_file import parse_pipeline
from .document import Document, checked_ids
from .trace_search import MARKDOWN, Place, Search, fresh_texts, texts_of

TIMEOUT_S = 60.0
PLANTED = "planted by gatewright doctor"


class Options(Model):
    """`from` is the stage that declares, `into` where its ids must be named; `path` says where they are declared."""

    from_stage: Name = Field(alias="from")
    ids: str
    into: tuple[Glob, ...] = Field(min_length=1)
    path: Glob | None = None
    timeout: Duration = TIMEOUT_S

    @field_validator("ids")
    @classmethod
    def _is_a_safe_pattern(cls, value: str) -> str:
        return checked_ids(value)


class Trace:
    """See the module."""

    name = "trace"
    unit = "ids"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """Where the ids come from, and where they go."""
        into = ", ".join(options.into)
        return (
            f"Every requirement of the stage '{options.from_stage}' (an id like {options.ids}) is named in {into}, and"
            " no other id is. Counted: ids."
        )

    def references(self, options: Options) -> tuple[str, ...]:
        """The documents are those of a stage, and artifacts themselves."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Compare what is declared with what is named; the base is read only where that decides."""
        job = submission.job
        globs = declaring_globs(job.policy.pipeline, options, change=job.change)
        search = Search(submission, options.ids, timeout_s=options.timeout)
        handed_over = await search.declared(job.scope_base, globs)
        # A document that is new here is not the other stage's, whatever its name; `doctor` has no other stage.
        theirs = sorted({escape(place.path) for place in handed_over.values()}) or globs
        declared = {**await search.declared(job.commit, theirs), **handed_over}
        if not declared:
            sentence = f"No requirement with an id like {options.ids} is declared in {', '.join(globs)}."
            advice = f"There is nothing to trace: the stage '{options.from_stage}' has to be done again."
            raise CannotJudge(sentence, advice=advice)
        into = [substitute(glob, change=job.change, stage=job.stage) for glob in options.into]
        named = await search.named(await fresh_texts(submission, into))
        untraced = {name: place for name, place in declared.items() if name not in named}
        unknown = {name: place for name, place in named.items() if name not in declared}
        on_base = await texts_of(submission, job.base, into) if untraced or unknown else {}
        known = await search.named(on_base)
        new: list[Problem] = []
        tolerated: list[Problem] = []
        if untraced:
            older = await search.declared(job.base, globs)
            anywhere = await search.named(await texts_of(submission, job.commit, into))
            for name, place in untraced.items():
                if name in older and name in anywhere:
                    continue
                # What the base requires and does not name was lost before this change.
                is_lost = name in older and name not in known
                (tolerated if is_lost else new).append(_untraced(name, place, anywhere.get(name), into))
        new += [_unknown(name, place, globs) for name, place in unknown.items() if name not in known]
        runs = tuple(search.runs)
        return conclude(gate, Judged(len(declared), self.unit, tuple(new), tuple(tolerated), runs=runs))

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A requirement, and a line that names it."""
        planned, named = _planted(options, tree)
        name = example_of(options.ids)
        if planned is None or named is None or name is None:
            return {}
        return {
            planned: (tree.read(planned) or b"") + f"\n## Requirements\n\n- {name} {PLANTED}\n".encode(),
            named: (tree.read(named) or b"") + f"\n{name} {PLANTED}\n".encode(),
        }

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """One requirement more, which nothing names; else none of them named."""
        planned, named = _planted(options, tree)
        name = example_of(options.ids)
        if planned is None or named is None or name is None:
            return None
        others = (re.sub(r"\d+", number, name) for number in ("7919", "79", "7"))
        other = next((text for text in others if text != name and re.fullmatch(options.ids, text)), None)
        if other is None:
            return Spoiled({named: f"{PLANTED}\n".encode()}, f"{named} without {name}", mark=name)
        text = (tree.read(planned) or b"") + f"- {other} {PLANTED}\n".encode()
        return Spoiled({planned: text}, f"the requirement {other}, which nothing names", mark=other)


KIND = Trace()


def declaring_globs(pipeline: Pipeline, options: Options, *, change: str) -> tuple[str, ...]:
    """Where the stage `from` declares: the gate's `path`, else what its documents are, else what it writes."""
    stage = pipeline.stages[options.from_stage]
    documents = [gate.options for gate in stage.gates if gate.kind == Document.name]
    with_ids = [document for document in documents if document.get("ids") is not None]
    paths = [str(document["path"]) for document in with_ids or documents]
    globs = (options.path,) if options.path is not None else tuple(paths) or stage.writes
    return tuple(dict.fromkeys(substitute(glob, change=change, stage=options.from_stage) for glob in globs))


def _planted(options: Options, tree: Specimen) -> tuple[str | None, str | None]:
    """Where a requirement is declared, and where it is named, so that a gate can be proved."""
    pipeline = parse_pipeline(tree.read(PIPELINE_FILE) or b"")
    globs = declaring_globs(pipeline, options, change=tree.change)
    into = [substitute(glob, change=tree.change, stage=tree.stage) for glob in options.into]
    return path_in(globs, tree, suffix=MARKDOWN[0]), path_in(into, tree, suffix=".txt")


def _untraced(name: str, place: Place, old: Place | None, into: Sequence[str]) -> Problem:
    where = ", ".join(into)
    message = f"{name} is not named in {where}."
    if old is not None:
        at = old.path if old.line is None else f"{old.path}:{old.line}"
        message = f"{name} is named in {where} only where the base names it too ({at}), which was about another plan."
    satisfy = f"Name {name} in {where}, on a line that this change writes, where it is met."
    return Problem("untraced", message, place.path, place.line, satisfy=satisfy, mark=name)


def _unknown(name: str, place: Place, globs: Sequence[str]) -> Problem:
    message = f"{name} is named here, and {', '.join(globs)} declares no such requirement."
    satisfy = f"Name an id that {', '.join(globs)} declares, or none."
    return Problem("unknown-id", message, place.path, place.line, satisfy=satisfy, mark=f"{place.path}\0{name}")
